"""Every alarm leads to a runbook that says what to do, and runbooks name what exists."""

import json
import re
from pathlib import Path

import pytest
import yaml

from service.kit.telemetry.log import Event

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "README.md"})
ALARMS = yaml.safe_load((ROOT / "infra" / "observability.yaml").read_text(encoding="utf-8"))["alarms"]
PARTS = ("**Means.**", "**Customers see.**", "## First five minutes", "## Cause", "## Mend", "## Afterwards")


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm["name"])
def test_every_alarm_has_a_runbook(alarm):
    assert (FOLDER / f"{alarm.get('page', alarm['name'])}.md").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_its_parts_in_order(page):
    text = page.read_text(encoding="utf-8")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_names_events_that_are_logged(page):
    queries = "".join(
        re.findall(r"^```insights\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
    assert set(re.findall(r"'([A-Z]+_[A-Z_]+)'", queries)) <= {event.value for event in Event}


@pytest.mark.acceptance("operation-04")
def test_every_page_is_in_the_index_with_its_alarms_and_leads_back_to_it():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = {found[1]: found[2] for found in re.finditer(r"^\| \[.+?\]\((.+?)\) \| (.+) \|$", index, re.MULTILINE)}
    assert set(rows) == {page.name for page in PAGES}
    for alarm in ALARMS:
        assert f"`{alarm['name']}`" in rows[f"{alarm.get('page', alarm['name'])}.md"]
    assert all("(README.md)" in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_clusters_services_and_logs_have_the_names_that_the_stacks_give_them(page):
    """At night nobody looks up what a placeholder stands for."""
    templates = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "infra/cdk/templates/prod").glob("*.json"))
    text = page.read_text(encoding="utf-8")
    made = set(re.findall(r'"(?:ClusterName|ServiceName|Family|LogGroupName)": "([^"]+)"', templates))
    used = re.findall(r"--(?:cluster|services?|task-definition|log-group-name) ([\w/-]+)", text)
    used += [part for name in re.findall(r"--resource-id service/(\S+)", text) for part in name.split("/")]
    assert set(used) <= made
    assert not re.search(r"--\w+ (?:CLUSTER|SERVICE|REGISTRY)\b", text)


# The command line's names that IAM has otherwise.
IAM = {"service-quotas": "servicequotas", "Tail": "FilterLogEvents", "Wait": "DescribeTable"}


def _asked(page):
    """The IAM actions of a page's ``aws`` lines."""
    for service, command in re.findall(r"\baws ([a-z-]+) ([a-z-]+)", page.read_text(encoding="utf-8")):
        name = "".join(word.capitalize() for word in command.split("-")).replace("Db", "DB")
        yield f"{IAM.get(service, service)}:{IAM.get(name, name)}"


def _may(role):
    """The actions that a role of people is allowed."""
    template = json.loads((ROOT / "infra/cdk/templates/prod/omni-bootstrap.json").read_text(encoding="utf-8"))
    made = template["Resources"]
    (logical,) = (name for name, one in made.items() if one.get("Properties", {}).get("RoleName") == role)
    policies = [
        one["Properties"] for one in made.values() if {"Ref": logical} in one.get("Properties", {}).get("Roles", [])
    ]
    actions = [statement["Action"] for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    return {name for found in actions for name in ([found] if isinstance(found, str) else found)}


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
@pytest.mark.acceptance("operation-05")
def test_the_role_of_whoever_is_on_call_may_run_every_line_for_aws(page):
    assert "the role `omni-on-call`" in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(_asked(page)) <= _may("omni-on-call")


@pytest.mark.acceptance("operation-04")
def test_the_required_runbooks_exist():
    wanted = {
        *("bedrock-throttles", "dynamodb-throttle", "degraded", "summary-misses", "registry-down", "rollout-stopped"),
        *("cost-spike", "feedback-collapse", "keys", "restore", "region-loss", "dead-letters"),
    }
    assert wanted <= {page.stem for page in PAGES}


@pytest.mark.acceptance("operation-04")
def test_missing_summaries_are_looked_for_with_five_queries():
    assert (FOLDER / "summary-misses.md").read_text(encoding="utf-8").count("```insights") == 5
