"""The acceptance pages name what is required, and tests that show it: neither code nor page moves alone."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from service.answers_kept.feedback import RatedRow, Said, SummaryFeedback
from service.answers_kept.items import to_item
from service.answers_kept.record import SummaryRecord
from service.api.feedback import FeedbackAnswer, FeedbackRequest
from service.api.http.problems import _TITLES
from service.api.insights import InsightsRequest
from service.kit.aws.stores import SUMMARIES
from service.kit.frame.errors import FailureCode
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "acceptance.md").read_text(encoding="utf-8")
ASSISTANT = (ROOT / "docs" / "acceptance-assistant.md").read_text(encoding="utf-8")
CALLS = (ROOT / "docs" / "acceptance-calls.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`((?:unit|contract|integration|browser|infra/cdk/tests)/[\w/]+\.py)::(\w+)`")
MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
_NAME = re.compile(r"`([^`]+)`")
# Tables whose rows show a promise and no name of the code's.
_WITHOUT_NAMES = {"promise"}


def _cells(line):
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def _tables(page):
    """Every table of a page, in order: headings, then rows of cells."""
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)]
    return [(_cells(lines[0]), [_cells(line) for line in lines[2:]]) for lines in blocks]


TABLES = _tables(PAGE)
SHOWN = [(heads[0], rows) for heads, rows in TABLES if heads[-1] == "shown by"]


def _rows(heading, occurrence=0):
    return [rows for head, rows in SHOWN if head == heading][occurrence]


def _names(heading, occurrence=0):
    return [name for cells in _rows(heading, occurrence) for name in _NAME.findall(cells[0])]


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
    store._record(RatedRow(key="k", record=_record()), Said(rating="helpful"))
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


def test_every_field_of_request_and_answer_is_on_the_page(api_runtime):
    assert sorted(_names("field", 0)) == sorted(InsightsRequest.model_fields)
    assert sorted(_names("field", 1)) == sorted(_response_fields(api_runtime))
    assert sorted(_names("field", 2)) == sorted(FeedbackRequest.model_fields)
    assert sorted(_names("answer's field")) == sorted(FeedbackAnswer.model_fields)
    assert sorted(_names("object's field")) == sorted(_verdict_body())


def test_every_header_is_on_the_page(api_runtime):
    from fastapi.testclient import TestClient

    from service.app import create_app

    with TestClient(create_app(runtime=api_runtime())) as client:
        answer = client.post("/omni-channel-insights", json={"account_number": "1234567890", "contact_id": "c"})
        described = client.get("/openapi.json").json()["paths"]["/omni-channel-insights"]["post"]["responses"]["200"]
    assert answer.status_code == 200
    listed = set(_names("header"))
    assert listed == _headers()
    assert {name for name in answer.headers if name.startswith("x-")} <= {name.lower() for name in listed}
    assert set(described["headers"]) <= listed


def test_every_attribute_and_every_field_of_the_record_is_on_the_page():
    where = {name: cells[1] for cells in _rows("name", 0) for name in _NAME.findall(cells[0])}
    item = set(to_item(_record(), ttl=timedelta(days=7))) | set(VERDICT)
    keys = {attribute["AttributeName"] for attribute in SUMMARIES.definition("t")["AttributeDefinitions"]}
    assert keys <= item
    in_s3 = set(SummaryRecord.model_fields)
    expected = {
        name: "both" if name in item & in_s3 else "S3" if name in in_s3 else "table" for name in sorted(item | in_s3)
    }
    assert where == expected


def test_every_event_figure_panel_alarm_and_code_is_on_the_page():
    assert sorted(_names("event")) == sorted(Event)
    assert {(_NAME.findall(cells[0])[0], _NAME.findall(cells[1])[0]) for cells in _rows("name", 1)} == {
        (instrument.name, instrument.emf) for instrument in metrics.INSTRUMENTS
    }
    assert sorted(_names("panel or alarm")) == sorted(
        [panel["title"] for panel in PLAN["panels"]] + [alarm["name"] for alarm in PLAN["alarms"]]
    )
    assert set(_names("code")) == set(FailureCode) | set(_TITLES)


def _file(path):
    return (ROOT if path.startswith("infra/") else TESTS) / path


def _functions(path):
    tree = ast.parse(_file(path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_pages_name_exists():
    named = sorted(set(_TEST.findall(PAGE + ASSISTANT + CALLS)))
    assert named
    missing = [f"{path}::{test}" for path, test in named if not _file(path).is_file() or test not in _functions(path)]
    assert missing == []


@pytest.mark.parametrize(("heading", "rows"), SHOWN, ids=[heading for heading, _ in SHOWN])
def test_every_row_names_a_test_that_speaks_of_it(heading, rows):
    for cells in rows:
        shown = _TEST.findall(cells[-1])
        assert shown, f"{heading} {cells[0]}: no test"
        if heading in _WITHOUT_NAMES:
            continue
        texts = [_file(path).read_text(encoding="utf-8") for path, _ in shown]
        for name in _NAME.findall(cells[0]):
            assert any(_speaks(heading, text, name) for text in texts), (
                f"{heading} {name}: none of its tests mentions it"
            )


def test_what_no_test_shows_has_a_reason():
    (rows,) = (rows for heads, rows in TABLES if heads == ["required", "why no test shows it"])
    for required, why in rows:
        assert re.match(r"(drill|needs|not built|decided otherwise): \S", why), (
            f"{required}: say what kind of reason it is"
        )
        for drill in re.findall(r"`(?:python )?((?:make|tests/)[\w ./-]+)`", why):
            command = drill.removeprefix("make ")
            assert command in MAKE if drill.startswith("make ") else (ROOT / drill).is_file(), drill


@pytest.mark.parametrize("page", [ASSISTANT, CALLS], ids=["assistant", "calls"])
def test_each_requirement_is_shown_or_said_to_be_missing(page):
    """A cell is tests alone, or tests behind the word "partly" and what is left, or says why there are none."""
    for heads, rows in _tables(page):
        assert heads == ["required", "shown by"]
        for required, cell in rows:
            named, mentioned = _TEST.findall(cell), cell.count("::")
            assert len(named) == mentioned, f"{required}: names a test in another form"
            if cell.startswith(("not built", "decided otherwise, because ")):
                continue
            words = _TEST.sub("", cell).strip(" ,|")
            assert named, f"{required}: no test, and not said why"
            assert not words or re.match(r"partly[:,] \S", cell), f"{required}: say what is left, behind 'partly'"


def _speaks(heading, text, name):
    emf = next((instrument for instrument in metrics.INSTRUMENTS if instrument.name == name), None)
    constants = [constant for constant, value in vars(metrics).items() if value is emf and emf is not None]
    event = next((event.name for event in Event if event == name), name)
    words = [name, name.lower() if heading == "header" else name, f"Event.{event}"]
    words += [f"metrics.{constant}" for constant in constants]
    # A test over all panels and alarms, or over all fields of the record, speaks of each.
    words += [word for word in ("PLAN[", "SummaryRecord.model_fields") if word in text]
    return any(word in text for word in words)
