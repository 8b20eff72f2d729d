"""Run a program that cannot know the user's AWS account: isolated.py PROGRAM ARGUMENT...

`make synth` calls it, because the CDK CLI asks AWS for the account of whatever
credentials it finds, also when it only writes templates; and engine.py, which then adds
what leads to the local engine. It runs on any Python 3, without the virtual environments.
"""

import os
import sys

# AMAZON_ are older names that the CDK CLI still reads, and CDK_X is its option --x, as --profile.
# https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
PREFIXES = ("AWS_", "AMAZON_", "CDK_")
KEPT = ("CDK_DISABLE_CLI_TELEMETRY", "CDK_HOME", "CDK_VALIDATION")

# Profiles hold credentials, programs that print credentials, and addresses of services.
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",  # the machine's role, where it is an EC2 instance
}


def environment(inherited):
    """The environment (a dict) without what leads to an AWS account."""
    left = {name: value for name, value in inherited.items() if name in KEPT or not name.startswith(PREFIXES)}
    return left | NO_ACCOUNT


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], environment(os.environ))
