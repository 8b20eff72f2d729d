"""Tests of remove.py, without an account. `make lint` runs them; test/safety removes real stages."""

import contextlib
import io
import unittest
from unittest import mock

import botocore.exceptions
import remove


class Confirm(unittest.TestCase):
    def test_only_the_name(self):
        for typed, right in (("prod\n", True), ("prod", True), ("", False), ("\n", False), ("yes\n", False), ("PROD\n", False), ("production\n", False)):
            with mock.patch("sys.stdin", io.StringIO(typed)), contextlib.redirect_stdout(io.StringIO()):
                if right:
                    remove.confirm("prod", "is protected")
                else:
                    with self.assertRaises(remove.Problem):
                        remove.confirm("prod", "is protected")


class Attached(unittest.TestCase):
    def test_what_is_outside_is_named(self):
        pages = [{"PolicyRoles": [{"RoleName": "receiver"}, {"RoleName": "crm"}], "PolicyUsers": [{"UserName": "ops"}], "PolicyGroups": []},
                 {"PolicyRoles": [], "PolicyUsers": [], "PolicyGroups": [{"GroupName": "on-call"}]}]
        session = mock.Mock()
        session.client.return_value.get_paginator.return_value.paginate.return_value = pages
        with self.assertRaises(remove.Problem) as problem:
            remove.unattached(session, "eu-west-1", ["arn:p"], {"receiver"})
        self.assertEqual(str(problem.exception).split("\n  ")[1:], [
            "aws iam detach-role-policy --role-name crm --policy-arn arn:p",
            "aws iam detach-user-policy --user-name ops --policy-arn arn:p",
            "aws iam detach-group-policy --group-name on-call --policy-arn arn:p",
        ])
        remove.unattached(session, "eu-west-1", ["arn:p"], {"receiver", "crm", "ops", "on-call"})


class Empty(unittest.TestCase):
    def test_every_version_and_marker_and_no_failure_swallowed(self):
        session = mock.Mock()
        s3 = session.client.return_value
        version = {"Key": "spill/a", "VersionId": "1", "IsLatest": True}
        s3.get_paginator.return_value.paginate.return_value = [{"Versions": [version], "DeleteMarkers": [version | {"VersionId": "2"}]}, {}]
        s3.delete_objects.return_value = {}
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(remove.empty(session, "eu-west-1", "bucket"), 2)
        self.assertIn("2 objects deleted", said.getvalue())
        s3.delete_objects.assert_called_once_with(Bucket="bucket", Delete={"Quiet": True, "Objects": [
            {"Key": "spill/a", "VersionId": "1"}, {"Key": "spill/a", "VersionId": "2"}]})
        s3.delete_objects.return_value = {"Errors": [{"Code": "AccessDenied", "Key": "spill/a"}]}
        with self.assertRaises(remove.Problem) as problem:
            remove.empty(session, "eu-west-1", "bucket")
        self.assertIn("1 objects in bucket are not deleted (AccessDenied), 1 are", str(problem.exception))

    def test_what_is_deleted_is_said_before_a_failure(self):
        session = mock.Mock()
        s3 = session.client.return_value
        page = {"Versions": [{"Key": "spill/a", "VersionId": "1"}]}
        s3.get_paginator.return_value.paginate.return_value = [page, page]
        s3.delete_objects.side_effect = [{}, refused("SlowDown")]
        with contextlib.redirect_stdout(io.StringIO()) as said, self.assertRaises(botocore.exceptions.ClientError):
            remove.empty(session, "eu-west-1", "bucket")
        self.assertIn("1 objects deleted from bucket", said.getvalue())


def refused(code):
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": ""}}, "operation")


class Gone(unittest.TestCase):
    def test_what_is_gone_holds_nothing(self):
        session = mock.Mock()
        client = session.client.return_value
        client.get_paginator.return_value.paginate.side_effect = refused("NoSuchBucket")
        client.get_queue_attributes.side_effect = refused("QueueDoesNotExist")
        self.assertEqual(remove.objects(client, "bucket"), (0, 0))
        self.assertEqual(remove.messages(client, "queue"), 0)
        self.assertEqual(remove.empty(session, "eu-west-1", "bucket"), 0)
        client.get_paginator.return_value.paginate.side_effect = refused("NoSuchEntity")
        remove.unattached(session, "eu-west-1", ["arn:p"], set())
        for code, look in (("AccessDenied", lambda: remove.objects(client, "bucket")), ("Throttling", lambda: remove.unattached(session, "eu-west-1", ["arn:p"], set()))):
            client.get_paginator.return_value.paginate.side_effect = refused(code)
            with self.assertRaises(botocore.exceptions.ClientError):
                look()


class Prepare(unittest.TestCase):
    """The order: nothing is changed before the name is typed, and the protection goes last."""

    def prepare(self, protected, typed, delete_objects, spilled=1):
        session = mock.Mock()
        client = session.client.return_value
        calls = []
        client.update_termination_protection.side_effect = lambda **_: calls.append("unprotect")
        client.delete_objects.side_effect = lambda **_: calls.append("delete") or delete_objects
        pages = {"list_objects_v2": [{"KeyCount": spilled, "Contents": [{"Key": "spill/a"}] * spilled}],
                 "list_object_versions": [{"Versions": [{"Key": "spill/a", "VersionId": "1"}] * spilled}]}
        client.get_paginator.side_effect = lambda name: mock.Mock(paginate=lambda **_: pages[name])
        client.get_queue_attributes.return_value = {"Attributes": dict.fromkeys(
            ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"), "0")}
        resources = [(remove.BUCKET, "bucket", False), (remove.QUEUE, "kept-queue", True)]
        with mock.patch("account.check", return_value=(session, "eu-west-1", "NylasWebhooks-x")), \
                mock.patch("account.described", return_value={"StackStatus": "CREATE_COMPLETE", "EnableTerminationProtection": protected}), \
                mock.patch("account.resources", return_value=resources), mock.patch("sys.stdin", io.StringIO(typed)), \
                contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                remove.prepare("cdk.out", "NylasWebhooks-x")
            except remove.Problem as problem:
                calls.append(str(problem))
        return calls, said.getvalue()

    def test_protected(self):
        calls, said = self.prepare(True, "x\n", {})
        self.assertEqual(calls, ["delete", "unprotect"])
        self.assertIn("kept-queue: about 0 messages", said)
        calls, _ = self.prepare(True, "x\n", {"Errors": [{"Code": "AccessDenied"}]})
        self.assertNotIn("unprotect", calls)

    def test_unprotected_that_holds_notifications(self):
        calls, _ = self.prepare(False, "\n", {})
        self.assertEqual(calls, ["that is not its name. Nothing was removed."])
        calls, _ = self.prepare(False, "x\n", {})
        self.assertEqual(calls, ["delete"])

    def test_unprotected_and_empty(self):
        calls, _ = self.prepare(False, "", {}, spilled=0)
        self.assertEqual(calls, [])


if __name__ == "__main__":
    unittest.main()
