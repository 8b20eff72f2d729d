"""Look before a deployment: does this stage fit the AWS account the credentials open?

Called by `make diff` and `make deploy` with their name, the assembly and the stack, and by
remove.py. It reads where the stack belongs and asks AWS a few read-only questions. What it finds
wrong it says in a sentence and exits with 1; what the stage itself lacks is told by
`go run ./infra -check`, and what the CDK CLI says well (an account that was not
bootstrapped) is left to it.
"""

import json
import os
import sys
import urllib.parse
from pathlib import Path

import boto3
import botocore.exceptions

ROLE_STACK = "NylasWebhooks-account"  # API Gateway's logging role, one per account and region
LOCAL_STACK = "NylasWebhooks-local"  # runs on the local engine, which writes no access logs


class Problem(Exception):
    """Something the person at the keyboard can act on. Printed as it is, without a trace."""


def place(assembly, stack):
    """Account and region of a stack, each None where it goes wherever the credentials point.

    stack is what the CDK CLI calls it ("NylasWebhooks-dev", "account/NylasWebhooks-account"),
    assembly the directory of `cdk synth`; a stack with a slash is in an assembly inside it.
    https://docs.aws.amazon.com/cdk/v2/guide/configure-synth.html
    """
    account, _, region = artifact(assembly, stack)[0]["environment"].removeprefix("aws://").partition("/")
    return tuple(None if name.startswith("unknown-") else name for name in (account, region))


def artifact(assembly, stack):
    """The stack's entry in the assembly's manifest, and the directory of that."""
    for manifest in Path(assembly).glob("**/manifest.json"):
        for entry in json.loads(manifest.read_text(encoding="utf-8"))["artifacts"].values():
            if entry["type"] == "aws:cloudformation:stack" and entry.get("displayName") == stack:
                return entry, manifest.parent
    raise Problem(f"there is no stack {stack} in {assembly}. make synth writes it.")


def check(verb, assembly, stack):
    """Raise a Problem when the verb ("diff", "deploy", "destroy") must not be carried out with the credentials at hand.

    Returns the session, the region and the stack's name in CloudFormation.
    """
    account, region = place(assembly, stack)
    name = stack.rpartition("/")[2]
    if name == LOCAL_STACK and not loopback(os.environ.get("AWS_ENDPOINT_URL")):
        raise Problem(f"{name} is on the local engine only, and AWS_ENDPOINT_URL does not lead to this machine. Use make, which sets it.")
    same_credentials(os.environ, Path.home())
    if verb == "deploy":
        whole_deployment(name, os.environ, Path.home())
    if os.environ.get("AWS_PROFILE"):
        os.environ.pop("AWS_DEFAULT_PROFILE", None)  # boto3 would prefer it, the CDK CLI does not
    session = boto3.Session()
    region = region or region_of(os.environ, session._session.full_config["profiles"])
    if not region:
        raise Problem("no AWS region. Set AWS_REGION, or a region in your AWS profile.")
    if region.startswith("cn-"):
        raise Problem(f"{region} is in China, where nobody has tried whether SQS takes a MessageGroupId on a standard queue; without that every send fails. Use another region.")
    mine = caller(session, region)
    if account and account != mine:
        raise Problem(f"{stack} belongs to account {account}; these credentials are of account {mine}. Set AWS_PROFILE to a profile of {account}.")
    if verb == "deploy":
        deployable(session, name, region)
    if verb == "deploy" and name != LOCAL_STACK:
        logging_role(session, name, mine, region)
        quotas(session, template(assembly, stack), name, region)
        key_in_use(session, template(assembly, stack), name, region)
    print(f"{verb}: {name} in account {mine}, region {region}", flush=True)
    return session, region, name


QUICK = ("hotswap", "hotswapFallback", "express")  # options of cdk deploy
DEVELOPMENT = ("NylasWebhooks-dev", LOCAL_STACK)


