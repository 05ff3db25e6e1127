"""Every alarm leads to a runbook that says what to do, and runbooks name what exists."""

import re
from pathlib import Path

import pytest
import yaml

from service.telemetry.log import Event

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.glob("*.md"))
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


def test_the_required_runbooks_exist():
    wanted = {
        *("bedrock-throttles", "dynamodb-throttle", "degraded", "summary-misses", "registry-down", "rollout-stopped"),
        *("cost-spike", "feedback-collapse", "keys", "restore", "region-loss", "dead-letters"),
    }
    assert wanted <= {page.stem for page in PAGES}


def test_missing_summaries_are_looked_for_with_five_queries():
    assert (FOLDER / "summary-misses.md").read_text(encoding="utf-8").count("```insights") == 5
