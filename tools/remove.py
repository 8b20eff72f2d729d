"""Prepare the removal of a stage: say what goes and what stays, then clear the way.

Called by `make destroy` with the assembly and the stack, before `cdk destroy` deletes
it. CloudFormation deletes no bucket that holds objects, no policy that is attached to
something outside of the stack, and no protected stack. This empties the bucket and takes
the protection off; what is attached, it names. A stage that is protected, or still holds
notifications, is removed only when its name is typed. Bodies, addresses and secrets are not read.
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
    kept = [(kind, id) for kind, id, keeps in resources if keeps]
    unattached(session, region, [id for kind, id in going if kind == POLICY], {id for _, id, _ in resources})

    print("Deleted, with what they hold:")
    holds = tell(session, region, going)
    others = collections.Counter(kind for kind, _ in going if kind not in (BUCKET, QUEUE))
    print(f"  {sum(others.values())} other resources, {others['AWS::Logs::LogGroup']} log groups among them")
    if kept:
        print("Stays, because the stage retains it. Delete it by hand when nobody needs it. SQS and S3 delete what it holds by themselves after 7 to 30 days:")
        tell(session, region, kept)
        for kind, id in kept:
            if kind not in (BUCKET, QUEUE):
                print(f"  {kind} {id}")
    else:
        print("Nothing stays behind.")
    print("Nylas sends to this stage until its webhook there is deleted (hookctl webhook delete), which comes first.", flush=True)

    protected = there.get("EnableTerminationProtection")
    if protected or holds:
        confirm(name.removeprefix("NylasWebhooks-"), "is protected" if protected else "still holds notifications")
    for id in [id for kind, id in going if kind == BUCKET]:
        empty(session, region, id)
    if protected:  # last, so that a removal that stops before leaves the stage protected
        session.client("cloudformation", region_name=region).update_termination_protection(StackName=name, EnableTerminationProtection=False)
        print("destroy: termination protection is off; make deploy sets it again", flush=True)


def tell(session, region, resources):
    """Print what the buckets and queues among the resources hold; whether that is any notification."""
    holds = False
    for kind, id in resources:
        if kind == BUCKET:
            total, spilled = objects(session.client("s3", region_name=region), id)
            print(f"  {kind} {id}: {total} objects, {spilled} of them notifications that nobody has replayed")
            holds = holds or total > 0
        elif kind == QUEUE:
            count = messages(session.client("sqs", region_name=region), id)
            print(f"  {kind} {id}: about {count} messages")
            holds = holds or count > 0
    return holds


def unattached(session, region, policies, own):
    """Raise a Problem that names what outside of the stack the policies (ARNs) are attached to; own are the stack's physical ids."""
    iam = session.client("iam", region_name=region)
    commands = []
    for policy in policies:
        for page in entities(iam, policy):
            for kind in ("Role", "User", "Group"):
                for name in (entity[kind + "Name"] for entity in page[f"Policy{kind}s"]):
                    if name not in own:
                        commands.append(f"aws iam detach-{kind.lower()}-policy --{kind.lower()}-name {name} --policy-arn {policy}")
    if commands:
        raise Problem("policies of this stage are attached to what is not part of it, and are in use there. Stop those, "
                      "detach the policies, then again:\n  " + "\n  ".join(commands))


def entities(iam, policy):
    """The pages of what the policy is attached to; none where it is gone."""
    try:
        return list(iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=policy))
    except botocore.exceptions.ClientError as err:
        if not gone(err):
            raise
        return []


def objects(s3, bucket):
    """How many objects the bucket has, and how many of them are spilled notifications; none where it is gone."""
    total = spilled = 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            total += page["KeyCount"]
            spilled += sum(entry["Key"].startswith(SPILLED) for entry in page.get("Contents", []))
    except botocore.exceptions.ClientError as err:
        if not gone(err):
            raise
    return total, spilled


def messages(sqs, queue):
    """About how many messages the queue has; 0 where it is gone."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
    try:
        counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names))["Attributes"]
    except botocore.exceptions.ClientError as err:
        if not gone(err):
            raise
        return 0
    return sum(int(counts[name]) for name in names)


def gone(err):
    """Whether AWS says that what was asked for is not there, as after a removal that stopped halfway."""
    return err.response["Error"]["Code"] in ("NoSuchBucket", "NoSuchEntity", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


def confirm(stage, why):
    print(f"{stage} {why}. Type its name to remove it: ", end="", flush=True)
    if sys.stdin.readline().strip() != stage:
        raise Problem("that is not its name. Nothing was removed.")


def empty(session, region, bucket):
    """Delete every object and version, and say after each page how many there were."""
    s3 = session.client("s3", region_name=region)
    deleted = 0
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
            if not found:
                continue
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})  # a page has 1,000, which is its limit, too
            errors = answer.get("Errors", [])
            deleted += len(found) - len(errors)
            if errors:
                raise Problem(f"{len(errors)} objects in {bucket} are not deleted ({errors[0]['Code']}), {deleted} are. The stack is there; once that is mended, again.")
            print(f"destroy: {deleted} objects deleted from {bucket}", flush=True)
    except botocore.exceptions.ClientError as err:
        if not gone(err):
            raise
    return deleted


def main():
    try:
        prepare(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f"destroy: {problem}")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        sys.exit(f"destroy: AWS does not let it be looked at or changed ({err}). The stack is there, and nothing was removed but what the lines above say.")


if __name__ == "__main__":
    main()
