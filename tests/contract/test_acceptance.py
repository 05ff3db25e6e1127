"""docs/acceptance.yaml names what is required, and tests name the rows that they show: neither code nor rows move alone."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from pages import ROOT, RULE, SHOWN_OTHERWISE, acceptance, acceptance_page, shown_by, ways

from service.answers_kept.feedback import RatedRow, SaidFeedback, SummaryFeedback
from service.answers_kept.items import to_item
from service.answers_kept.record import SummaryRecord
from service.api.feedback import FeedbackAnswer, FeedbackRequest
from service.api.http.problems import PROBLEMS
from service.api.insights import InsightsRequest
from service.kit.aws.stores import SUMMARIES
from service.kit.frame.errors import FailureCode
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event

ROWS = {row["id"]: row for section in acceptance() for row in section["rows"]}
NAMED = {section["names"]: section["rows"] for section in acceptance() if "names" in section}
MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _names(kind):
    return [name for row in NAMED[kind] for name in row["names"]]


def _record():
    """A record without an empty field."""
    fields = {name: "x" for name, field in SummaryRecord.model_fields.items()}
    for name, field in SummaryRecord.model_fields.items():
        kind = str(field.annotation)
        if "bool" in kind:
            fields[name] = True
        elif "int" in kind and "Interaction" not in kind:
            fields[name] = 1
        elif "Channel" in kind or "Literal['ivr'" in kind:
            fields[name] = ("ivr",)
        elif "SeenInteraction" in kind:
            fields[name] = ()
        elif "Literal" in kind:
            fields[name] = re.search(r"'(\w+)'", kind)[1]
        elif kind.startswith("tuple"):
            fields[name] = ("x",)
    return SummaryRecord.model_validate(fields | {"generated_at": "2026-11-21T12:00:00.000Z"})


def _verdict_body():
    """The object that a verdict becomes."""
    kept = {}

    class Archive:
        def put_json(self, key, text):
            kept.update(json.loads(text))

    class Table:
        def set_feedback(self, *_):
            return True

    store = SummaryFeedback(Table(), Archive(), timeout_s=1, now=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    store._record(RatedRow(key="k", record=_record()), SaidFeedback(rating="helpful"))
    return kept


def _headers():
    """Every header of ours or of the access rules that the code writes."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "service" / "api").rglob("*.py"))
    return set(re.findall(r'"(X-[A-Z][\w-]+|Retry-After|WWW-Authenticate)"', text))


VERDICT = ("helpful_feedback", "feedback_timestamp", "comment", "edited_summary")
PLAN = yaml.safe_load((ROOT / "infra" / "observability.yaml").read_text(encoding="utf-8"))


