"""The HTTP surface with fakes behind it: fields, headers, ids, failures as problems, readiness."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from builders import changed, runtime_of
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.api import insights
from service.api.http.problems import HTTP_STATUS
from service.app import create_app
from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.run.task import Task, load_task
from service.core.tasks.summarize import Summarize
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import HistoryFilter, Interaction
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy
from service.interactions.reader import InteractionPage
from service.kit.frame.errors import (
    DeadlineExceeded,
    FailureCode,
    OutputInvalid,
    QuotaExceeded,
    RegistryError,
    SafetyRefused,
    ServiceError,
    StoreError,
    UpstreamUnavailable,
)
from service.kit.frame.retries import RetryPlan
from service.kit.settings import REPO_ROOT, Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.log import account_hash
from service.runtime import Runtime

NOW = datetime(2025, 12, 8, 14, 30, 0, 123456, tzinfo=UTC)
NOVA = "amazon.nova-lite-v1:0"
MICRO = "amazon.nova-micro-v1:0"
ACCOUNT = "1234567890"
SECRET_TEXT = "customer is furious about the $284.60 bill"
SUMMARY = "The customer disputes an estimated bill of $284.60."
BODY = {"account_number": ACCOUNT, "contact_id": "abc-123-xyz"}


def _interaction(days_ago: int, channel: str = "agent", name: str = "i") -> Interaction:
    return Interaction.model_validate(
        {
            "interaction_id": f"{name}{days_ago}",
            "channel": channel,
            "timestamp": NOW - timedelta(days=days_ago),
            "intent": "billing",
            "text": SECRET_TEXT,
        }
    )


def _pair(backup: str | None = None) -> Pair:
    return Pair(
        name="steady",
        task="summarize",
        version="1.2.0",
        model=NOVA,
        backup=backup,
        sampling=Sampling(max_output_tokens=200),
        output=OutputRules(schema="summary-text-v1", max_words=130, min_words=3),
        serving=ServingPolicy(),
        messages=(
            PromptMessage(role="system", content="Summarise <history>."),
            PromptMessage(role="user", content="<history>{{history}}</history>"),
        ),
        variables=("history",),
    )


def _served(pair: Pair | None = None) -> ServedPair:
    return ServedPair(
        pair=pair or _pair(),
        registry_version=7,
        sequence=3,
        released_at="2025-12-01T00:00:00Z",
        released_by="dana",
        source="registry",
    )


@dataclass
class FakePairs:
    """One task's pair source; ``calls`` counts reads."""

    served: ServedPair | None = field(default_factory=_served)
    last_error: str | None = None
    last_refresh_at: str | None = "2025-12-08T14:00:00Z"
    calls: int = 0
    running: bool = False

    def current(self) -> ServedPair:
        self.calls += 1
        if self.served is None:
            raise RegistryError("no pair released for task summarize")
        return self.served

    def status(self) -> PairSourceStatus:
        return PairSourceStatus(
            served=self.served, last_refresh_at=self.last_refresh_at, last_error=self.last_error, age_s=1.0
        )

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False


@dataclass
class FakeInteractions:
    """Keeps interactions in memory; ``error`` is raised instead, ``delay`` moves the clock."""

    items: list[Interaction] = field(default_factory=list)
    error: ServiceError | Exception | None = None
    on_read: Callable[[], None] = lambda: None
    seen: list[tuple[str, HistoryFilter, datetime]] = field(default_factory=list)

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        self.seen.append((account_number, history_filter, as_of))
        self.on_read()
        if self.error is not None:
            raise self.error
        return InteractionPage(interactions=tuple(history_filter.apply(self.items, as_of)), query="fake", pages=1)


@dataclass
class FakeGateway:
    """Answers every model, or raises what is set for it."""

    text: str = SUMMARY
    usage: Usage = field(default_factory=lambda: Usage(input_tokens=3000, output_tokens=200))
    answered_by: str = "nova-lite"
    errors: dict[str, Exception] = field(default_factory=dict)
    calls: list[ModelCall] = field(default_factory=list)

    async def complete(self, call: ModelCall) -> ModelReply:
        self.calls.append(call)
        if call.model in self.errors:
            raise self.errors[call.model]
        return ModelReply(
            text=self.text, usage=self.usage, stop_reason="end_turn", latency_ms=12.0, answered_by=self.answered_by
        )