def whole_deployment(name, environment, home):
    """Raise a Problem where the CDK CLI would deploy a stack quickly instead of wholly, outside of development.

    hotswap changes the function past CloudFormation, so no version is made, the next
    deployment does not know of it, and there is nothing to go back to. express does not wait
    until what was made works, and takes nothing back when it fails. make passes neither on;
    as all options of the CLI they can come from the environment and from ~/.cdk.json.
    https://docs.aws.amazon.com/cdk/v2/guide/ref-cli-cmd-deploy.html
    """
    if name in DEVELOPMENT:
        return
    names = [variable for variable in ("CDK_HOTSWAP", "CDK_HOTSWAP_FALLBACK", "CDK_EXPRESS") if environment.get(variable, "false") != "false"]
    names += [f'"{option}" in ~/.cdk.json' for option in QUICK if own_options(home).get(option)]
    if names:
        raise Problem(f"{name} is deployed wholly or not at all, and {', '.join(names)} asks for less: what goes live then is in no version and cannot be taken back. Remove that, and deploy again.")


def own_options(home):
    """The person's own options of the CDK CLI."""
    try:
        return json.loads((home / ".cdk.json").read_text())
    except OSError:
        return {}
    except ValueError as err:
        raise Problem(f"~/.cdk.json, which the CDK CLI reads, is no JSON: {err}") from err


def same_credentials(environment, home):
    """Raise a Problem where the CDK CLI would take other credentials than AWS's other tools, and so this check.

    The CLI has options of its own for that: every CDK_… variable is one, as is every
    member of ~/.cdk.json, and it reads AMAZON_… for AWS_….
    https://docs.aws.amazon.com/cdk/v2/guide/cli.html
    """
    names = [name for name in ("CDK_PROFILE", "CDK_ROLE_ARN", "AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN") if environment.get(name)]
    options = own_options(home)
    names += [f'"{name}" in ~/.cdk.json' for name in ("profile", "roleArn") if options.get(name)]
    if names:
        raise Problem(f"the CDK CLI would use other credentials than AWS's other tools, because of {', '.join(names)}. Remove that, and set AWS_PROFILE instead.")


def loopback(address):
    return urllib.parse.urlsplit(address or "").hostname in ("localhost", "127.0.0.1", "::1")


def region_of(environment, profiles):
    """The region that the CDK CLI takes for a stack without one, None where nothing names one.

    environment and profiles (of the shared files, by name) are mappings. boto3 alone does
    not read AWS_REGION. The order is that of AwsCliCompatible.region in the CLI, without its
    last two: the region of an EC2 instance, and us-east-1, which nobody has chosen.
    https://github.com/aws/aws-cdk-cli/blob/main/packages/%40aws-cdk/toolkit-lib/lib/api/aws-auth/awscli-compatible.ts
    """
    for name in ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION"):
        if environment.get(name):
            return environment[name]
    profile = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    return profiles.get(profile, {}).get("region") or profiles.get("default", {}).get("region")


def described(session, name, region):
    """What CloudFormation says of the stack (a dict), None where there is none.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
    """
    try:
        return session.client("cloudformation", region_name=region).describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as err:
        if err.response["Error"]["Code"] == "ValidationError":  # what CloudFormation calls a stack that is not there
            return None
        raise


def resources(session, name, region):
    """Type, physical id and whether it stays when the stack is deleted, of each resource that the stack has.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
    """
    cloudformation = session.client("cloudformation", region_name=region)
    declared = cloudformation.get_template(StackName=name)["TemplateBody"].get("Resources", {})
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
        for r in page["StackResourceSummaries"]:
            if r.get("PhysicalResourceId") and r["ResourceStatus"] != "DELETE_COMPLETE":
                policy = declared.get(r["LogicalResourceId"], {}).get("DeletionPolicy", "Delete")
                # A version is retained for the alias that points to it, and goes with its function.
                keeps = policy.startswith("Retain") and r["ResourceType"] != "AWS::Lambda::Version"
                yield r["ResourceType"], r["PhysicalResourceId"], keeps


