"""Panels and alarms name figures that the service makes: a renamed metric must not leave an alarm that can never fire."""

import re
from pathlib import Path

import pytest
import yaml

from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event

ROOT = Path(__file__).resolve().parents[2]
PLAN = yaml.safe_load((ROOT / "infra" / "observability.yaml").read_text(encoding="utf-8"))
BY_EMF = {instrument.emf: instrument for instrument in metrics.INSTRUMENTS}
SERIES = [series for panel in PLAN["panels"] for series in panel["series"]] + PLAN["alarms"]


MESSAGE_PANELS = ("Approvals",)
CALL_PANELS = ("Calls", "Cost of calls, USD a second of call")
CONVERSATION_PANELS = ("Conversations", "Hallucinations", "Validation and tools", "Handovers and queue")


@pytest.mark.acceptance("alarm-03", "alarm-04", "alarm-05", "alarm-06", "alarm-07", "alarm.audit-unkept", "audit-12")
def test_the_panels_and_alarms_of_conversations_have_their_bounds():
    assert tuple(panel["title"] for panel in PLAN["panels"])[8:] == (
        *CONVERSATION_PANELS,
        *MESSAGE_PANELS,
        *CALL_PANELS,
    )
    found = {
        alarm["name"]: (alarm["severity"], alarm["statistic"], alarm["above"], alarm["period_s"])
        for alarm in PLAN["alarms"]
        if "above" in alarm
    }
    assert {severity for severity, *_ in found.values()} == {"critical", "warning"}
    wanted = {
        "failure-rate": ("critical", "Sum", 0.05, 300),
        "latency-p95": ("critical", "p95", 5000, 300),
        "hallucination-rate-critical": ("critical", "Sum", 0.1, 300),
        "hallucination-rate-warning": ("warning", "Sum", 0.05, 900),
        "tool-failures": ("warning", "Sum", 10, 3600),
        "validation-timeouts": ("warning", "Sum", 5, 3600),
        "queue-size": ("warning", "Minimum", 10, 300),
        "queue-wait": ("warning", "Average", 300_000, 300),
        "abandonment": ("critical", "Average", 0.2, 900),
        "callbacks-overdue": ("critical", "Maximum", 0, 300),
        "audit-unkept": ("warning", "Sum", 0, 300),
        "calls-failed": ("warning", "Sum", 0.05, 900),
        "calls-stuck": ("critical", "Minimum", 0, 900),
        "calls-queue-age": ("critical", "Maximum", 3600, 300),
        "calls-cost": ("warning", "Sum", 0.0000333, 3600),
        "calls-agreement": ("warning", "Maximum", 0, 3600),
        "approval-rate": ("warning", "Sum", 0.2, 86400),
    }
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.acceptance("audit-12")
def test_an_alarm_selects_whole_series():
    # CloudWatch knows a metric with all its labels or with none, and no sum over one of two labels.
    for series in SERIES:
        if where := series.get("where"):
            assert set(where) == set(BY_EMF[series["metric"]].labels)


@pytest.mark.acceptance(
    "alarm-01",
    "alarm-02",
    "alarm.failure-rate",
    "alarm.dynamodb-throttle",
    "alarm.bedrock-timeouts",
    "alarm.summary-misses",
    "audit-11",
)
def test_the_required_panels_and_alarms_exist():
    assert len(PLAN["panels"]) == 8 + len(CONVERSATION_PANELS) + len(MESSAGE_PANELS) + len(CALL_PANELS)
    names = {alarm["name"] for alarm in PLAN["alarms"]}
    assert {"failure-rate", "dynamodb-throttle", "bedrock-timeouts", "summary-misses"} <= names
    bounds = {alarm["name"]: (alarm.get("above"), alarm["period_s"]) for alarm in PLAN["alarms"]}
    assert bounds["failure-rate"] == (0.05, 300)
    assert bounds["bedrock-timeouts"] == (10, 300)
    assert bounds["summary-misses"] == (0.2, 300)


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series["metric"])
@pytest.mark.acceptance(
    "alarm-01", "alarm.bedrock-throttles", "alarm.degraded", "alarm.unkept-answers", "alarm.latency-p95", "audit-12"
)
def test_each_figure_exists_with_its_labels(series):
    if ":" in series["metric"]:
        return
    instrument = BY_EMF[series["metric"]]
    assert set(series.get("where", {})) | set(series.get("by", [])) <= set(instrument.labels)
    for other in series.get("over", []):
        assert other in BY_EMF


@pytest.mark.parametrize("panel", PLAN["panels"], ids=lambda panel: panel["title"])
@pytest.mark.acceptance("alarm-02")
def test_each_prometheus_query_names_series_that_exist(panel):
    offered = {family.name for family in metrics.REGISTRY.collect()}
    for name in re.findall(r"omni_\w+", panel["prometheus"]):
        assert re.sub(r"_(total|bucket|sum|count)$", "", name) in offered


def test_each_runbook_names_events_that_are_logged():
    named = [name for alarm in PLAN["alarms"] for name in re.findall(r"event = '([^']+)'", alarm["runbook"])]
    assert named
    assert set(named) <= {event.value for event in Event}


def test_no_two_figures_share_a_name():
    assert len(BY_EMF) == len(metrics.INSTRUMENTS)


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series["metric"])
def test_a_series_is_selected_by_all_labels_or_by_none(series):
    """CloudWatch keeps a figure once without labels and once by all of them; a part of them selects nothing, for ever."""
    if ":" not in series["metric"]:
        chosen = set(series.get("where", {})) | set(series.get("by", []))
        assert chosen in (set(), set(BY_EMF[series["metric"]].labels))