def _response_fields(api_runtime):
    from service.app import create_app

    schema = create_app(runtime=api_runtime()).openapi()
    ref = schema["paths"]["/omni-channel-insights"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    return list(schema["components"]["schemas"][ref["$ref"].rpartition("/")[2]]["properties"])


def test_every_field_of_request_and_answer_has_a_row(api_runtime):
    assert sorted(_names("request")) == sorted(InsightsRequest.model_fields)
    assert sorted(_names("answer")) == sorted(_response_fields(api_runtime))
    assert sorted(_names("feedback")) == sorted(FeedbackRequest.model_fields)
    assert sorted(_names("feedback answer")) == sorted(FeedbackAnswer.model_fields)
    assert sorted(_names("feedback object")) == sorted(_verdict_body())


def test_every_header_has_a_row(api_runtime):
    from fastapi.testclient import TestClient

    from service.app import create_app

    with TestClient(create_app(runtime=api_runtime())) as client:
        answer = client.post("/omni-channel-insights", json={"account_number": "1234567890", "contact_id": "c"})
        described = client.get("/openapi.json").json()["paths"]["/omni-channel-insights"]["post"]["responses"]["200"]
    assert answer.status_code == 200
    listed = set(_names("headers"))
    assert listed == _headers()
    assert {name for name in answer.headers if name.startswith("x-")} <= {name.lower() for name in listed}
    assert set(described["headers"]) <= listed


def test_every_attribute_and_every_field_of_the_record_has_a_row():
    where = {name: row["where"] for row in NAMED["record"] for name in row["names"]}
    item = set(to_item(_record(), ttl=timedelta(days=7))) | set(VERDICT)
    keys = {attribute["AttributeName"] for attribute in SUMMARIES.definition("t")["AttributeDefinitions"]}
    assert keys <= item
    in_s3 = set(SummaryRecord.model_fields)
    expected = {
        name: "both" if name in item & in_s3 else "S3" if name in in_s3 else "table" for name in sorted(item | in_s3)
    }
    assert where == expected


def test_every_event_figure_panel_alarm_and_code_has_a_row():
    assert sorted(_names("events")) == sorted(Event)
    assert {name: row["text"] for row in NAMED["figures"] for name in row["names"]} == {
        instrument.name: instrument.emf for instrument in metrics.INSTRUMENTS
    }
    assert sorted(_names("panels and alarms")) == sorted(
        [panel["title"] for panel in PLAN["panels"]] + [alarm["name"] for alarm in PLAN["alarms"]]
    )
    assert set(_names("codes")) == set(FailureCode) | {code for code, row in PROBLEMS.items() if "title" in row}


def test_each_marker_names_a_row_and_each_row_has_tests_or_a_reason():
    assert set(shown_by()) <= set(ROWS)
    for one, row in ROWS.items():
        state = [key for key in ("partly", "otherwise", "open") if key in row]
        assert len(state) <= 1, f"{one}: one state"
        assert all(str(row[key]).strip() for key in state), f"{one}: say what no test shows, or why"
        shown = one in shown_by()
        assert shown or state in (["otherwise"], ["open"]), f"{one}: no test has its marker, and nobody says why"
        assert not shown or state != ["open"], f"{one}: a test shows what is said to be open"


def test_what_only_compares_files_is_not_called_run():
    tests = [f"{path}::{function}" for found in shown_by().values() for path, function in found]
    for begins in SHOWN_OTHERWISE:
        assert any(test.startswith(begins) for test in tests), f"{begins}: no test of a row begins so"
    assert list(ways("operation-02")) == [RULE]  # of the templates' alarms, no account has one
    page = acceptance_page()
    assert "- **operation-02** " in page
    line = next(line for line in page.splitlines() if line.startswith("- **operation-02** "))
    assert "*by rule:*" in line
    assert "*run here:*" not in line
    assert page.count("*not shown") == 1 + sum(not ways(one) for one in ROWS)  # and once where the page explains it


def test_a_row_without_a_test_has_a_kind_of_reason():
    for one, row in ROWS.items():
        why = row.get("open", "needs: x")
        assert re.match(r"(drill|needs|not built|decided otherwise): \S", why), f"{one}: say what kind of reason it is"
        for drill in re.findall(r"`(?:python )?((?:make|tests/)[\w ./-]+)`", why):
            command = drill.removeprefix("make ")
            assert command in MAKE if drill.startswith("make ") else (ROOT / drill).is_file(), drill


@pytest.mark.parametrize("kind", sorted(NAMED))
def test_every_name_is_spoken_of_by_a_test_of_its_row(kind):
    for row in NAMED[kind]:
        texts = [(ROOT / path).read_text(encoding="utf-8") for path in {path for path, _ in shown_by()[row["id"]]}]
        for name in row["names"]:
            assert any(_speaks(kind, text, name) for text in texts), (
                f"{row['id']} {name}: none of its tests mentions it"
            )


def _speaks(kind, text, name):
    emf = next((instrument for instrument in metrics.INSTRUMENTS if instrument.name == name), None)
    constants = [constant for constant, value in vars(metrics).items() if value is emf and emf is not None]
    event = next((event.name for event in Event if event == name), name)
    words = [name, name.lower() if kind == "headers" else name, f"Event.{event}"]
    words += [f"metrics.{constant}" for constant in constants]
    # A test over all panels and alarms, or over all fields of the record, speaks of each.
    words += [word for word in ("PLAN[", "SummaryRecord.model_fields") if word in text]
    return any(word in text for word in words)
