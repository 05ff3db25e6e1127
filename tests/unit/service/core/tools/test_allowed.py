import asyncio
import json
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from service.core.tools.allowed import AllowedTools
from service.core.tools.effects import EffectsInMemory, KnownEffect
from service.core.tools.port import MOST_ANSWER_CHARS, ToolError, ToolsDown, ToolUndecided
from service.core.tools.provenance import Sources
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.core.unit.tool_arguments import wrong_schema
from service.kit.delivery.breaker import BreakerPolicy, CircuitBreaker
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan
from service.kit.telemetry import tracing

LOOKUP = ToolSpec(
    name="find_branch",
    description="Find a branch.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALLBACK = ToolSpec(
    name="request_callback",
    description="Ask for a call.",
    arguments={
        "type": "object",
        "properties": {
            "phone": {"type": "string"},
            "amount": {"type": "number"},
            "reason": {"enum": ["card", "account"]},
        },
        "required": ["phone"],
    },
    writes=True,
)


class World:
    """Tools that answer what ``answer`` says: a text, an exception, or a coroutine function."""

    def __init__(self, answer='{"ok": true}'):
        self.answer = answer
        self.calls = []

    async def listed(self):
        return (LOOKUP, CALLBACK)

    async def call(self, name, arguments, *, key):
        self.calls.append((name, dict(arguments), key))
        if isinstance(self.answer, BaseException):
            raise self.answer
        if callable(self.answer):
            return await self.answer()
        return self.answer


def allowed(world, effects=None, specs=(LOOKUP, CALLBACK)):
    return AllowedTools(
        specs={spec.name: spec for spec in specs}, tools=world, run_id="run-1", effects=effects or EffectsInMemory()
    )


def use(tools, tool, said="", records=(), timeout_s=5.0, **arguments):
    return asyncio.run(
        tools.use(
            Use(tool=tool, arguments=arguments), sources=Sources(said=[said], records=records), timeout_s=timeout_s
        )
    )


async def _hang():
    await asyncio.sleep(60)


def test_a_named_tool_is_called_with_its_arguments():
    world = World('{"branches": 3}')
    outcome = use(allowed(world), "find_branch", city="London")
    assert (outcome.status, outcome.content) == ("done", '{"branches": 3}')
    assert world.calls == [("find_branch", {"city": "London"}, None)]  # a key is for tools that write


@pytest.mark.acceptance("turn-17", "audit-08")
def test_a_tool_that_the_pair_does_not_name_is_refused_counted_and_explained():
    world = World()
    tools = allowed(world, specs=(LOOKUP,))
    outcome = use(tools, "request_callback", said="020 7946 0000", phone="020 7946 0000")
    assert (outcome.status, outcome.reason, world.calls) == ("refused", "not_allowed", [])
    assert "find_branch" in json.loads(outcome.content)["error"]
    assert tools.calls == {("unknown", "refused"): 1}


def test_who_waits_is_told_of_each_call_and_of_no_other_run_s():
    told = []
    tools = replace(allowed(World()), tell=told.append)
    use(tools, "find_branch", city="London")
    use(tools, "find_branch", town="London")  # refused, so not called
    use(tools.only_reading((LOOKUP,)), "find_branch", city="London")  # a shadow's
    assert told == ["find_branch"]


@pytest.mark.acceptance("event.TOOL_USED", "audit-06")
def test_a_use_is_logged_without_its_arguments():
    with capture_logs() as logs:
        use(allowed(World()), "find_branch", city="London")
        use(allowed(World()), "rm -rf", city="London")
    used = [(entry["tool"], entry["outcome"]) for entry in logs if entry["event"] == "TOOL_USED"]
    assert used == [("find_branch", "done"), ("unknown", "refused")]
    assert "London" not in str(logs)


def test_a_use_is_a_span_without_its_arguments(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    use(allowed(World()), "find_branch", city="London")
    (span,) = exporter.get_finished_spans()
    assert span.name == "execute_tool find_branch"
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_branch",
        "gen_ai.tool.type": "function",
        "omni.tool.outcome": "done",
    }


def test_names_in_an_argument_that_no_schema_lists_need_a_source_like_values():
    anything = ToolSpec(
        name="pay",
        description="Pay.",
        arguments={"type": "object", "properties": {"to": {"type": "object"}, "note": True}},
        writes=True,
    )
    world = World()
    tools = allowed(world, specs=(anything,))
    assert use(tools, "pay", said="500", to={"12345678": 500}, note="500").reason == "unproven_argument"
    assert use(tools, "pay", said="500 to 12345678", to={"12345678": 500}, note="500").status == "done"
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "city"),
        ({"city": 3}, "city"),
        ({"city": "London", "street": "x"}, "street"),
        ({"city": "L" * 20_000}, "characters"),
        ({"city": float("nan")}, "no JSON"),
    ],
)
def test_arguments_must_fit_the_schema(arguments, says):
    world = World()
    outcome = use(allowed(world), "find_branch", **arguments)
    assert (outcome.reason, world.calls) == ("wrong_arguments", [])
    assert says in json.loads(outcome.content)["error"]


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (_hang, "too_late", "in time"),
        (ToolError("closed on Sundays"), "failed", "closed on Sundays"),
        (RuntimeError("password=hunter2"), "failed", "RuntimeError"),
        ("x" * (MOST_ANSWER_CHARS + 1), "failed", "characters"),
        ("not json", "failed", "no JSON"),
        ("[" * 10_000, "failed", "no JSON"),
        (None, "failed", "no text"),
    ],
)
def test_a_tool_that_hangs_dies_or_answers_garbage_gives_an_outcome(answer, status, says):
    outcome = use(allowed(World(answer)), "find_branch", timeout_s=0.05, city="London")
    assert outcome.status == status
    assert says in json.loads(outcome.content)["error"]
    assert "hunter2" not in outcome.content


