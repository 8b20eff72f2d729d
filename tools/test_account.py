"""Tests of account.py, without an account. `make lint` runs them."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

import account
import botocore.exceptions


def session(**services):
    """A session whose clients answer as told: session(lambda_={"get_account_settings": {...}})."""
    def client(name, region_name):
        answers = services.get(name.replace("lambda", "lambda_"), {})
        stub = mock.Mock()
        for method, answer in answers.items():
            setattr(stub, method, mock.Mock(side_effect=answer) if isinstance(answer, Exception) else mock.Mock(return_value=answer))
        return stub
    return mock.Mock(client=client)


def refused(code):
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class Region(unittest.TestCase):
    def test_order_of_the_cdk(self):
        for environment, want in (
            ({}, None),
            ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
            ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-central-1"),
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
            ({"AMAZON_REGION": "us-east-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "us-east-2"),
        ):
            self.assertEqual(account.region_of(environment, {}), want, environment)

    def test_profile(self):
        profiles = {"default": {"region": "eu-west-1"}, "work": {"region": "eu-north-1"}, "bare": {}}
        for environment, want in (
            ({}, "eu-west-1"),
            ({"AWS_PROFILE": "work"}, "eu-north-1"),
            ({"AWS_DEFAULT_PROFILE": "work"}, "eu-north-1"),
            ({"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "default"}, "eu-north-1"),
            ({"AWS_PROFILE": "bare"}, "eu-west-1"),  # the CLI goes on to the default profile
            ({"AWS_PROFILE": "work", "AWS_REGION": "us-east-2"}, "us-east-2"),
        ):
            self.assertEqual(account.region_of(environment, profiles), want, environment)


class Local(unittest.TestCase):
    def test_loopback(self):
        for address, want in (("https://localhost:4566", True), ("https://127.0.0.1:1", True), ("https://[::1]:1", True), (None, False),
                              ("", False), ("https://sqs.eu-west-1.amazonaws.com", False), ("https://localhost.example.com", False)):
            self.assertEqual(account.loopback(address), want, address)


class Stuck(unittest.TestCase):
    def look(self, **stack):
        cloudformation = {
            "describe_stacks": {"Stacks": [stack]},
            "get_template": {"TemplateBody": {"Resources": {"Kept": {"DeletionPolicy": "RetainExceptOnCreate"}, "Gone": {}}}},
            "get_paginator": mock.Mock(paginate=mock.Mock(return_value=[{"StackResourceSummaries": [
                {"LogicalResourceId": id, "PhysicalResourceId": id.lower(), "ResourceType": "AWS::SQS::Queue", "ResourceStatus": status}
                for id, status in (("Kept", "CREATE_COMPLETE"), ("Gone", "CREATE_COMPLETE"), ("Kept", "DELETE_COMPLETE"))
            ]}])),
        }
        account.deployable(session(cloudformation=cloudformation), "NylasWebhooks-prod", "eu-west-1")

    def test_protected(self):
        for status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
            with self.assertRaises(account.Problem) as problem:
                self.look(StackStatus=status, EnableTerminationProtection=True)
            said = str(problem.exception)
            self.assertIn("update-termination-protection --no-enable-termination-protection", said)
            self.assertLess(said.index("update-termination-protection"), said.index("delete-stack"))
            self.assertTrue(said.endswith("retains it:\n  AWS::SQS::Queue kept"), said)

    def test_unprotected(self):
        with self.assertRaises(account.Problem) as problem:
            self.look(StackStatus="DELETE_FAILED")
        self.assertNotIn("termination", str(problem.exception))
        self.look(StackStatus="ROLLBACK_COMPLETE")  # the CDK CLI deletes it

    def test_update_rollback_failed(self):
        with self.assertRaises(account.Problem) as problem:
            self.look(StackStatus="UPDATE_ROLLBACK_FAILED", EnableTerminationProtection=True)
        self.assertIn("continue-update-rollback", str(problem.exception))
        self.assertNotIn("delete-stack", str(problem.exception))

    def test_healthy(self):
        for status in ("CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"):
            self.look(StackStatus=status, EnableTerminationProtection=True)

    def test_not_there_or_not_to_be_seen(self):
        for code in ("ValidationError", "AccessDenied"):
            with contextlib.redirect_stderr(io.StringIO()) as said:
                account.deployable(session(cloudformation={"describe_stacks": refused(code)}), "x", "eu-west-1")
            self.assertEqual("cannot see" in said.getvalue(), code == "AccessDenied")


class Quotas(unittest.TestCase):
    def look(self, concurrency=1000, rate=10_000, burst=5_000, reserved=0, assumed=1000):
        resources = {
            "Stage": {"Properties": {"MethodSettings": [{"ThrottlingRateLimit": 2500, "ThrottlingBurstLimit": 2500}]}},
            "Receiver": {"Properties": {"ReservedConcurrentExecutions": reserved} if reserved else {}},
            "Alarm": {"Properties": {"MetricName": "ClaimedAccountConcurrency", "Threshold": 0.8 * assumed}},
            "NoProperties": {},
        }
        with contextlib.redirect_stderr(io.StringIO()) as said:
            account.quotas(session(
                lambda_={"get_account_settings": {"AccountLimit": {"ConcurrentExecutions": concurrency}}},
                apigateway={"get_account": {"throttleSettings": {"rateLimit": float(rate), "burstLimit": burst}}},
            ), {"Resources": resources}, "NylasWebhooks-prod", "eu-west-1")
        return said.getvalue()

    def test_enough(self):
        self.assertEqual(self.look(), "")

    def test_smaller_burst_is_said(self):
        self.assertIn("1250", self.look(burst=1250))

    def test_too_little(self):
        for less, says in (({"concurrency": 10}, "concurrency here is 10"), ({"rate": 1000}, "1000 requests/s"),
                           ({"reserved": 901}, "reserves a concurrency of 901")):
            with self.assertRaises(account.Problem) as problem:
                self.look(**less)
            self.assertIn(says, str(problem.exception))


class Key(unittest.TestCase):
    """OwnKey set back to false."""

    def look(self, key=False, deployed=("AWS::KMS::Key",), waiting=(0, 0, 0), listing=None, seen=None):
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
        resources = [{"ResourceType": kind, "LogicalResourceId": "Key", "PhysicalResourceId": "k", "ResourceStatus": "CREATE_COMPLETE"} for kind in deployed]
        resources += [{"ResourceType": "AWS::SQS::Queue", "LogicalResourceId": queue, "PhysicalResourceId": queue, "ResourceStatus": "UPDATE_COMPLETE"}
                      for queue in ("Queue4A7E3555", "SpillNotices5DF528D5")]
        paginator = mock.Mock(paginate=mock.Mock(side_effect=listing, return_value=[{"StackResourceSummaries": resources}]))
        self.asked = []

        def attributes(QueueUrl, AttributeNames):
            self.asked.append(QueueUrl)
            if seen:
                raise seen
            return {"Attributes": dict(zip(names, map(str, waiting)))}

        clients = {"cloudformation": mock.Mock(get_paginator=mock.Mock(return_value=paginator)), "sqs": mock.Mock(get_queue_attributes=attributes)}
        stack = {"Resources": {"Key": {"Type": "AWS::KMS::Key"}} if key else {"Queue": {"Type": "AWS::SQS::Queue"}}}
        with contextlib.redirect_stderr(io.StringIO()) as said:
            account.key_in_use(mock.Mock(client=lambda name, region_name: clients[name]), stack, "NylasWebhooks-staging", "eu-west-1")
        return said.getvalue()

    def test_notifications_wait(self):
        for waiting in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            with self.assertRaises(account.Problem) as problem:
                self.look(waiting=waiting)
            self.assertIn("1 notifications wait", str(problem.exception))
            self.assertEqual(self.asked, ["Queue4A7E3555"])  # the notices are not under the key

    def test_nothing_waits(self):
        self.assertEqual(self.look(), "")

    def test_key_stays_or_never_was(self):
        self.assertEqual(self.look(key=True, waiting=(5, 0, 0)), "")
        self.assertEqual(self.look(deployed=(), waiting=(5, 0, 0)), "")

    def test_queue_cannot_be_seen(self):
        with self.assertRaises(account.Problem) as problem:
            self.look(seen=refused("AccessDenied"))
        self.assertIn("cannot be seen", str(problem.exception))

    def test_stack_not_there_or_not_to_be_seen(self):
        self.assertEqual(self.look(listing=refused("ValidationError")), "")
        for code in ("AccessDenied", "Throttling"):
            with self.assertRaises(account.Problem) as problem:
                self.look(listing=refused(code))
            self.assertIn("cannot be seen", str(problem.exception))


class SameCredentials(unittest.TestCase):
    """The CDK CLI must not act elsewhere than where the check has looked."""

    def look(self, environment=None, options=None):
        with tempfile.TemporaryDirectory() as home:
            if options is not None:
                (pathlib.Path(home) / ".cdk.json").write_text(options)
            account.same_credentials(environment or {}, pathlib.Path(home))

    def test_none(self):
        self.look({"AWS_PROFILE": "mine", "CDK_VALIDATION": "false"}, '{"progress": "events"}')
        self.look()

    def test_others(self):
        for environment, options in (({"CDK_PROFILE": "other"}, None), ({"CDK_ROLE_ARN": "arn"}, None), ({"AMAZON_ACCESS_KEY_ID": "AKIA", "AMAZON_SECRET_ACCESS_KEY": "x"}, None),
                                     ({}, '{"profile": "other"}'), ({}, '{"roleArn": "arn"}'), ({}, "profile")):
            with self.assertRaises(account.Problem):
                self.look(environment, options)


class WholeDeployment(unittest.TestCase):
    """Where the CDK CLI would deploy quickly, and what that leaves out."""

    def look(self, name, environment, options="{}"):
        with tempfile.TemporaryDirectory() as home:
            (pathlib.Path(home) / ".cdk.json").write_text(options)
            account.whole_deployment(name, environment, pathlib.Path(home))

    def test_refused(self):
        for environment, options in (({"CDK_HOTSWAP": "true"}, "{}"), ({"CDK_HOTSWAP_FALLBACK": "1"}, "{}"), ({"CDK_EXPRESS": "true"}, "{}"),
                                     ({}, '{"hotswap": true}'), ({}, '{"hotswapFallback": true}'), ({}, '{"express": true}')):
            for name in ("NylasWebhooks-prod", "NylasWebhooks-staging", "NylasWebhooks-account"):
                with self.assertRaises(account.Problem):
                    self.look(name, environment, options)
            self.look("NylasWebhooks-dev", environment, options)

    def test_usual(self):
        self.look("NylasWebhooks-prod", {"CDK_HOTSWAP": "false", "CDK_VALIDATION": "false"}, '{"hotswap": false, "progress": "events"}')


class Check(unittest.TestCase):
    """What the deployment and the credentials are looked at for, all in all."""

    def check(self, region="eu-west-1", verb="deploy"):
        steps = ("caller", "deployable", "logging_role", "quotas", "key_in_use")
        with contextlib.ExitStack() as patches:
            patches.enter_context(mock.patch.object(account, "place", return_value=(None, region)))
            patches.enter_context(mock.patch.object(account, "template", return_value={}))
            patches.enter_context(contextlib.redirect_stdout(io.StringIO()))
            done = {step: patches.enter_context(mock.patch.object(account, step)) for step in steps}
            patches.enter_context(mock.patch.object(account, "same_credentials"))
            done["whole_deployment"] = patches.enter_context(mock.patch.object(account, "whole_deployment"))
            account.check(verb, "cdk.out", "NylasWebhooks-dev")
        return [step for step in ("whole_deployment", *steps) if done[step].called]

    def test_china(self):
        with self.assertRaises(account.Problem) as problem:
            self.check(region="cn-north-1")
        self.assertIn("in China", str(problem.exception))

    def test_every_step(self):
        self.assertEqual(self.check(), ["whole_deployment", "caller", "deployable", "logging_role", "quotas", "key_in_use"])
        self.assertEqual(self.check(verb="diff"), ["caller"])


class Assembly(unittest.TestCase):
    """The account's stack is in an assembly inside the assembly, where its template's file has another name."""

    def test_nested(self):
        with tempfile.TemporaryDirectory() as directory:
            outer, inner = pathlib.Path(directory), pathlib.Path(directory) / "assembly-account"
            inner.mkdir()
            for folder, stack, file, environment in (
                (outer, "NylasWebhooks-prod", "NylasWebhooks-prod.template.json", "aws://111122223333/eu-west-1"),
                (inner, "account/NylasWebhooks-account", "accountNylasWebhooksaccountF5E8CB5E.template.json", "aws://unknown-account/unknown-region"),
            ):
                (folder / "manifest.json").write_text(json.dumps({"artifacts": {"x": {
                    "type": "aws:cloudformation:stack", "displayName": stack, "environment": environment, "properties": {"templateFile": file}}}}))
                (folder / file).write_text(json.dumps({"Resources": {}, "Description": stack}))
            for stack, place in (("NylasWebhooks-prod", ("111122223333", "eu-west-1")), ("account/NylasWebhooks-account", (None, None))):
                self.assertEqual(account.place(outer, stack), place)
                self.assertEqual(account.template(outer, stack)["Description"], stack)
            with self.assertRaises(account.Problem):
                account.template(outer, "NylasWebhooks-account")


if __name__ == "__main__":
    unittest.main()
