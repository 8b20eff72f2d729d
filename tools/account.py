"""Look before a deployment: does this stage fit the AWS account the credentials open?

Called by `make diff` and `make deploy` with their name, the assembly and the stack. It
reads where the stack belongs and asks AWS a few read-only questions. What it finds
wrong it says in a sentence and exits with 1; what the stage itself lacks is told by
`go run ./infra -check`, and what the CDK CLI says well (an account that was not
bootstrapped) is left to it.
"""

import json
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
    region = region or session.region_name
    if not region:
        raise Problem("no AWS region. Set AWS_REGION, or a region in your AWS profile.")
    mine = caller(session, region)
    if account and account != mine:
        raise Problem(f"{stack} belongs to account {account}; these credentials are of account {mine}. Set AWS_PROFILE to a profile of {account}.")
    name = stack.rpartition("/")[2]
    if verb == "deploy" and name != LOCAL_STACK:
        logging_role(session, name, mine, region)
    print(f"{verb}: {name} in account {mine}, region {region}")


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
