"""The receiver's usual way in Python: verify, send, check, answer. See ../../doc.go."""

import base64
import datetime
import hashlib
import hmac
import json
import os

import boto3

QUEUE = os.environ["WEBHOOK_QUEUE_URL"]
SECRET = os.environ["BENCH_SECRET"].encode()
sqs = boto3.client("sqs")  # region, endpoint and credentials are in the environment


def text(value):
    return {"DataType": "String", "StringValue": value}


def handler(event, _context):
    received = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    signature = event["headers"]["x-nylas-signature"]
    if not hmac.compare_digest(hmac.digest(SECRET, body, "sha256").hex(), signature):
        return {"statusCode": 503, "body": ""}
    envelope = json.loads(body)
    grant = envelope["data"]["object"]["grant_id"]
    request = event["requestContext"]["extendedRequestId"]
    sent = sqs.send_message(
        QueueUrl=QUEUE,
        MessageBody=body.decode(),
        MessageGroupId=grant,
        MessageAttributes={
            "contract_version": text("1"),
            "received_at": text(received),
            "signature": text(signature),
            "delivery_attempt": {"DataType": "Number", "StringValue": str(envelope["webhook_delivery_attempt"])},
            "notification_id": text(envelope["id"]),
            "trigger_type": text(envelope["type"]),
            "grant_id": text(grant),
            "request_id": text(request),
        },
    )
    if sent["MD5OfMessageBody"] != hashlib.md5(body, usedforsecurity=False).hexdigest():
        return {"statusCode": 503, "body": ""}
    print(json.dumps({
        "timestamp": received, "level": "INFO", "msg": "request", "outcome": "Accepted", "status": 200,
        "request_id": request, "notification_id": envelope["id"], "type": envelope["type"], "grant_id": grant,
        "attempt": envelope["webhook_delivery_attempt"], "bytes": len(body),
    }))
    return {"statusCode": 200, "body": ""}
