"""Prepare the removal of a stage: say what goes and what stays, then clear the way.

Called by `make destroy` with the assembly and the stack, before `cdk destroy` deletes
it. CloudFormation deletes no bucket that holds objects, no policy that is attached to
something outside of the stack, and no protected stack. This empties the bucket and takes
the protection off; what is attached, it names. A protected stage is removed only when its
name is typed. Bodies, addresses and secrets are not read.
"""

import collections
import sys

import account
import botocore.exceptions
from account import Problem

BUCKET, POLICY, QUEUE = "AWS::S3::Bucket", "AWS::IAM::ManagedPolicy", "AWS::SQS::Queue"
SPILLED = "spill/"  # where the receiver puts what SQS does not take; lambda/contract


def prepare(assembly, stack):
    session, region, name = account.check("destroy", assembly, stack)
    there = account.described(session, name, region)
    if not there:
        raise Problem(f"there is no stack {name} in this account and region.")
    if there["StackStatus"].endswith("_IN_PROGRESS") and there["StackStatus"] != "REVIEW_IN_PROGRESS":
        raise Problem(f"{name} is {there['StackStatus']}. Wait for its end, then again.")
    resources = list(account.resources(session, name, region))
    going = [(kind, id) for kind, id, keeps in resources if not keeps]
    unattached(session, region, [id for kind, id in going if kind == POLICY], {id for _, id, _ in resources})

    buckets = [id for kind, id in going if kind == BUCKET]
    print("Deleted, with what they hold:")
    for id in buckets:
        print("  " + objects(session.client("s3", region_name=region), id))
    for id in [id for kind, id in going if kind == QUEUE]:
        print("  " + messages(session.client("sqs", region_name=region), id))
    others = collections.Counter(kind for kind, _ in going if kind not in (BUCKET, QUEUE))
    print(f"  {sum(others.values())} other resources, {others['AWS::Logs::LogGroup']} log groups among them")
    kept = [f"  {kind} {id}" for kind, id, keeps in resources if keeps]
    print("Stays, because the stage retains it; delete it by hand when nobody needs it:" if kept else "Nothing stays behind.")
    print("\n".join(kept), end="\n" if kept else "")
    print("Nylas sends to this stage until its webhook there is deleted (hookctl webhook delete), which comes first.", flush=True)

    if there.get("EnableTerminationProtection"):
        confirm(name.removeprefix("NylasWebhooks-"))
        session.client("cloudformation", region_name=region).update_termination_protection(StackName=name, EnableTerminationProtection=False)
        print("destroy: termination protection is off", flush=True)
    for id in buckets:
        print(f"destroy: {empty(session, region, id)} objects deleted from {id}", flush=True)


def unattached(session, region, policies, own):
    """Raise a Problem that names what outside of the stack the policies (ARNs) are attached to; own are the stack's physical ids."""
    iam = session.client("iam", region_name=region)
    commands = []
    for policy in policies:
        for page in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=policy):
            for kind in ("Role", "User", "Group"):
                for name in (entity[kind + "Name"] for entity in page[f"Policy{kind}s"]):
                    if name not in own:
                        commands.append(f"aws iam detach-{kind.lower()}-policy --{kind.lower()}-name {name} --policy-arn {policy}")
    if commands:
        raise Problem("policies of this stage are attached to what is not part of it, and are in use there. Stop those, "
                      "detach the policies, then again:\n  " + "\n  ".join(commands))


def objects(s3, bucket):
    total = spilled = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        total += page["KeyCount"]
        spilled += sum(entry["Key"].startswith(SPILLED) for entry in page.get("Contents", []))
    return f"{BUCKET} {bucket}: {total} objects, {spilled} of them notifications that nobody has replayed"


def messages(sqs, queue):
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names))["Attributes"]
    return f"{QUEUE} {queue}: about {sum(int(counts[name]) for name in names)} messages"


def confirm(stage):
    print(f"{stage} is protected. Type its name to remove it: ", end="", flush=True)
    if sys.stdin.readline().strip() != stage:
        raise Problem("that is not its name. Nothing was removed.")


def empty(session, region, bucket):
    """Delete every object and version; how many there were."""
    s3 = session.client("s3", region_name=region)
    deleted = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if not found:
            continue
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})  # a page has 1,000, which is its limit, too
        if errors := answer.get("Errors"):
            raise Problem(f"{len(errors)} objects in {bucket} are not deleted ({errors[0]['Code']}). The stack is untouched; once that is mended, again.")
        deleted += len(found)
    return deleted


def main():
    try:
        prepare(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f"destroy: {problem}")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        sys.exit(f"destroy: AWS refuses to be looked at or changed ({err}). Nothing was removed but what stands above.")


if __name__ == "__main__":
    main()
