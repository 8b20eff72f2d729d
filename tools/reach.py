"""The environment that leads to the local engine, and to nothing else. Part of engine.py."""

import json
import os
import urllib.parse
from pathlib import Path

import isolated

HOST = "127.0.0.1"
REGION = "us-east-1"  # the engine's own default; stage local belongs there (infra/stages, Local)
NOWHERE = f"https://{HOST}:1"  # nothing listens there: port 1 is for a service (tcpmux) that nobody runs


def environment(engine, outputs, stack):
    """The environment of this process, leading the AWS CLI, SDKs, the CDK CLI and Go programs to the engine and to nothing else.

    An engine that never ran gets an address where nothing answers.
    """
    url = engine.url() if engine.record() else NOWHERE
    hosts = (os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "").split(",")
    direct = ",".join(dict.fromkeys(filter(None, [*hosts, "localhost", HOST])))
    environment = isolated.environment(os.environ) | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,  # makes the CDK CLI use path-style bucket addresses
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",  # the engine's root user; any secret fits it
        "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
    if engine.cert.exists():  # else the shell is left with what it trusts, for `make run` to download with
        environment |= {
            "NODE_EXTRA_CA_CERTS": str(engine.cert),  # adds to Node's roots; the next two replace a program's
            "AWS_CA_BUNDLE": str(engine.bundle),
            "SSL_CERT_FILE": str(engine.bundle),
        }
    environment.pop("WEBHOOK_URL", None)  # another engine's
    if engine.record() and (webhook := webhook_url(engine, outputs, stack)):
        environment["WEBHOOK_URL"] = webhook
    return environment


def webhook_url(engine, outputs, stack):
    """Where this engine serves the deployed stack's WebhookUrl, or None before a deployment.

    The output has the address that the API would have on AWS,
    https://<api>.execute-api.<region>.amazonaws.com/<stage>/<path>; the engine
    serves it under https://localhost:<port>/restapis/<api>/<stage>/_user_request_/<path>.
    """
    if not (outputs and os.path.exists(outputs)):
        return None
    try:
        deployed = json.loads(Path(outputs).read_text(encoding="utf-8"))
    except ValueError:
        return None  # a deployment that was interrupted while it wrote the file
    url = urllib.parse.urlsplit(deployed.get(stack, {}).get("WebhookUrl", ""))
    api, _, rest = (url.hostname or "").partition(".")
    if not rest.startswith("execute-api."):
        return url.geturl() or None
    stage, _, path = url.path.lstrip("/").partition("/")
    return f"{engine.url()}/restapis/{api}/{stage}/_user_request_/{path}"
