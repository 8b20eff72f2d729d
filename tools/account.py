"""Look before a deployment: does this stage fit the AWS account the credentials open?

Called by `make diff` and `make deploy` with a name: a stage, or "account" for the
account-wide logging role. It reads cdk.out/manifest.json (what was synthesized)
and asks AWS three read-only questions. It changes nothing. What it finds wrong it
says in a sentence and exits with 1; what the CDK CLI says well itself (an account
that was not bootstrapped) is left to it.
"""

import json
import sys
from pathlib import Path

import boto3
import botocore.exceptions

PREFIX = "NylasWebhooks-"
ACCOUNT = "account"  # the stack that is no stage: API Gateway's logging role
LOCAL = "local"  # the stage on the local engine, which writes no access logs


class Problem(Exception):
    """Something the person at the keyboard can act on. Printed as it is, without a trace."""


def read_stacks(manifest):
    """Every stack of the cloud assembly as name -> (account, region, protected).

    Account and region are None where the stack goes wherever the credentials point.
    https://docs.aws.amazon.com/cdk/v2/guide/configure-synth.html describes the assembly.
    """
    artifacts = json.loads(Path(manifest).read_text(encoding="utf-8"))["artifacts"]
    stacks = {}
    for artifact in artifacts.values():
        if artifact["type"] != "aws:cloudformation:stack":
            continue
        account, _, region = artifact["environment"].removeprefix("aws://").partition("/")
        name = artifact["properties"].get("stackName") or artifact.get("displayName", "")
        stacks[name] = (
            None if account.startswith("unknown-") else account,
            None if region.startswith("unknown-") else region,
            artifact["properties"].get("terminationProtection", False),
        )
    return stacks


def check(name, stacks):
    """Raise a Problem when name must not be deployed with the credentials at hand."""
    if PREFIX + name not in stacks:
        known = ", ".join(sorted(stack.removeprefix(PREFIX) for stack in stacks))
        said = f"there is no stage {name!r}" if name else "no stage is named (STAGE=dev)"
        raise Problem(f"{said}. There are: {known}.")
    account, region, protected = stacks[PREFIX + name]
    if protected and not (account and region):
        raise Problem(f"{name} names no account and region. Set both for it in infra/stages/stages.go.")

    session = boto3.Session()
    region = region or session.region_name
    if not region:
        raise Problem("no AWS region. Set AWS_REGION, or a region in your AWS profile.")
    mine = caller(session, region)
    if account and account != mine:
        raise Problem(f"{name} belongs to account {account}; these credentials are of account {mine}. Set AWS_PROFILE to a profile of {account}.")
    if name != LOCAL:
        logging_role(session, name, mine, region)
    print(f"deploy: {PREFIX}{name} in account {mine}, region {region}")


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
    place = f"account {account}, region {region}"
    try:
        role = session.client("apigateway", region_name=region).get_account().get("cloudwatchRoleArn")
        if name == ACCOUNT and role and not is_ours(session, region):
            raise Problem(f"{place} already has a logging role, {role}. Deploying would replace it for every API there: skip this step.")
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as err:
        # A role that may only deploy need not be allowed to look.
        print(f"deploy: cannot see whether API Gateway has its logging role in {place} ({err}); going on", file=sys.stderr)
        return
    if name != ACCOUNT and not role:
        raise Problem(f"API Gateway has no role to write access logs with in {place}. Once per account and region: make deploy STAGE={ACCOUNT}")


def is_ours(session, region):
    try:
        session.client("cloudformation", region_name=region).describe_stacks(StackName=PREFIX + ACCOUNT)
    except botocore.exceptions.ClientError as err:
        if err.response["Error"]["Code"] == "ValidationError":  # what CloudFormation calls a stack that is not there
            return False
        raise
    return True


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        check(name, read_stacks("cdk.out/manifest.json"))
    except Problem as problem:
        sys.exit(f"deploy: {problem}")


if __name__ == "__main__":
    main()