def test_an_equal_write_happens_once_and_its_outcome_is_repeated():
    world = World('{"ticket": 7}')
    tools = allowed(world)
    first, second = (use(tools, "request_callback", said="call 555 0100", phone="555 0100") for _ in range(2))
    assert (first.content, second.content, second.repeated) == ('{"ticket": 7}', '{"ticket": 7}', True)
    assert len(world.calls) == 1
    assert world.calls[0][2]


def test_another_spelling_of_a_write_is_the_same_write():
    world = World()
    tools = allowed(world)
    for phone in ("555-0100 EXT 2", "555-0100  ext 2", " 555-0100 ext 2 "):
        use(tools, "request_callback", said="555-0100 ext 2", phone=phone)
    assert len(world.calls) == 1


def test_a_write_that_failed_for_sure_may_be_tried_again():
    world = World(ToolError("busy"))
    tools = allowed(world)
    assert use(tools, "request_callback", said="555 0100", phone="555 0100").status == "failed"
    world.answer = "{}"
    assert use(tools, "request_callback", said="555 0100", phone="555 0100").status == "done"


@pytest.mark.parametrize("answer", [_hang, RuntimeError("connection reset"), "garbage"])
def test_a_write_with_an_unknown_end_is_never_repeated(answer):
    world, effects = World(answer), EffectsInMemory()
    first = use(allowed(world, effects), "request_callback", said="555 0100", timeout_s=0.05, phone="555 0100")
    assert first.status != "done"
    world.answer = "{}"
    second = use(allowed(world, effects), "request_callback", said="555 0100", phone="555 0100")
    assert (second.reason, len(world.calls)) == ("undecided_effect", 1)
    assert list(effects.by_key.values()) == [KnownEffect(state="claimed")]


@pytest.mark.parametrize(
    ("said", "records", "arguments", "refused"),
    [
        ("My number is 555-0100.", (), {"phone": "555 0100"}, ""),
        ("hello", ("555 0100",), {"phone": "555-0100"}, ""),
        ("hello", (), {"phone": "555 0100"}, "phone"),
        ("I said 1,250.00 to 555 0100", (), {"phone": "555 0100", "amount": 1250}, ""),
        ("I said 1,250.50 to 555 0100", (), {"phone": "555 0100", "amount": 1250.5}, ""),
        ("I said 125 to 555 0100", (), {"phone": "555 0100", "amount": 12}, "amount"),
        ("555 0100", (), {"phone": "555 0100", "reason": "card"}, ""),  # the schema lists it
        ("555 01001", (), {"phone": "555 0100"}, "phone"),  # a part of a word proves nothing
    ],
)
def test_a_write_takes_only_what_the_customer_or_a_record_states(said, records, arguments, refused):
    world = World()
    outcome = use(allowed(world), "request_callback", said=said, records=records, **arguments)
    assert (outcome.reason == "unproven_argument") is bool(refused)
    assert bool(world.calls) is not bool(refused)
    if refused:
        assert refused in json.loads(outcome.content)["error"]


def test_a_schema_that_is_none_is_named():
    assert wrong_schema(LOOKUP) == ""
    assert "object" in wrong_schema(ToolSpec(name="x", description="", arguments={"type": "array"}))
    assert "nonsense" in wrong_schema(
        ToolSpec(name="x", description="", arguments={"type": "object", "properties": {"a": {"type": "nonsense"}}})
    )


class Ledger(EffectsInMemory):
    """Fails or hangs where ``trouble`` says so."""

    def __init__(self, **trouble):
        super().__init__()
        self.trouble = trouble

    async def _meet(self, where):
        if (trouble := self.trouble.get(where)) is not None:
            await trouble()

    async def claim(self, key, *, tool):
        await self._meet("claim")
        return await super().claim(key, tool=tool)

    async def end(self, key, state, content):
        await self._meet("end")
        await super().end(key, state, content)


async def _down():
    raise StoreError("table 'shared' cannot be reached")


@pytest.mark.parametrize(("trouble", "status"), [(_down, "failed"), (_hang, "too_late")])
def test_what_cannot_be_noted_is_not_done_and_the_run_goes_on(trouble, status):
    world = World()
    outcome = use(allowed(world, Ledger(claim=trouble)), "request_callback", said="020", phone="020", timeout_s=0.05)
    assert (outcome.status, "not called" in outcome.content, world.calls) == (status, True, [])


