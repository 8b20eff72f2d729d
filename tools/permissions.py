"""Have the local engine ask for the permissions that AWS asks for, where MiniStack asks for
others. It is loaded by engine.py, in the engine's own process.
"""


def as_on_aws():
    """Ask for the permissions that AWS asks for, where MiniStack asks for others.

    A batch of SQS needs the permission of its single form; there is no action
    sqs:DeleteMessageBatch (AddPermission, parameter Actions:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html).
    Message move tasks are asked for on their source queue, which they name by its ARN.
    Reading a log group is asked for on "<group>:log-stream:", which is why policies name
    groups with ":*" at the end. DescribeAlarms by a prefix is asked for on alarm:*. Both
    are in AWS's refusals ("is not authorized to perform: ... on resource: ...").
    """
    from ministack.core import iam_actions

    action_of, resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn

    def action(service, *request):
        name = action_of(service, *request)
        return name.removesuffix("Batch") if service == "sqs" and name else name

    def resource(service, method, path, headers, body, query, region, account):
        arn = resource_of(service, method, path, headers, body, query, region, account)
        if service == "sqs" and arn == "*":
            return iam_actions._safe_json_field(body, "SourceArn") or arn
        if service == "logs" and ":log-group:" in arn and not arn.endswith("*"):
            return arn + ":log-stream:"
        if service == "monitoring" and action_of(service, method, path, headers, body, query) == "cloudwatch:DescribeAlarms":
            return f"arn:aws:cloudwatch:{region}:{account}:alarm:*"
        return arn

    iam_actions.extract_iam_action, iam_actions.extract_resource_arn = action, resource
