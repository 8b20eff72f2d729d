"""Look before a deployment: does this stage fit the AWS account the credentials open?

Called by `make diff` and `make deploy` with their name, the assembly and the stack. It
reads where the stack belongs and asks AWS a few read-only questions. What it finds
wrong it says in a sentence and exits with 1; what the stage itself lacks is told by
`go run ./infra -check`, and what the CDK CLI says well (an account that was not
bootstrapped) is left to it.
"""

import json
import os
import sys
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
    for manifest in Path(assembly).glob("**/manifest.json"):
        for artifact in json.loads(manifest.read_text(encoding="utf-8"))["artifacts"].values():
            if artifact["type"] == "aws:cloudformation:stack" and artifact.get("displayName") == stack:
                account, _, region = artifact["environment"].removeprefix("aws://").partition("/")
                return tuple(None if name.startswith("unknown-") else name for name in (account, region))
    raise Problem(f"there is no stack {stack} in {assembly}. make synth writes it; the stages are in infra/stages.")


def check(verb, assembly, stack):
    """Raise a Problem when the verb, "diff" or "deploy", must not be carried out with the credentials at hand."""
    account, region = place(assembly, stack)
    session = boto3.Session()
    region = region or region_of(os.environ) or session.region_name
    if not region:
        raise Problem("no AWS region. Set AWS_REGION, or a region in your AWS profile.")
    mine = caller(session, region)
    if account and account != mine:
        raise Problem(f"{stack} belongs to account {account}; these credentials are of account {mine}. Set AWS_PROFILE to a profile of {account}.")
    name = stack.rpartition("/")[2]
    if verb == "deploy":
        deployable(session, name, region)
    if verb == "deploy" and name != LOCAL_STACK:
        logging_role(session, name, mine, region)
        quotas(session, template(assembly, name), name, region)
    print(f"{verb}: {name} in account {mine}, region {region}")


def region_of(environment):
    """The region that the environment (a mapping) names, by the CDK CLI's order; None where it names none.

    boto3 reads only AWS_DEFAULT_REGION; the profile's region comes after these four.
    https://docs.aws.amazon.com/cdk/v2/guide/configure-env.html
    """
    for name in ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION"):
        if environment.get(name):
            return environment[name]
    return None


# States in which CloudFormation refuses every update: what is there never worked or is half gone.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
STUCK = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


def deployable(session, name, region):
    """Raise a Problem where the stack is in a state that no deployment gets it out of."""
    cloudformation = session.client("cloudformation", region_name=region)
    try:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as err:
        if err.response["Error"]["Code"] != "ValidationError":  # else it is not there yet
            print(f"deploy: cannot see in which state {name} is ({err}); going on", file=sys.stderr)
        return
    if stack["StackStatus"] not in STUCK:
        return
    commands = [f"aws cloudformation delete-stack --region {region} --stack-name {name}"]
    if stack.get("EnableTerminationProtection"):
        commands.insert(0, f"aws cloudformation update-termination-protection --no-enable-termination-protection --region {region} --stack-name {name}")
    raise Problem(
        f"{name} is {stack['StackStatus']}: its first deployment failed or its deletion stopped, and CloudFormation updates it no more. "
        "Look why (aws cloudformation describe-stack-events), then remove it and deploy again:\n  " + "\n  ".join(commands)
    )


def template(assembly, name):
    """The template of a stack in an assembly (a directory of `cdk synth`)."""
    return json.loads(next(Path(assembly).glob(f"**/{name}.template.json")).read_text(encoding="utf-8"))


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
        if name == ROLE_STACK and role and not is_ours(session, region):
            raise Problem(f"{where} already has a logging role, {role}. Deploying would replace it for every API there: skip this step.")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        # A role that may only deploy need not be allowed to look.
        print(f"deploy: cannot see whether API Gateway has its logging role in {where} ({err}); going on", file=sys.stderr)
        return
    if name != ROLE_STACK and not role:
        raise Problem(f"API Gateway has no role to write access logs with in {where}. Once per account and region: make deploy STAGE=account")


def is_ours(session, region):
    try:
        session.client("cloudformation", region_name=region).describe_stacks(StackName=ROLE_STACK)
    except botocore.exceptions.ClientError as err:
        if err.response["Error"]["Code"] == "ValidationError":  # what CloudFormation calls a stack that is not there
            return False
        raise
    return True


def main():
    try:
        check(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f"{sys.argv[1]}: {problem}")


if __name__ == "__main__":
    main()
