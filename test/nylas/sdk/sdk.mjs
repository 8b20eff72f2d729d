// Runs the official Node SDK through the life of a webhook and prints what it got, in
// the names of the wire, as one JSON object. sdk_test.go calls it:
//   node sdk.mjs make            create, list, find, update, rotate, and three refusals
//   node sdk.mjs remove <id>     delete
// Environment: NYLAS_API_URI, NYLAS_API_KEY, WEBHOOK_URL (passes the challenge), DEAD_URL (does not).
import Nylas, { WebhookTriggers } from "nylas";

const { NYLAS_API_URI: apiUri, NYLAS_API_KEY: apiKey, WEBHOOK_URL, DEAD_URL } = process.env;
const { webhooks } = new Nylas({ apiKey, apiUri });

const snake = (name) => name.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());
const wire = (object) => Object.fromEntries(Object.entries(object).map(([key, value]) => [snake(key), value]));
const refusal = (promise) =>
  promise.then(
    () => null,
    (error) => ({ status: error.statusCode, type: error.type, request_id: error.requestId }),
  );

async function make() {
  const requestBody = {
    triggerTypes: [WebhookTriggers.MessageCreated, WebhookTriggers.GrantExpired],
    webhookUrl: WEBHOOK_URL,
    description: "made by the SDK",
    notificationEmailAddresses: ["ops@example.com"],
  };
  const created = (await webhooks.create({ requestBody })).data;
  const webhookId = created.id;
  return {
    created: wire(created),
    listed: (await webhooks.list()).data.map(wire),
    found: wire((await webhooks.find({ webhookId })).data),
    updated: wire((await webhooks.update({ webhookId, requestBody: { description: "changed" } })).data),
    rotated: wire((await webhooks.rotateSecret({ webhookId })).data),
    addresses: (await webhooks.ipAddresses()).data.ipAddresses,
    wrong_key: await refusal(new Nylas({ apiKey: "wrong", apiUri }).webhooks.list()),
    no_challenge: await refusal(webhooks.create({ requestBody: { ...requestBody, webhookUrl: DEAD_URL } })),
    no_such_id: await refusal(webhooks.find({ webhookId: "none" })),
  };
}

const [command, webhookId] = process.argv.slice(2);
const result = command === "make" ? await make() : { removed: (await webhooks.destroy({ webhookId })).data.status };
console.log(JSON.stringify(result));