@dataclass
class World:
    """The fakes of one test and the clock, in seconds."""

    interactions: FakeInteractions = field(
        default_factory=lambda: FakeInteractions([_interaction(30), _interaction(3)])
    )
    gateway: FakeGateway = field(default_factory=FakeGateway)
    pairs: FakePairs = field(default_factory=FakePairs)
    time_s: float = 100.0
    ids: int = 0
    task: Task[Any] = field(default_factory=lambda: load_task("summarize"))

    def next_id(self) -> str:
        self.ids += 1
        return f"{self.ids:012x}"

    def runtime(self, **changes: Any) -> Runtime:
        cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
        runtime = runtime_of(
            settings=Settings(),
            cards=cards,
            gateway=LoggedGateway(self.gateway, cards),
            interactions=self.interactions,
            tasks={"summarize": self.task},
            pair_sources={"summarize": self.pairs},
            now=lambda: NOW,
            clock=lambda: self.time_s,
            ids=self.next_id,
        )
        return changed(runtime, **changes)


class Unfallen(Summarize):
    """The task without its fallback, so that failures show."""

    fallback_model = None


@contextmanager
def _client(world: World, **changes: Any) -> Iterator[TestClient]:
    with TestClient(create_app(runtime=world.runtime(**changes))) as client:
        yield client


def _post(world: World, body: dict[str, Any] | None = None, path: str = "/omni-channel-insights") -> Any:
    with _client(world) as client:
        return client.post(path, json=BODY if body is None else body)


@pytest.mark.acceptance(
    "answer.contact_id",
    "answer.request_id",
    "answer.initial_contact_id",
    "answer.account_number",
    "answer.date_range",
    "answer.generated_at",
    "answer.prompt_version",
    "answer.pair",
    "answer.pair_digest",
    "answer.registry_version",
    "answer.failure_code",
    "answer.cost_usd",
    "header.X-Model-Used",
    "header.X-Latency-Ms",
)
def test_answer_has_every_field_and_header() -> None:
    world = World()
    answer = _post(world)
    assert answer.status_code == 200
    assert answer.json() == {
        "contact_id": "abc-123-xyz",
        "request_id": "req-000000000001",
        "unique_process_id": answer.json()["unique_process_id"],
        "initial_contact_id": "abc-123-xyz",
        "account_number": ACCOUNT,
        "summary": SUMMARY,
        "date_range": "2025-11-08 to 2025-12-05",
        "model_used": "nova-lite",
        "answered_by": "nova-lite",
        "cache_hit": False,
        "prompt_cache_read_tokens": 0,
        "latency_ms": 0,
        "generated_at": "2025-12-08T14:30:00.123Z",
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": None,
        "prompt_version": "v1.2.0",
        "pair": "steady",
        "pair_digest": _pair().digest,
        "registry_version": 7,
        "degraded": False,
        "failure_code": None,
        "cost_usd": "0.000228",  # (3000 * 0.06 + 200 * 0.24) / 1,000,000
        "interactions_considered": 2,
        "kept": False,  # there is no store here
    }
    assert {name: answer.headers[name] for name in answer.headers if name.startswith("x-")} == {
        "x-model-used": "nova-lite",
        "x-cache-hit": "false",
        "x-prompt-cache-hit": "false",
        "x-latency-ms": "0",
        "x-request-id": "req-000000000001",
        "x-correlation-id": "req-000000000001",
    }


@pytest.mark.acceptance(
    "request.initial_contact_id",
    "request.ivr_intent",
    "request.max_history_days",
    "request.max_interactions",
    "answer.max_history_days",
    "answer.max_interactions",
    "answer.channel_filter",
    "answer.interactions_considered",
)
def test_given_ids_and_filters_come_back() -> None:
    world = World()
    given = BODY | {
        "unique_process_id": "process-1",
        "initial_contact_id": "first-1",
        "ivr_intent": "outage",
        "max_history_days": 30,
        "max_interactions": 1,
        "channel_filter": ["ivr", "agent"],
    }
    answer = _post(world, given).json()
    del given["ivr_intent"]
    assert {name: answer[name] for name in given} == given
    assert answer["interactions_considered"] == 1
    account, seen, as_of = world.interactions.seen[0]
    assert (account, seen.max_history_days, seen.channel_filter, as_of) == (ACCOUNT, 30, ("ivr", "agent"), NOW)


