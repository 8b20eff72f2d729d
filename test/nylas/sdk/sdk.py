"""Runs the official Python SDK through the life of a webhook; like sdk.mjs, which says more."""

import json
import os
import sys

from nylas import Client
from nylas.models.errors import NylasApiError
from nylas.models.webhooks import WebhookTriggers

URI, KEY = os.environ["NYLAS_API_URI"], os.environ["NYLAS_API_KEY"]
webhooks = Client(KEY, URI).webhooks


def refusal(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except NylasApiError as error:
        return {"status": error.status_code, "type": error.type, "request_id": error.request_id}
    return None


def make():
    body = {
        "trigger_types": [WebhookTriggers.MESSAGE_CREATED, WebhookTriggers.GRANT_EXPIRED],
        "webhook_url": os.environ["WEBHOOK_URL"],
        "description": "made by the SDK",
        "notification_email_addresses": ["ops@example.com"],
    }
    created = webhooks.create(request_body=body).data
    return {
        "created": created.to_dict(),
        "listed": [one.to_dict() for one in webhooks.list().data],
        "found": webhooks.find(created.id).data.to_dict(),
        "updated": webhooks.update(created.id, request_body={"description": "changed"}).data.to_dict(),
        "rotated": webhooks.rotate_secret(created.id).data.to_dict(),
        "addresses": webhooks.ip_addresses().data.ip_addresses,
        "wrong_key": refusal(Client("wrong", URI).webhooks.list),
        "no_challenge": refusal(webhooks.create, request_body={**body, "webhook_url": os.environ["DEAD_URL"]}),
        "no_such_id": refusal(webhooks.find, "none"),
    }


command, *ids = sys.argv[1:]
print(json.dumps(make() if command == "make" else {"removed": webhooks.destroy(ids[0]).data.status}))
