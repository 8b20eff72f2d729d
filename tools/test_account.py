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
            self.assertEqual(account.region_of(environment), want, environment)


class Stuck(unittest.TestCase):
    def look(self, **stack):
        account.deployable(session(cloudformation={"describe_stacks": {"Stacks": [stack]}}), "NylasWebhooks-prod", "eu-west-1")

    def test_protected(self):
        with self.assertRaises(account.Problem) as problem:
            self.look(StackStatus="ROLLBACK_COMPLETE", EnableTerminationProtection=True)
        said = str(problem.exception)
        self.assertIn("update-termination-protection --no-enable-termination-protection", said)
        self.assertLess(said.index("update-termination-protection"), said.index("delete-stack"))

    def test_unprotected(self):
        with self.assertRaises(account.Problem) as problem:
            self.look(StackStatus="DELETE_FAILED")
        self.assertNotIn("termination", str(problem.exception))

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