@pytest.mark.acceptance("request.unique_process_id", "answer.unique_process_id")
def test_missing_process_id_is_the_same_for_a_retry_and_another_for_another_contact() -> None:
    world = World()
    first, retry = _post(world).json(), _post(world).json()
    assert first["unique_process_id"] == retry["unique_process_id"]
    assert first["request_id"] != retry["request_id"]
    other = _post(world, BODY | {"initial_contact_id": "earlier"}).json()
    assert other["unique_process_id"] != first["unique_process_id"]


@pytest.mark.acceptance("answer.prompt_cache_read_tokens", "header.X-Cache-Hit", "header.X-Prompt-Cache-Hit")
def test_prompt_cache_reuse_is_its_own_figure() -> None:
    world = World(gateway=FakeGateway(usage=Usage(input_tokens=1000, output_tokens=200, cache_read_tokens=2000)))
    answer = _post(world)
    assert (answer.json()["prompt_cache_read_tokens"], answer.json()["cache_hit"]) == (2000, False)
    assert (answer.headers["x-prompt-cache-hit"], answer.headers["x-cache-hit"]) == ("true", "false")


@pytest.mark.acceptance("answer.summary", "answer.date_range", "answer.model_used")
def test_no_interactions_is_200_without_a_model_call() -> None:
    world = World(interactions=FakeInteractions([_interaction(200)]))
    answer = _post(world).json()
    assert (answer["summary"], answer["model_used"], answer["answered_by"]) == ("No interactions found", "none", "none")
    assert (answer["date_range"], answer["cost_usd"], answer["interactions_considered"]) == (None, "0", 0)
    assert world.gateway.calls == []


@pytest.mark.acceptance("answer.answered_by")
def test_a_stand_in_is_named() -> None:
    world = World(gateway=FakeGateway(answered_by="smollm2-135m"))
    answer = _post(world).json()
    assert (answer["model_used"], answer["answered_by"]) == ("nova-lite", "smollm2-135m")


@pytest.mark.acceptance("answer.summary", "answer.degraded")
def test_failed_models_give_a_degraded_digest() -> None:
    world = World(gateway=FakeGateway(errors={NOVA: UpstreamUnavailable("nova-lite is down")}))
    answer = _post(world)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["degraded"], body["model_used"], body["answered_by"]) == (
        True,
        "extractive-digest",
        "extractive-digest",
    )
    assert "2 interactions" in body["summary"]
    assert "is down" not in body["summary"]


@pytest.mark.acceptance("event.CROWDED")
def test_a_crowded_process_answers_with_the_digest_and_asks_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.kit.telemetry.loop_lag.Crowding.crowded", property(lambda _: True))
    world = World()
    with capture_logs() as logs:
        body = _post(world).json()
    assert (body["degraded"], body["answered_by"]) == (True, "extractive-digest")
    assert world.gateway.calls == []
    assert [entry["task"] for entry in logs if entry["event"] == "CROWDED"] == ["summarize"]


