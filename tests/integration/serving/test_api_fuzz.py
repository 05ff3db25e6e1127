"""What the OpenAPI document allows, and what it does not: the service takes the one, refuses the other, and never fails."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import loadable
import pytest
import schemathesis
from builders import FakeCalls, FakeFeedback, forms_in_memory, make_pair
from hypothesis import HealthCheck, given, settings
from parcel_service import parcel_runtime
from schemathesis import GenerationMode, engine
from schemathesis.checks import not_a_server_error
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from typed_task import Labels

from service.access.control import LOCAL_TENANT, local_token, open_access
from service.answers_kept.feedback import Ambiguous, RatedRow
from service.answers_kept.store import Summaries
from service.app import create_app
from service.calls.failure import FailureReason
from service.calls.rescorings import RescoringDesk
from service.calls.store.rescorings import RescoringOrders
from service.calls.tenants.desk import build_desk
from service.core.unit.cards import ModelCards
from service.dashboards.reader import DashboardReader
from service.kit.aws.clients import client
from service.kit.aws.stores import CALLS
from service.kit.records.build import open_rows
from service.warehouse import open_warehouse

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its own warnings about generated data

EXAMPLES = 100
_RANGE = {
    "`from` must not be after `to`": "the range ends before it begins: `from` must not be after `to`",
    "may hold 731 days at most": "the range is longer than 731 days: choose a shorter one",
}
# Rules about several fields, which JSON Schema cannot express: what the operation's description says, and how it refuses.
RULES = {
    "PUT /v1/tenants/{tenant}": {
        "is written in letters, spaces and .'&- alone": r"wrong or unknown: .*(own_words|agents).*"
    },
    "PUT /v1/forms/{form_id}/draft": {
        "an id of its own": "(section|criterion) id '.*' appears twice; give each (section|criterion) its own id",
        "at most 40 criteria": "[0-9]+ criteria; a form has at most 40: split it into two forms",
        "a sentence is accepted only where it stood before": "applies_when of .* is a sentence, which code cannot check; .*",
        "has at least one test; a figure has ``at_least`` or ``at_most``": r"wrong or unknown: .*\.applies_when\.condition.*",
        "a criterion that is named stands in the form": "applies_when of .* names criterion .*, which the form does not have; .*",
        "no criteria depend on each other in a circle": "applies_when goes in a circle: .*; take one of these conditions away",
        "No id is the name of a property": "'.*' is no id: every JavaScript object has a property .*",
        "no text holds a character that is invisible or turns": "the form's texts hold invisible characters, .*",
    },
    "GET /v1/calls/figures": _RANGE,
    "GET /v1/calls/failures": _RANGE,
    "GET /v1/calls/listed": _RANGE,
    "POST /v1/calls/rescorings": {"`from_day` must not be after `to_day`": "from_day is after to_day"},
    "GET /v1/calls/rescorings/estimate": {"`from` must not be after `to`": "from is after to"},
    "GET /v1/dashboards/{name}": {
        **_RANGE,
        "`task` must have answers": "the warehouse holds no answers of task .*; it holds those of .*",
    },
    "POST /v1/handovers/{handover_id}/close": {
        "A callback needs the phone number, and no other end has one": "wrong or unknown: body",
    },
    "GET /v1/calls": {
        "`after` is the `next` of a page": "the cursor (was not issued by this service|belongs to another day than .*)",
    },
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Either:
    """The parcels' models, or else the summaries'."""

    def __init__(self, parcels, others):
        self.parcels, self.others = parcels, others

    async def complete(self, call):
        return await (self.parcels if call.model in self.parcels.task.in_process else self.others).complete(call)


ROW = RatedRow(key="p", record=loadable.summary(account_number="1234567890"))
ANSWER = RatedRow(key="p", record=loadable.answer(task="summarize", client="local"))
# One, several or no summary, by the id's length; an answer of every second length of id.
SUMMARIES_RATED = FakeFeedback(
    lambda shape: (None, Ambiguous(request_ids=("req-2", "req-1")), ROW)[len(str(shape)) % 3]
)
ANSWERS_RATED = FakeFeedback(lambda shape: ANSWER if len(shape.request_id) % 2 else None)


@pytest.fixture(scope="module")
def config(local_aws):
    """A local AWS: tenants are kept in it; all other stores of the service are fakes."""
    return local_aws()


@pytest.fixture
def api(api_runtime, config, hand_made_warehouse):
    hand_made_warehouse(config.warehouse_file)
    calls = FakeCalls()
    for name in ("one", "two"):
        calls.add(LOCAL_TENANT, name, {"greet": "yes", "sorry": None})
    calls.add(LOCAL_TENANT, "bad", state="failed", reason=FailureReason.MODEL, detail="no answer")
    calls.get = lambda tenant, call_id: list(calls.jobs.values())[int(call_id[-1], 16) % 3]  # nobody guesses an id
    made, parcels = api_runtime(), parcel_runtime(api_runtime)
    labels_pair = SimpleNamespace(
        current=lambda: replace(made.answering.pair_sources["summarize"].served, pair=make_pair(task="labels")),
        status=made.answering.pair_sources["summarize"].status,
        start=lambda: None,
        stop=lambda: None,
    )
    forms = forms_in_memory()
    rescorings = RescoringDesk(
        forms=forms,
        jobs=SimpleNamespace(of=lambda tenant: iter(calls.jobs.values())),
        results=calls.reviews.results,
        orders=RescoringOrders(open_rows(config, CALLS)),
        now=lambda: datetime.now(UTC),
        threads=calls.reviews.threads,
    )
    runtime = api_runtime(
        tasks={**made.answering.tasks, **parcels.answering.tasks, "labels": Labels()},
        pair_sources={**made.answering.pair_sources, **parcels.answering.pair_sources, "labels": labels_pair},
        gateway=Either(parcels.answering.gateway, made.answering.gateway),
        cards=ModelCards([*made.answering.cards, *parcels.answering.cards]),
        tools=parcels.answering.tools,
        settings=config,
        calls=calls.reviews,
        access=open_access(config),
        summaries=Summaries(feedback=SUMMARIES_RATED, answer_feedback=ANSWERS_RATED),
        forms=forms,
        rescorings=rescorings,
        tenants=build_desk(config, made.answering.cards, dynamodb=client("dynamodb", config)),
        dashboards=DashboardReader(lambda: open_warehouse(config, read_only=True)),
    )
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(runtime=runtime)), local_token(config).text


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.acceptance("promise-17")
def test_no_request_makes_the_service_fail(api, mode):
    schema, token = api
    statuses = {}

    def send(case):
        answer = case.call(headers={"authorization": f"Bearer {token}"})
        statuses.setdefault(case.operation.label, set()).add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # nothing in it can be wrong
        cases = operation.as_strategy(generation_mode=mode)
        settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                 suppress_health_check=list(HealthCheck))(given(case=cases)(send))()  # fmt: skip
    assert {"POST /omni-channel-insights", "POST /feedback", "POST /v1/summarize", "POST /oauth/token"} <= set(statuses)
    if mode is GenerationMode.POSITIVE:
        # Requests as documented get through to the work behind the door, and not to 422 alone.
        assert statuses["POST /omni-channel-insights"] == {200}
        assert 200 in statuses["POST /v1/labels"]
        assert {200, 404, 409} <= statuses["POST /feedback"]
        assert {200, 404} <= statuses["POST /v1/summarize/feedback"]
        assert 200 in statuses["GET /v1/calls"]
        assert statuses["GET /v1/calls/{call_id}"] == {200}
        assert {404, 409} <= statuses["PUT /v1/calls/{call_id}/criteria/{criterion}/override"] <= {200, 404, 409}
    else:
        # Of a task's own inputs some are read more kindly than documented: a time may be a number. A form's texts may be longer
        # than documented by the spaces around them, which are dropped.
        taken = {name: codes for name, codes in statuses.items() if min(codes) < 400}
        assert taken.keys() <= {"POST /v1/summarize", "PUT /v1/forms/{form_id}/draft"}, taken


@pytest.mark.parametrize("examples", [2, 40])
def test_requests_and_answers_are_as_documented(api, examples):
    """Every check that schemathesis has, on every operation: examples, edge cases, random requests, and requests in a row."""
    schema, token = api
    schema.config.headers = {"authorization": f"Bearer {token}"}
    schema.config.generation.deterministic = True
    schema.config.generation.max_examples = examples
    document = schema.raw_schema
    operations = {f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found}
    tried, faults = set(), {}
    for event in engine.from_schema(schema).execute():
        assert not isinstance(event, FatalError), event.exception
        if isinstance(event, NonFatalError):
            faults[event.label, "error"] = str(event.info)
        if not isinstance(event, ScenarioFinished):
            continue
        for case_id, checks in event.recorder.checks.items():
            case = event.recorder.cases[case_id].value
            tried.add(case.operation.label)
            for check in checks:
                if check.failure_info and not _is_a_rule(document, case, event.recorder.interactions.get(case_id)):
                    found = check.failure_info
                    faults[case.operation.label, check.name] = f"{found.failure.message}\n{found.code_sample[:1000]}"
    assert not faults, "\n\n".join(f"{name}: {text}" for name, text in faults.items())
    assert tried == operations


def _is_a_rule(document, case, interaction):
    if interaction is None or interaction.response is None or interaction.response.status_code != 422:
        return False
    description = " ".join(
        document["paths"][case.operation.path][case.operation.method.lower()].get("description", "").split()
    )
    detail = json.loads(interaction.response.content)["detail"]
    rules = RULES.get(case.operation.label, {})
    return any(said in description and re.fullmatch(refusal, detail, re.DOTALL) for said, refusal in rules.items())
