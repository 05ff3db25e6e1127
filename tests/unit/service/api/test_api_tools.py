"""A served run gets the tools of its pair: over MCP in this process, with effects noted per client and conversation."""

import asyncio
import json
from types import SimpleNamespace
from typing import ClassVar

import pytest
from builders import changed, make_pair
from pydantic import BaseModel
from starlette.testclient import TestClient
from tool_server import FUNCTIONS, written

from service.api.answering import answer, start_timer, tools_of_run
from service.app import create_app
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.run.task import Task
from service.core.tools.provenance import Sources
from service.core.tools.serving import build_task_tools
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use

CALLBACK = ToolSpec(
    name="request_callback",
    description="Ask for a call.",
    arguments={"type": "object", "properties": {"phone": {"type": "string"}}, "required": ["phone"]},
    writes=True,
)

LOOKUP = ToolSpec(name="find_branch", description="Find a branch.", arguments={"type": "object"})


class Wish(BaseModel):
    said: str
    phone: str
    conversation: str | None = None


class Callbacks(Task[Wish]):
    name: ClassVar[str] = "callbacks"
    input_model: ClassVar = Wish
    variables: ClassVar = frozenset()
    tool_functions: ClassVar = FUNCTIONS

    def values(self, inputs):
        return {}

    def check(self, text, rules):
        return text

    def conversation(self, inputs):
        return inputs.conversation

    def sources(self, inputs):
        return Sources(said=[inputs.said])

    def steps(self, inputs, pair):
        outcome = yield Use(tool="request_callback", arguments={"phone": inputs.phone})
        return outcome.content


class Source:
    def __init__(self, pair):
        self.served = ServedPair(
            pair=pair, registry_version=7, sequence=3, released_at="t", released_by="dana", source="registry"
        )

    def current(self):
        return self.served

    def status(self):
        return PairSourceStatus(served=self.served, last_refresh_at="t", last_error=None, age_s=1.0)

    def start(self):
        pass

    stop = start


@pytest.fixture
def runtime(api_runtime):
    task = Callbacks()
    made = api_runtime(tasks={"callbacks": task}, pair_sources={"callbacks": Source(make_pair(tools=(CALLBACK,)))})
    return changed(made, tools=build_task_tools(made.settings, {"callbacks": task.tool_functions}, None))


@pytest.fixture
def client(runtime):
    written.clear()
    with TestClient(create_app(runtime=runtime)) as client:
        yield client


def asked(client, **inputs):
    answer = client.post("/v1/callbacks", json=inputs)
    assert answer.status_code == 200
    return json.loads(answer.json()["output"])


def test_a_run_uses_the_task_s_functions(client):
    assert asked(client, said="call 555 0100", phone="555 0100") == {"ticket": "T-1"}
    assert written[0][0] == "555 0100"
    assert written[0][1]  # its idempotency key


def test_an_equal_call_of_a_conversation_is_made_once_and_of_another_again(client):
    wish = {"said": "call 555 0100", "phone": "555 0100"}
    tickets = [asked(client, conversation=name, **wish)["ticket"] for name in ("conv-1", "conv-1", "conv-2")]
    assert tickets == ["T-1", "T-1", "T-2"]
    assert [asked(client, **wish)["ticket"] for _ in range(2)] == ["T-3", "T-4"]  # no conversation: two requests


def test_what_the_guard_of_tools_forbids_is_told_and_not_done(client):
    assert "neither the customer" in asked(client, said="hello", phone="555 0100")["error"]
    assert written == []


def test_one_client_s_conversation_is_not_another_s(runtime):
    served, inputs = runtime.answering.pair_sources["callbacks"].served, Wish(said="", phone="", conversation="conv-1")

    def run_id(**caller):
        state = SimpleNamespace(request_id="req-1", caller=SimpleNamespace(**caller))
        request = SimpleNamespace(state=state, app=SimpleNamespace(state=SimpleNamespace(runtime=runtime)))
        return tools_of_run("callbacks", inputs, served=served, request=request).run_id

    assert run_id(tenant="acme", client_id="one") == run_id(tenant="acme", client_id="two")
    assert len({run_id(tenant=None, client_id=name) for name in ("one", "two")}) == 2
    assert run_id(tenant="acme", client_id="one") != run_id(tenant=None, client_id="acme")


def test_a_pair_without_tools_gets_none(runtime):
    served = Source(make_pair()).served
    request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(runtime=runtime)))
    assert tools_of_run("callbacks", Wish(said="", phone=""), served=served, request=request) is None


def test_a_candidate_s_shadow_has_its_own_reading_tools_though_production_names_none(runtime):
    class Rollouts:
        def shadow(self, unit):
            return SimpleNamespace(served=Source(make_pair(tools=(LOOKUP, CALLBACK))).served)

        def observe(self, digest, seen):
            pass

    class Shadows:
        def submit(self, task, inputs, context, shown, candidate, *, now):
            self.tools = context.tools

    shadows = Shadows()
    source = Source(make_pair())
    other = changed(runtime, pair_sources={"callbacks": source}, rollouts={"callbacks": Rollouts()}, shadow=shadows)
    inputs, timer = Wish(said="", phone=""), start_timer(other)
    asyncio.run(answer("callbacks", inputs, served=source.served, runtime=other, timer=timer))
    assert set(shadows.tools.specs) == {LOOKUP.name}


@pytest.mark.acceptance("agent-02")
@pytest.mark.parametrize("approved", [True, False, None])
def test_a_rollout_is_told_what_the_task_says_of_its_answer_s_approval(runtime, monkeypatch, approved):
    class Rollouts:
        def shadow(self, unit):
            return None

        def observe(self, digest, seen):
            self.seen = seen

    monkeypatch.setattr(Callbacks, "approved", lambda self, output: approved)
    rollouts, source = Rollouts(), Source(make_pair())
    other = changed(runtime, pair_sources={"callbacks": source}, rollouts={"callbacks": rollouts})
    asyncio.run(
        answer("callbacks", Wish(said="", phone=""), served=source.served, runtime=other, timer=start_timer(other))
    )
    assert rollouts.seen.approved is approved
