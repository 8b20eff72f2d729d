"""Check the examples of how hookworker is deployed by what knows their formats.

Called by `make lint`. Kubernetes's own schemas (kubernetes-validate) say whether the API server
would take the manifest; AWS's model of the ECS API (botocore) whether RegisterTaskDefinition
would take the task definition. What the values mean is held by cmd/hookworker's own test.
"""

import json
import sys
from pathlib import Path

import botocore.session
import botocore.validate
import kubernetes_validate
import yaml

DEPLOY = Path(__file__).resolve().parent.parent / "cmd" / "hookworker" / "deploy"


def problems():
    """Every problem, a sentence each."""
    found = []
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
    for document in documents:
        try:
            # strict: a misspelt field is an error, which the API server would drop in silence.
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"kubernetes.yaml, {document.get('kind')}: {'.'.join(map(str, error.path))}: {error.message}")
    if len(documents) < 3:
        found.append(f"kubernetes.yaml has only {len(documents)} documents")
    task = json.loads((DEPLOY / "ecs-task.json").read_text(encoding="utf-8"))
    shape = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    report = botocore.validate.ParamValidator().validate(task, shape)
    if report.has_errors():
        found.append("ecs-task.json: " + report.generate_report())
    return found


if __name__ == "__main__":
    for problem in (all_problems := problems()):
        print(problem, file=sys.stderr)
    sys.exit(1 if all_problems else 0)