@pytest.mark.acceptance("answer.model_used")
def test_backup_answers_when_the_primary_fails() -> None:
    world = World(
        gateway=FakeGateway(errors={NOVA: UpstreamUnavailable("down")}, answered_by="nova-micro"),
        pairs=FakePairs(_served(_pair(backup=MICRO))),
    )
    answer = _post(world).json()
    assert (answer["degraded"], answer["model_used"]) == (False, "nova-micro")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UpstreamUnavailable("nova-lite failed"), 503, "UPSTREAM_UNAVAILABLE"),
        (DeadlineExceeded("no answer"), 504, "DEADLINE"),
        (OutputInvalid("empty", raw_text=SECRET_TEXT), 502, "OUTPUT_INVALID"),
        (SafetyRefused("guardrail"), 502, "FAILED_SAFETY_GUIDELINES"),
    ],
)
@pytest.mark.acceptance("header.X-Request-Id", "code.FAILED_SAFETY_GUIDELINES", "code.OUTPUT_INVALID", "code.DEADLINE")
def test_failure_without_fallback_is_a_problem(error: Exception, status: int, code: str) -> None:
    world = World(gateway=FakeGateway(errors={NOVA: error}), task=Unfallen())
    answer = _post(world)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "req-000000000001"
    assert (answer.json()["code"], answer.json()["status"]) == (code, status)
    assert answer.json()["type"] == f"urn:problem:{code.lower().replace('_', '-')}"
    assert SECRET_TEXT not in answer.text


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/json", None, 200),
        ("application/json; charset=utf-8", None, 200),
        ("APPLICATION/JSON", None, 200),
        ("application/vnd.x+json", None, 200),
        ("text/plain", None, 422),
        ("application/json", b"", 422),
        ("application/json", b"{", 422),
        ("application/json", b'{"account_number": 1' + b"0" * 5000 + b"}", 422),
        ("application/json", b'["a"]', 422),
        ("application/json", b'{"account_number": "1"}', 422),
        ("application/json", '{"account_number": "12345\u200b67890", "contact_id": "c"}'.encode(), 422),
        ("application/json", '{"account_number": "\uff11234567890", "contact_id": "c"}'.encode(), 422),
        ("application/json", '{"account_number": "\u0661234567890", "contact_id": "c"}'.encode(), 422),
    ],
)
def test_a_body_is_read_as_fastapi_reads_it(
    kind: str, content: bytes | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> tuple[int, Any, Any]:
        with _client(World()) as client:
            body = json.dumps(BODY).encode() if content is None else content
            answer = client.post("/omni-channel-insights", content=body, headers={"content-type": kind})
        return answer.status_code, answer.json(), answer.headers

    ours = ask()

    async def nothing(_request: Any) -> None:
        return None

    monkeypatch.setattr(insights, "_plain_body", nothing)
    assert ours == ask()
    assert ours[0] == status


@pytest.mark.acceptance("code.QUOTA_EXCEEDED", "code.INSUFFICIENT_CONTENT")
def test_every_failure_code_has_a_status() -> None:
    assert {code.value: status for code, status in HTTP_STATUS.items()} == {
        "QUOTA_EXCEEDED": 429,
        "INSUFFICIENT_CONTENT": 422,
        "FAILED_SAFETY_GUIDELINES": 502,
        "OUTPUT_INVALID": 502,
        "DEADLINE": 504,
        "UPSTREAM_UNAVAILABLE": 503,
        "INTERNAL_ERROR": 500,
    }
    assert set(HTTP_STATUS) == set(FailureCode)


@pytest.mark.acceptance("answer.latency_ms")
def test_history_time_counts_against_the_deadline() -> None:
    world = World()

    def slow() -> None:
        world.time_s += 1.5

    world.interactions.on_read = slow
    answer = _post(world).json()
    assert world.gateway.calls[0].timeout_s == pytest.approx(
        3.25
    )  # 5 s less the reading and less what is kept for the digest
    assert answer["latency_ms"] == 1500


@pytest.mark.acceptance("answer.degraded")
def test_spent_deadline_gives_the_digest_and_no_model_call() -> None:
    world = World()

    def too_slow() -> None:
        world.time_s += 6.0

    world.interactions.on_read = too_slow
    answer = _post(world).json()
    assert answer["degraded"] is True
    assert world.gateway.calls == []


def test_a_history_at_the_last_moment_is_still_answered_within_five_seconds() -> None:
    latest_s = Settings().stores.history_timeout_s
    assert latest_s + 0.25 <= 5.0  # what the digest and the response may take
    world = World()

    def late() -> None:
        world.time_s += latest_s

    world.interactions.on_read = late
    answer = _post(world).json()
    assert (answer["degraded"], answer["latency_ms"]) == (False, 4500)  # the model has what is left
    world.gateway.errors = {NOVA: DeadlineExceeded("late")}
    assert _post(world).json()["degraded"] is True


@pytest.mark.parametrize(
    ("change", "field_name"),
    [
        ({"colour": "blue-4711"}, "colour"),
        ({"account_number": "99"}, "account_number"),
        ({"contact_id": ""}, "contact_id"),
        ({"max_history_days": 0}, "max_history_days"),
        ({"max_interactions": 5000}, "max_interactions"),
        ({"channel_filter": ["ivr", "pigeon-4711"]}, "channel_filter.1"),
        ({"channel_filter": []}, "channel_filter"),
        ({"contact_id": 4711.5}, "contact_id"),
        ({"contact_id": "4711\x00"}, "contact_id"),
        ({"account_number": "4711\r\n4711"}, "account_number"),
    ],
)
@pytest.mark.acceptance("request.account_number", "request.channel_filter")
def test_wrong_field_is_named_and_its_value_not_echoed(change: dict[str, Any], field_name: str) -> None:
    answer = _post(World(), BODY | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["field"] for item in answer.json()["errors"]] == [field_name]
    assert field_name in answer.json()["detail"]
    assert "4711" not in answer.text


@pytest.mark.acceptance("request.contact_id")
def test_missing_fields_are_named() -> None:
    answer = _post(World(), {})
    assert {item["field"] for item in answer.json()["errors"]} == {"account_number", "contact_id"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"account_number": "12345", "contact_id": "c", "max_history_days": ' + b"9" * 5000 + b"}",
        b"{not json",
        b"[]",
        b'{"account_number": "\\ud800\\ud800", "contact_id": "c"}',
        b"",
    ],
)
@pytest.mark.acceptance("code.INVALID_REQUEST")
def test_broken_body_is_a_422_problem(content: bytes) -> None:
    with _client(World()) as client:
        answer = client.post("/omni-channel-insights", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_the_first_and_last_days_of_the_calendar_are_accepted(as_of: str) -> None:
    assert _post(World(), _task_body(as_of=as_of), path="/v1/summarize").status_code == 200


@pytest.mark.acceptance("code.UPSTREAM_UNAVAILABLE")
def test_store_error_is_503() -> None:
    world = World(interactions=FakeInteractions(error=StoreError("table 't' gave no answer within 2 s")))
    answer = _post(world)
    assert (answer.status_code, answer.json()["code"]) == (503, "UPSTREAM_UNAVAILABLE")


@pytest.mark.acceptance("code.UPSTREAM_UNAVAILABLE")
def test_no_pair_is_503_before_anything_is_read() -> None:
    world = World(pairs=FakePairs(served=None))
    answer = _post(world)
    assert (answer.status_code, answer.json()["detail"]) == (503, "no pair released for task summarize")
    assert world.interactions.seen == []


@pytest.mark.acceptance("event.REQUEST_FAILED", "code.INTERNAL_ERROR")
def test_unexpected_error_is_500_without_its_message() -> None:
    world = World(interactions=FakeInteractions(error=ValueError(SECRET_TEXT)))
    with capture_logs() as logs:
        answer = _post(world)
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert answer.headers["x-request-id"] == "req-000000000001"
    assert SECRET_TEXT not in answer.text + json.dumps(logs)
    assert [entry["error"] for entry in logs if entry["event"] == "REQUEST_FAILED"] == ["ValueError"]


def test_unknown_path_and_method_are_problems() -> None:
    with _client(World()) as client:
        missing, wrong = client.get("/nowhere"), client.get("/omni-channel-insights")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")


@pytest.mark.acceptance("promise-13")
def test_pair_is_taken_once_per_request() -> None:
    world = World()
    _post(world)
    assert world.pairs.calls == 1


@pytest.mark.acceptance(
    "event.REQUEST_RECEIVED",
    "event.BEDROCK_INVOKE_START",
    "event.BEDROCK_INVOKE_SUCCESS",
    "event.REQUEST_COMPLETED",
    "event.SERVICE_STARTED",
    "event.SERVICE_STOPPED",
)
def test_log_has_the_events_and_no_customer_data() -> None:
    world = World()
    with capture_logs() as logs:
        _post(world)
    events = [entry["event"] for entry in logs]
    assert events == [
        "SERVICE_STARTED",
        "REQUEST RECEIVED",
        "BEDROCK_INVOKE_START",
        "BEDROCK_INVOKE_SUCCESS",
        "REQUEST_COMPLETED",
        "SERVICE_STOPPED",
    ]
    written = json.dumps(logs)
    assert ACCOUNT not in written
    assert SECRET_TEXT not in written
    assert SUMMARY not in written
    assert logs[1]["account"] == account_hash(ACCOUNT)


@pytest.mark.acceptance("header.X-Correlation-Id")
def test_a_callers_correlation_id_is_logged_and_comes_back() -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs, _client(World()) as client:
        answer = client.post("/omni-channel-insights", json=BODY, headers={"X-Correlation-Id": "case-7"})
    assert answer.headers["x-correlation-id"] == "case-7"
    ours = [entry for entry in logs if "request_id" in entry]
    assert len(ours) == 4
    assert {entry["correlation_id"] for entry in ours} == {"case-7"}


@pytest.mark.acceptance("figure.omni_requests")
def test_metrics_endpoint_shows_what_happened() -> None:
    series = 'omni_requests_total{path="/omni-channel-insights",status="200"}'
    before = metrics.total(metrics.REQUESTS, path="/omni-channel-insights", status="200")
    with _client(World()) as client:
        client.post("/omni-channel-insights", json=BODY)
        client.post("/scanned/1", json=BODY)
        text = client.get("/metrics").text
    assert f"{series} {before + 1}" in text
    assert 'omni_requests_total{path="unrouted",status="404"}' in text
    assert "scanned" not in text
    assert ACCOUNT not in text


@pytest.mark.parametrize(
    ("error", "event"),
    [(DeadlineExceeded("late"), "BEDROCK_INVOKE_TIMEOUT"), (QuotaExceeded("slow down"), "BEDROCK_INVOKE_FAILURE")],
)
@pytest.mark.acceptance("event.BEDROCK_INVOKE_TIMEOUT", "event.BEDROCK_INVOKE_FAILURE")
def test_model_trouble_is_logged(error: Exception, event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.core.llm.deadline._THROTTLE_RETRIES", RetryPlan(first_s=0, longest_s=0))
    world = World(gateway=FakeGateway(errors={NOVA: error}))
    with capture_logs() as logs:
        _post(world)
    assert event in [entry["event"] for entry in logs]


def _task_body(**changes: Any) -> dict[str, Any]:
    return {
        "as_of": NOW.isoformat(),
        "account_number": ACCOUNT,
        "contact_id": "c-1",
        "interactions": [json.loads(_interaction(3).model_dump_json())],
    } | changes


def test_task_route_answers_its_own_inputs() -> None:
    answer = _post(World(), _task_body(), path="/v1/summarize")
    assert answer.status_code == 200
    assert answer.json() == {
        "task": "summarize",
        "request_id": "req-000000000001",
        "output": SUMMARY,
        "pair": "steady",
        "prompt_version": "v1.2.0",
        "pair_digest": _pair().digest,
        "registry_version": 7,
        "model": "nova-lite",
        "answered_by": "nova-lite",
        "arm": "primary",
        "degraded": False,
        "latency_ms": 0,
        "cost_usd": "0.000228",
        "usage": {"input_tokens": 3000, "output_tokens": 200, "cache_read_tokens": 0, "cache_write_tokens": 0},
        "failure": None,
        "kept": None,
    }


def test_task_route_refuses_unknown_fields_and_shows_failures_as_problems() -> None:
    refused = _post(World(), _task_body(extra=1), path="/v1/summarize")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "extra")
    broken = World(gateway=FakeGateway(errors={NOVA: DeadlineExceeded("late")}), task=Unfallen())
    assert _post(broken, _task_body(), path="/v1/summarize").status_code == 504


def test_openapi_names_the_inputs_of_each_task_and_the_problem_body() -> None:
    schema = create_app(runtime=World().runtime()).openapi()
    body = schema["paths"]["/v1/summarize"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/SummarizeInputs"}
    invalid = schema["paths"]["/omni-channel-insights"]["post"]["responses"]["422"]["content"]
    assert list(invalid) == ["application/problem+json"]
    assert invalid["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_ready_when_a_pair_is_served_even_if_the_last_refresh_failed() -> None:
    world = World(pairs=FakePairs(last_error="registry unreachable"))
    with _client(world) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (200, [])
    task = answer.json()["tasks"]["summarize"]
    assert (task["pair"], task["registry_version"], task["last_error"]) == ("steady", 7, "registry unreachable")


@pytest.mark.acceptance("promise-16")
def test_not_ready_without_a_pair_says_what_to_do_while_the_process_lives() -> None:
    world = World(pairs=FakePairs(served=None, last_error="alias 'production' does not exist"))
    with _client(world) as client:
        ready, alive = client.get("/readyz"), client.get("/healthz")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json()["reasons"] == [
        'no pair released for task summarize: run omni promote extractive --why "first release" --task summarize '
        "(the registry said: alias 'production' does not exist)"
    ]


def test_not_ready_while_another_task_serves_names_the_setting_that_requires_it() -> None:
    world = World()
    sources = {"summarize": FakePairs(served=None), "label": world.pairs}
    with _client(world, pair_sources=sources) as client:
        (reason,) = client.get("/readyz").json()["reasons"]
    assert reason.endswith("--task summarize; or leave it out of OMNI_REQUIRED_TASKS")


def test_not_ready_before_the_first_refresh_says_wait() -> None:
    world = World(pairs=FakePairs(served=None, last_refresh_at=None))
    with _client(world) as client:
        assert "wait a few seconds" in client.get("/readyz").json()["reasons"][0]


def test_a_task_that_is_not_required_may_serve_nothing() -> None:
    world = World()
    sources = {"summarize": world.pairs, "label": FakePairs(served=None)}
    with _client(world, pair_sources=sources) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["tasks"]["label"]["pair"] is None


def test_required_task_that_does_not_exist_is_a_reason() -> None:
    with _client(World(), settings=Settings(required_tasks=("summarize", "translate"))) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "translate" in answer.json()["reasons"][0]


def test_lifespan_starts_and_stops_the_pair_sources() -> None:
    world = World()
    with _client(world):
        assert world.pairs.running
    assert not world.pairs.running


@pytest.mark.acceptance("event.WARM_UP_FAILED")
def test_failed_warm_up_is_logged_and_does_not_stop_the_service() -> None:
    ended = threading.Event()

    def warm_up() -> None:
        ended.set()
        raise ImportError("litellm")

    world = World()
    with capture_logs() as logs, _client(world, warm_up=warm_up) as client:
        assert ended.wait(5)
        _wait_for_the_warm_up()
        assert client.get("/readyz").status_code == 200
    assert [entry["error"] for entry in logs if entry["event"] == "WARM_UP_FAILED"] == ["ImportError"]


def test_failures_while_litellm_is_imported_do_not_open_a_breaker() -> None:
    loading = threading.Event()
    world = World()
    with _client(world, warm_up=loading.wait) as client:
        breakers = client.app.state.runtime.reliability.breakers  # type: ignore[attr-defined]
        assert not breakers.armed
        assert client.get("/readyz").status_code == 200
        loading.set()
        _wait_for_the_warm_up()
        assert breakers.armed


def _wait_for_the_warm_up() -> None:
    for thread in threading.enumerate():
        if thread.name == "gateway-warm-up":
            thread.join(5)


@pytest.mark.parametrize("fails", [False, True])
def test_with_a_last_known_good_pair_the_registry_is_asked_after_the_warm_up(fails: bool) -> None:
    loading = threading.Event()

    def warm_up() -> None:
        loading.wait(5)
        if fails:
            raise ImportError("litellm")

    world = World()
    with _client(world, warm_up=warm_up):
        assert not world.pairs.running
        loading.set()
        _wait_for_the_warm_up()
        assert world.pairs.running
    assert not world.pairs.running


def test_without_a_pair_the_registry_is_asked_at_once() -> None:
    loading = threading.Event()
    world = World(pairs=FakePairs(served=None))
    with _client(world, warm_up=loading.wait):
        assert world.pairs.running
        loading.set()
        _wait_for_the_warm_up()


def test_building_the_app_reads_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMNI_PORT", "not a number")
    assert create_app().title == "Omni-channel insights"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"account_number": "1234567890"}, "missing: contact_id"),
        ({"contact_id": "c", "channels": []}, "missing: account_number; wrong or unknown: channels"),
        ({"account_number": "1", "contact_id": "c"}, "wrong or unknown: account_number"),
    ],
)
def test_a_field_that_is_missing_is_called_missing(body: dict[str, object], detail: str) -> None:
    with _client(World()) as client:
        assert client.post("/omni-channel-insights", json=body).json()["detail"] == detail
