// The receiver's usual way in JavaScript: verify, send, check, answer. See ../../doc.go.
import { createHmac, timingSafeEqual } from "node:crypto";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";

// The client keeps connections, and compares the MD5 of body and answer itself.
const sqs = new SQSClient({
  region: process.env.AWS_REGION,
  endpoint: process.env.AWS_ENDPOINT_URL,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID,
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
    sessionToken: process.env.AWS_SESSION_TOKEN,
  },
});
const queue = process.env.WEBHOOK_QUEUE_URL;
const secret = process.env.BENCH_SECRET;
const text = (value) => ({ DataType: "String", StringValue: value });

export const handler = async (event) => {
  const received = new Date().toISOString();
  const body = Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8");
  const signature = event.headers["x-nylas-signature"];
  if (!timingSafeEqual(createHmac("sha256", secret).update(body).digest(), Buffer.from(signature, "hex"))) {
    return { statusCode: 503, body: "" };
  }
  const message = event.isBase64Encoded ? body.toString() : event.body;
  const envelope = JSON.parse(message);
  const grant = envelope.data.object.grant_id;
  const request = event.requestContext.extendedRequestId;
  await sqs.send(new SendMessageCommand({
    QueueUrl: queue,
    MessageBody: message,
    MessageGroupId: grant,
    MessageAttributes: {
      contract_version: text("1"),
      received_at: text(received),
      signature: text(signature),
      delivery_attempt: { DataType: "Number", StringValue: String(envelope.webhook_delivery_attempt) },
      notification_id: text(envelope.id),
      trigger_type: text(envelope.type),
      grant_id: text(grant),
      request_id: text(request),
    },
  }));
  console.log(JSON.stringify({
    timestamp: received, level: "INFO", msg: "request", outcome: "Accepted", status: 200,
    request_id: request, notification_id: envelope.id, type: envelope.type, grant_id: grant,
    attempt: envelope.webhook_delivery_attempt, bytes: body.length,
  }));
  return { statusCode: 200, body: "" };
};