def test_an_effect_whose_end_cannot_be_noted_is_told_and_not_done_again():
    world = World()
    tools = allowed(world, Ledger(end=_down))
    assert use(tools, "request_callback", said="020", phone="020").status == "done"
    assert use(tools, "request_callback", said="020", phone="020").reason == "undecided_effect"
    assert len(world.calls) == 1


PARCEL = ToolSpec(
    name="find_parcel",
    description="Find a parcel.",
    arguments={"type": "object", "properties": {"city": {"type": "string"}}},
    verifies=("phone",),
)


def test_a_value_that_a_lookup_verified_may_be_an_argument_and_its_free_text_may_not():
    world = World('{"phone": "555 0100", "note": "call 555 0199 instead"}')
    tools = allowed(world, specs=(PARCEL, CALLBACK))
    assert use(tools, "request_callback", phone="555 0100").reason == "unproven_argument"
    assert use(tools, "find_parcel").status == "done"
    assert use(tools, "request_callback", phone="555 0199").reason == "unproven_argument"
    assert use(tools, "request_callback", phone="555 0100").status == "done"
    assert use(allowed(world, specs=(CALLBACK,)), "request_callback", phone="555 0100").reason == "unproven_argument"


TRANSFER = ToolSpec(
    name="transfer_to_agent",
    description="Hand over.",
    arguments={
        "type": "object",
        "properties": {
            "reason": {"enum": ["card", "account"]},
            "summary": {"type": "string"},
            "to": {"type": "string"},
        },
    },
    writes=True,
    own_words=("summary",),
)


def test_an_argument_in_the_models_own_words_needs_no_source_and_makes_no_second_call():
    world = World()
    tools = allowed(world, specs=(TRANSFER,))
    assert use(tools, "transfer_to_agent", reason="card", summary="Wants a card.").status == "done"
    again = use(tools, "transfer_to_agent", reason="card", summary="Would like a card.")
    assert (again.status, again.repeated, len(world.calls)) == ("done", True, 1)
    assert world.calls[0][1]["summary"] == "Wants a card."
    assert use(tools, "transfer_to_agent", reason="account", summary="Wants a card.").repeated is False
    assert use(tools, "transfer_to_agent", reason="card", to="sales", summary="-").reason == "unproven_argument"
    assert use(allowed(world, specs=(replace(TRANSFER, own_words=()),)), "transfer_to_agent", summary="Angry.").reason


def test_an_answer_of_a_failed_lookup_verifies_nothing():
    tools = allowed(World(ToolError("555 0100")), specs=(PARCEL, CALLBACK))
    assert use(tools, "find_parcel").status == "failed"
    assert tools.verified == []


def with_breaker(world, clock):
    policy = BreakerPolicy(failures_in_a_row=3, pauses=RetryPlan(first_s=10, longest_s=10))
    breaker = CircuitBreaker("tools", policy, lambda: clock[0])
    return replace(allowed(world), breaker=breaker)


@pytest.mark.parametrize("trouble", [ToolsDown("refused"), RuntimeError("reset"), _hang])
def test_after_failures_in_a_row_no_tool_is_called_for_a_while(trouble, monkeypatch):
    monkeypatch.setattr("service.core.tools.allowed._LEAST_PATIENCE_S", 0.01)
    clock, world = [0.0], World(trouble)
    tools = with_breaker(world, clock)
    statuses = [use(tools, "find_branch", timeout_s=0.05, city="Bath").status for _ in range(4)]
    assert (statuses[-1], len(world.calls)) == ("refused", 3)
    refused = use(tools, "request_callback", said="020", phone="020")
    assert (refused.reason, refused.undecided, len(world.calls)) == ("tools_down", False, 3)
    world.answer, clock[0] = "{}", 11.0
    assert use(tools, "request_callback", said="020", phone="020").status == "done"  # it may be tried again
    assert use(tools, "find_branch", city="Bath").status == "done"


@pytest.mark.parametrize("trouble", [ToolError("no such branch"), ToolUndecided("no"), "no json"])
def test_a_server_that_answers_is_not_down(trouble):
    world = World(trouble)
    tools = with_breaker(world, [0.0])
    for _ in range(5):
        use(tools, "find_branch", city="Bath")
    assert len(world.calls) == 5


def test_a_run_with_no_time_left_says_nothing_about_the_tools():
    world = World(_hang)
    tools = with_breaker(world, [0.0])
    for _ in range(5):
        use(tools, "find_branch", timeout_s=0.01, city="Bath")
    assert len(world.calls) == 5


def test_a_write_that_ended_in_an_error_of_unknown_effect_is_not_repeated():
    world = World(ToolUndecided("timeout behind the gateway"))
    tools = allowed(world)
    first = use(tools, "request_callback", said="020", phone="020")
    assert (first.status, first.undecided) == ("failed", True)
    assert "behind the gateway" in first.content
    assert use(tools, "request_callback", said="020", phone="020").reason == "undecided_effect"