def deployable(session, name, region):
    """Raise a Problem where the stack is in a state that no deployment gets it out of.

    The CDK CLI itself deletes what a failed first deployment left behind, unless the stack
    is protected from that.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    """
    try:
        stack = described(session, name, region) or {"StackStatus": "not there"}
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        print(f"deploy: cannot see in which state {name} is ({err}); going on", file=sys.stderr)
        return
    status, protected = stack["StackStatus"], stack.get("EnableTerminationProtection")
    at = f"--region {region} --stack-name {name}"
    look = f"Look why: aws cloudformation describe-stack-events {at}"
    if status == "UPDATE_ROLLBACK_FAILED":
        raise Problem(f"{name} is {status}: neither the last deployment nor the way back from it succeeded. {look}\n"
                      f"Mend that, then continue the way back and deploy again:\n  aws cloudformation continue-update-rollback {at}")
    if status not in ("DELETE_FAILED", "CREATE_FAILED") and not (protected and status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")):
        return
    what = "its removal stopped" if status == "DELETE_FAILED" else "its first deployment failed"
    commands = [f"aws cloudformation delete-stack {at}", f"aws cloudformation wait stack-delete-complete {at}"]
    if protected:
        commands.insert(0, f"aws cloudformation update-termination-protection --no-enable-termination-protection {at}")
    raise Problem(f"{name} is {status}: {what}, and CloudFormation updates such a stack no more. {look}\n"
                  "Then remove it and deploy again:\n  " + "\n  ".join(commands) + stays(session, name, region))


def stays(session, name, region):
    """A paragraph on what the deletion of a stack leaves behind, "" where that is nothing."""
    try:
        kept = [f"\n  {kind} {physical}" for kind, physical, keeps in resources(session, name, region) if keeps]
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        return f"\nWhat that leaves behind cannot be seen ({err})."
    return "\nThat leaves behind, because the stage retains it:" + "".join(kept) if kept else ""


def template(assembly, stack):
    """The template of a stack in an assembly. Its file has another name where the assembly is inside another."""
    entry, directory = artifact(assembly, stack)
    return json.loads((directory / entry["properties"]["templateFile"]).read_text(encoding="utf-8"))


def quotas(session, stack, name, region):
    """Raise a Problem where the template asks for more than the account has: new accounts have far less than AWS's documents say.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    """
    properties = [resource["Properties"] for resource in stack["Resources"].values() if "Properties" in resource]
    reserved = max((p.get("ReservedConcurrentExecutions", 0) for p in properties), default=0)
    settings = [s for p in properties for s in p.get("MethodSettings", []) if isinstance(s, dict)]
    rate = max((s.get("ThrottlingRateLimit", 0) for s in settings), default=0)
    burst = max((s.get("ThrottlingBurstLimit", 0) for s in settings), default=0)
    if not rate:
        return  # a stack without an API
    assumed = next((p["Threshold"] / 0.8 for p in properties if p.get("MetricName") == "ClaimedAccountConcurrency"), 0)
    try:
        limits = session.client("lambda", region_name=region).get_account_settings()["AccountLimit"]
        gateway = session.client("apigateway", region_name=region).get_account().get("throttleSettings", {})
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        print(f"deploy: cannot see the account's quotas in {region} ({err}); going on", file=sys.stderr)
        return
    wrong = []
    if assumed and assumed > limits["ConcurrentExecutions"]:
        wrong.append(f"Lambda's concurrency here is {limits['ConcurrentExecutions']}, the stage assumes {assumed:.0f} (AccountConcurrency): "
                     "bursts beyond it read 503, and alarm Concurrency would never ring.")
    if reserved > limits["ConcurrentExecutions"] - 100:
        wrong.append(f"the stage reserves a concurrency of {reserved} of {limits['ConcurrentExecutions']}, and Lambda keeps 100 unreserved.")
    if rate > gateway.get("rateLimit", rate):
        wrong.append(f"API Gateway lets {gateway['rateLimit']:.0f} requests/s in here, the stage's throttle is {rate}.")
    if burst > gateway.get("burstLimit", burst):
        # Said and not refused: the account's burst holds then, and ADR 11 knows it.
        print(f"deploy: API Gateway's burst here is {gateway['burstLimit']}, the stage's {burst}; the smaller one holds", file=sys.stderr)
    if wrong:
        raise Problem(f"{name} does not fit into this account: " + " ".join(wrong) + " Ask for a higher quota (Service Quotas), or set the stage to what there is.")


def key_in_use(session, stack, name, region):
    """Raise a Problem where a deployment takes the stage's key away (OwnKey set to false) from under notifications that wait.

    A message stays under the key that its queue had when it was sent, and with the key every
    policy of the stack loses the right to decrypt. So where it cannot be seen whether any
    wait, that is a Problem, too.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-server-side-encryption.html
    """
    if any(resource["Type"] == "AWS::KMS::Key" for resource in stack["Resources"].values()):
        return
    cloudformation = session.client("cloudformation", region_name=region)
    try:
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        deployed = [r for page in pages for r in page["StackResourceSummaries"] if r["ResourceStatus"] != "DELETE_COMPLETE"]
    except botocore.exceptions.ClientError as err:
        if err.response["Error"]["Code"] == "ValidationError":  # it is not there yet
            return
        raise Problem(f"whether this deployment takes a key of {name} away (OwnKey is false) cannot be seen: {err}. "
                      "Deploy with a role that has cloudformation:ListStackResources.") from err
    if not any(r["ResourceType"] == "AWS::KMS::Key" for r in deployed):
        return
    sqs = session.client("sqs", region_name=region)
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    waiting = 0
    try:
        for r in deployed:
            if r["ResourceType"] == "AWS::SQS::Queue" and not r["LogicalResourceId"].startswith("SpillNotices"):  # those are not under the key
                attributes = sqs.get_queue_attributes(QueueUrl=r["PhysicalResourceId"], AttributeNames=counts)["Attributes"]
                waiting += sum(int(attributes[count]) for count in counts)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        raise Problem(f"this deployment takes the key of {name} away (OwnKey is false), and whether notifications wait under it cannot be seen: {err}. "
                      "Deploy with a role that has sqs:GetQueueAttributes, or leave OwnKey true.") from err
    if waiting:
        raise Problem(f"this deployment takes the key of {name} away (OwnKey is false), and {waiting} notifications wait under it: nobody could read them afterwards. "
                      "Leave OwnKey true. Or let the consumer empty the queue, look after the dead letters (hookctl dlq ls), and deploy in a quiet hour: "
                      "what arrives in the moment of the change may stay under the old key as well (hookctl gaps names what is missing then).")


def caller(session, region):
    """The account number of the credentials."""
    try:
        return session.client("sts", region_name=region).get_caller_identity()["Account"]
    except botocore.exceptions.NoCredentialsError as err:
        raise Problem("no AWS credentials. Set AWS_PROFILE, or sign in (aws sso login).") from err
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        raise Problem(f"the AWS credentials do not work: {err}. Sign in again (aws sso login), or set AWS_PROFILE.") from err


def logging_role(session, name, account, region):
    """API Gateway writes access logs with one role per account and region; a stage needs it, and nobody's may be overwritten.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    where = f"account {account}, region {region}"
    try:
        role = session.client("apigateway", region_name=region).get_account().get("cloudwatchRoleArn")
        if name == ROLE_STACK and role and not described(session, ROLE_STACK, region):
            raise Problem(f"{where} already has a logging role, {role}. Deploying would replace it for every API there: skip this step.")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        # A role that may only deploy need not be allowed to look.
        print(f"deploy: cannot see whether API Gateway has its logging role in {where} ({err}); going on", file=sys.stderr)
        return
    if name != ROLE_STACK and not role:
        raise Problem(f"API Gateway has no role to write access logs with in {where}. Once per account and region: make deploy STAGE=account")


def main():
    try:
        check(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f"{sys.argv[1]}: {problem}")


if __name__ == "__main__":
    main()
