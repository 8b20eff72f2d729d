"""Tests of remove.py, without an account. `make lint` runs them; test/safety removes real stages."""

import contextlib
import io
import unittest
from unittest import mock

import remove


class Confirm(unittest.TestCase):
    def test_only_the_name(self):
        for typed, right in (("prod\n", True), ("prod", True), ("", False), ("\n", False), ("yes\n", False), ("PROD\n", False), ("production\n", False)):
            with mock.patch("sys.stdin", io.StringIO(typed)), contextlib.redirect_stdout(io.StringIO()):
                if right:
                    remove.confirm("prod")
                else:
                    with self.assertRaises(remove.Problem):
                        remove.confirm("prod")


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
        self.assertEqual(remove.empty(session, "eu-west-1", "bucket"), 2)
        s3.delete_objects.assert_called_once_with(Bucket="bucket", Delete={"Quiet": True, "Objects": [
            {"Key": "spill/a", "VersionId": "1"}, {"Key": "spill/a", "VersionId": "2"}]})
        s3.delete_objects.return_value = {"Errors": [{"Code": "AccessDenied", "Key": "spill/a"}]}
        with self.assertRaises(remove.Problem) as problem:
            remove.empty(session, "eu-west-1", "bucket")
        self.assertIn("AccessDenied", str(problem.exception))


if __name__ == "__main__":
    unittest.main()
