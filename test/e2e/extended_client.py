"""Read the queue with the SQS Extended Client Library, as a consumer in Python would.

Prints one message per line: its signature attribute, its content_encoding and its
body, tab-separated. Messages are given back at once (visibility 0).
"""

import os

import boto3
import sqs_extended_client  # noqa: F401  (adds large payload support to boto3's client)

sqs = boto3.client("sqs")
sqs.large_payload_support = os.environ["BUCKET"]
answer = sqs.receive_message(
    QueueUrl=os.environ["QUEUE_URL"],
    MaxNumberOfMessages=10,
    WaitTimeSeconds=1,
    VisibilityTimeout=0,
    MessageAttributeNames=["All"],
)
for message in answer.get("Messages", []):
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    print(attributes["signature"], attributes.get("content_encoding", ""), message["Body"], sep="\t")
