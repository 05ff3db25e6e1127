"""Production rehearsed: every step of the command gets what it expects, and each finding that is put back makes its step red.

What is put back is put into a copy of the repository, whose own command is run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rehearsal_world import replaced, the_files

from service.kit.settings import REPO_ROOT

_SERVERS = list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _SERVERS and shutil.which("pg_ctl") is None, reason="needs PostgreSQL's server"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium"),
]


def rehearse(root=REPO_ROOT, *arguments):
    """Run the command of a checkout; return its exit code, what each step got, and all that it says."""
    line = [sys.executable, "-m", "omni", "rehearse", "production", *arguments]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True, check=False)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines() if row.startswith("| ")]
    return done.returncode, {row[0]: row[2] for row in rows[1:]}, done.stdout + done.stderr


@pytest.mark.acceptance("operation-21")
def test_production_comes_up_serves_is_broken_and_comes_back():
    code, got, said = rehearse()
    assert code == 0, said
    assert len(got) > 25


# --- What was found, put back ---


def template(stack, change):
    """Return a change of a committed template's JSON."""

    def changed(root):
        file = root / "infra" / "cdk" / "templates" / "prod" / f"omni-{stack}.json"
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
        change(content["Resources"])
        new = json.dumps(content)
        assert new != json.dumps(json.loads(text)), stack
        file.write_text(new, encoding="utf-8")

    return changed


def in_template(stack, old, new):
    """Return a change of a committed template's text."""
    return replaced(f"infra/cdk/templates/prod/omni-{stack}.json", old, new)


def _two_zones(resources):
    for logical, one in resources.items():
        if one["Type"] == "AWS::EC2::Subnet" and "Subnet3" in logical:
            one["Properties"]["AvailabilityZone"] = {"Fn::Select": [0, {"Fn::GetAZs": ""}]}


def _silence_is_fine(resources):
    for one in resources.values():
        if one["Type"] == "AWS::CloudWatch::Alarm":
            one["Properties"]["TreatMissingData"] = "notBreaching"


def _no_way_to_kms(resources):
    del resources["VpcKms28ADD6F7"]


def _no_health_check(resources):
    for one in resources.values():
        for container in one["Properties"].get("ContainerDefinitions", ()) if "ECS::Task" in one["Type"] else ():
            container.pop("HealthCheck", None)


def _unpinned_registry(root):
    file = root / "infra" / "image" / "Dockerfile"
    before, mark, stage = file.read_text(encoding="utf-8").partition("FROM builder AS build-registry")
    assert "--require-hashes" in stage
    file.write_text(before + mark + stage.replace("--require-hashes ", "", 1), encoding="utf-8")


def _no_alarm_on_writes(resources):
    for one in resources.values():
        for metric in one["Properties"].get("Metrics", ()):
            dimensions = json.dumps(metric.get("MetricStat", {}).get("Metric", {}))
            if "WriteThrottleEvents" in dimensions and "Index" not in dimensions:
                metric["MetricStat"]["Metric"]["MetricName"] = "ReadThrottleEvents"


def _no_alarm_on_indexes(resources):
    for one in resources.values():
        metrics = one["Properties"].get("Metrics", ())
        one["Properties"]["Metrics"] = [each for each in metrics if "GlobalSecondaryIndexName" not in json.dumps(each)]


def _no_alarm_on_the_firewall(resources):
    for logical in [name for name, one in resources.items() if "waf-blocks" in json.dumps(one["Properties"])]:
        del resources[logical]


def _nobody_counts_keys(resources):
    for one in resources.values():
        one["Properties"].pop("ContributorInsightsSpecification", None)


def _logs_without_an_end(resources):
    for one in resources.values():
        if "/aws/rds/" in str(one["Properties"].get("LogGroupName")):
            del one["Properties"]["RetentionInDays"]


def _no_routes_to_pages(root):
    file = root / "infra" / "cdk" / "openapi.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["paths"] = {
        path: item for path, item in document["paths"].items() if not re.match("/(qa|agent|chat|dashboards)", path)
    }
    file.write_text(json.dumps(document), encoding="utf-8")


_BACK = "rollback -f what=rollback -f task=summarize"
_WORKFLOW_ASKS = 'run: .venv/bin/omni deploy smoke "$SERVICE_URL" --account "$CANARY_ACCOUNT"'
_KEY_HEADER = re.compile(
    r"\s*<namedCredentialParameters>\s*<parameterName>x-api-key<.*?</namedCredentialParameters>", re.DOTALL
)


