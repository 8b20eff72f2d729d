"""Tests of account.py, without an account. `make lint` runs them."""

import contextlib
import io
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


if __name__ == "__main__":
    unittest.main()