def _no_key_of_the_gateway(root):
    (file,) = (root / "infra" / "salesforce").rglob("*.namedCredential-meta.xml")
    text, count = _KEY_HEADER.subn("", file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(text, encoding="utf-8")


# By the finding: what is changed, the step that must be red, and what it says.
PUT_BACK = {
    "1 the registry asks for no password": (
        [in_template("registry", "--app-name basic-auth ", "")],
        "The registry's door",
        "without a password 200",
    ),
    "2 silence is fine to every alarm": (
        [template("observability", _silence_is_fine), template("service", _silence_is_fine)],
        "Silence",
        "nobody is called by balancer-empty, canary-silent",
    ),
    "2 nothing watches writes": ([template("observability", _no_alarm_on_writes)], "Watched", "WriteThrottleEvents of tables"),
    "2 nothing watches indexes": ([template("observability", _no_alarm_on_indexes)], "Watched", "ReadThrottleEvents of indexes"),
    "2 nothing watches the firewall": ([template("observability", _no_alarm_on_the_firewall)], "Watched", "the firewall"),
    "3 two zones": ([template("network", _two_zones)], "Zones", "tasks have 2 zones"),
    "4 the smoke test takes any answer": (
        [replaced("service/operate/deployment/smoke.py", "return _unanswered(answer.json())", "return None")],
        "Smoke test of ECS's hook",
        "where no model is asked, the hook says SUCCEEDED",
    ),
    "5 a stored token that lives one hour": (
        [
            replaced(
                ".github/workflows/deploy.yml",
                f"{_WORKFLOW_ASKS} --client omni-smoke-client",
                f"env: {{SMOKE_TOKEN: '${{{{ secrets.SMOKE_TOKEN }}}}'}}\n        {_WORKFLOW_ASKS}",
            )
        ],
        "Smoke test of the workflow",
        "the workflow stores SMOKE_TOKEN",
    ),
    "6 no role may write a restored table": (
        [in_template("bootstrap", "table/omni-*", "table/omni-shared-state")],
        "Restore a table",
        "table/omni-restored",
    ),
    "6 keys.md leaves the key disabled": (
        [replaced("docs/runbooks/keys.md", "aws kms enable-key --key-id KEY\n", "")],
        "A key waits for its deletion",
        "token-keys --rotate ended with",
    ),
    "6 a page prints omni rollback for a laptop": (
        [replaced("docs/runbooks/cost-spike.md", f"gh workflow run {_BACK} -f why=", "omni rollback --why ")],
        "Runbooks",
        "cost-spike.md prints omni rollback for a person",
    ),
    "6 bedrock-timeouts.md names a model that no command knows": (
        [replaced("docs/runbooks/bedrock-timeouts.md", "omni models check MODEL", "omni models check nova-lite-v9")],
        "Runbooks",
        "nova-lite-v9",
    ),
    "6 the hot key of a table cannot be named": ([template("data", _nobody_counts_keys)], "Watched", "hot keys"),
    "6 whoever is on call is refused what a page runs": (
        [in_template("bootstrap", '"sqs:GetQueueUrl",', "")],
        "Runbooks' commands of omni",
        "omni doctor ended with 1",
    ),
    "7 Salesforce sends no key": ([_no_key_of_the_gateway], "Salesforce through the gateway", "401"),
    "7 no route leads to the pages": ([_no_routes_to_pages], "People's pages in a browser", "/qa"),
    "8 no database role": (
        [in_template("service", "RedshiftDbRoles", "OtherTag")],
        "Grants in the warehouse",
        "no role by the tag RedshiftDbRoles",
    ),
    "9 the widget keeps the token of the customer before": (
        [replaced("service/api/pages/widget.js", "      this.#token = null;\n      this.#lacking = true;\n", "")],
        "The widget in a browser",
        "You may not see summaries of this customer",
    ),
    "10 the shell stays open": (
        [replaced("omni/deploying/command.py", '        say(f"export OMNI_ENVIRONMENT={_UNKNOWN}")\n', "")],
        "A half-deployed stack",
        "the shell goes on",
    ),
    "10 nobody makes the role of the workflow for whoever is on call": (
        [in_template("bootstrap", "omni-github-on-call", "omni-github-nobody")],
        "Rollback",
        "no stack makes the role omni-github-on-call",
    ),
    "10 a service of AWS without a private way": ([template("network", _no_way_to_kms)], "Endpoints", "no endpoint for kms"),
    "10 logs of the database without an end": (
        [template("registry", _logs_without_an_end)],
        "Deleted by mistake",
        "kept for ever",
    ),
    "10 a wrong command deletes the database": (
        [in_template("registry", '"DeletionProtection": true', '"DeletionProtection": false')],
        "Deleted by mistake",
        "omni-registry can be deleted",
    ),
    "11 images hold stand-ins, apt, programs that run as another user": (
        [
            replaced("infra/image/Dockerfile.dockerignore", "service/local\n", ""),
            replaced("infra/image/Dockerfile", "dpkg --purge", "true"),
            replaced("infra/image/Dockerfile", "-perm /6000", "-name none"),
            _unpinned_registry,
        ],
        "Images",
        "stand-ins in service, workers; apt in service, workers, registry; programs that run as another user in service",
    ),
}  # fmt: skip
# Steps that go red with those of findings: one asks for the same thing again, one lists all that was refused.
ALSO = {"Bad input", "Rights"}


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    the_files(root)
    if (REPO_ROOT / ".venv-registry").exists():
        (root / ".venv-registry").symlink_to((REPO_ROOT / ".venv-registry").resolve())
    return root


def test_each_finding_that_is_put_back_makes_its_step_red_and_no_other(checkout):
    for changes, *_ in PUT_BACK.values():
        for change in changes:
            change(checkout)
    code, got, said = rehearse(checkout)
    assert code == 1, said
    missed = {finding: got.get(step) for finding, (_, step, told) in PUT_BACK.items() if told not in got.get(step, "")}
    assert not missed, said
    red = {step for step, what in got.items() if what.startswith(("FAILED", "not reached"))}
    assert red - ALSO == {step for _, step, _ in PUT_BACK.values()}, said


@pytest.mark.parametrize(
    ("change", "step", "told"),
    [
        (
            in_template("registry", "--allowed-hosts mlflow.omni.internal:5000,localhost:5000 ", ""),
            "First release",
            "Invalid Host",
        ),
        (template("registry", _no_health_check), "Registry", "has no health check"),
    ],
    ids=["1 the registry refuses its own address", "1 the registry has no health check"],
)
def test_a_registry_that_does_not_work_ends_the_rehearsal(checkout, change, step, told):
    change(checkout)
    code, got, said = rehearse(checkout, "--until", step)
    assert code == 1, said
    assert told in got[step], said
