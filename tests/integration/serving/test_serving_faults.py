"""The chain over the real wire: litellm, a socket, and a stand-in that fails as Bedrock does."""

import asyncio
import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.reliability import Reliability
from service.core.run.task import TaskContext
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy
from service.kit.delivery.breaker import BreakerState
from service.kit.settings import REPO_ROOT
from service.local.process import LocalBedrock
from service.local.scripted_model import SCRIPTED_MODEL_ID

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ECHO = "local.echo-v1"
GOOD = "The customer disputes the late fee of $25.00 and waits for an answer."
WRONG = "The customer disputes the late fee of $52.00 and waits for an answer."
NEVER_S = 30  # whoever waits for what hangs waits longer, and a busy machine is done sooner
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
INPUTS = SummarizeInputs(
    as_of=NOW,
    account_number="1234567890",
    contact_id="c",
    interactions=(
        Interaction(
            interaction_id="i",
            timestamp=NOW - timedelta(days=2),
            channel="agent",
            intent="billing",
            text="Customer disputes the late fee of $25.00 and waits for an answer.",
        ),
    ),
)


def pair(model, backup):
    return Pair(
        name="p",
        task="summarize",
        version="1",
        model=model,
        backup=backup,
        sampling=Sampling(max_output_tokens=60),
        output=OutputRules(schema="s", max_words=200),
        serving=ServingPolicy(deadline_ms=3000, hedge_delay_ms=400),
        messages=(PromptMessage(role="user", content="<history>{{history}}</history>"),),
        variables=("history",),
    )


@pytest.fixture(scope="module")
def cards():
    known = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    echo = known.get(ECHO)
    scripted = echo.model_copy(update={"id": SCRIPTED_MODEL_ID, "short_name": "scripted"})
    return ModelCards([echo, scripted, known.get(TASK.fallback_model)])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    script = tmp_path_factory.mktemp("script") / "script.jsonl"
    rules = [
        {"contains": ["stand in none of the interactions"], "answers": [GOOD]},
        {"contains": ["<history>"], "answers": [WRONG]},
    ]
    script.write_text("\n".join(json.dumps(rule) for rule in rules), encoding="utf-8")
    with LocalBedrock(["--models", f"{ECHO},{SCRIPTED_MODEL_ID}", "--script", str(script)]) as running:
        yield running


@pytest.fixture
def faults(server):
    def plan(**rule):
        data = json.dumps(rule).encode() if rule else None
        request = urllib.request.Request(f"{server.url}/_local/faults", data=data, method="POST" if rule else "DELETE")
        urllib.request.urlopen(request).close()

    plan()
    yield plan
    plan()


def ask(server, cards, the_pair, times=1):
    """Return results and seconds of ``times`` requests in turn, and what the process remembers of them."""
    gateway = LiteLLMGateway(cards, region="us-east-1", endpoint=server.url, in_process=TASK.in_process)

    async def run():
        await asyncio.to_thread(gateway.warm_up)
        shared = Reliability(time.perf_counter)
        answered = []
        for _ in range(times):
            began = time.perf_counter()
            context = TaskContext(pair=the_pair, gateway=gateway, cards=cards, reliability=shared)
            answered.append((await TASK.run(INPUTS, context), time.perf_counter() - began))
        return answered, shared

    return asyncio.run(run())


@pytest.mark.acceptance("promise-04")
def test_a_wrong_amount_is_repaired_over_the_wire(server, cards, faults):
    ((result, _),), _ = ask(server, cards, pair(SCRIPTED_MODEL_ID, ECHO))
    assert (result.output, result.repaired, result.guarded, result.arm) == (GOOD, True, ("amount",), "primary")
    assert result.guard_findings == 1


@pytest.mark.acceptance("promise-01")
def test_a_hung_primary_is_hedged_cancelled_and_left_alone(server, cards, faults):
    faults(kind="hang", model=ECHO)
    answered, shared = ask(server, cards, pair(ECHO, SCRIPTED_MODEL_ID), times=9)
    assert {result.arm for result, _ in answered} <= {"backup", "fallback"}
    first, _ = answered[0]
    assert first.arm == "backup"
    assert first.cost_estimated
    assert all(seconds < NEVER_S for _, seconds in answered)
    # Three hedges are free, then the primary's own time-outs count: from the fifth failure on it is not asked.
    assert shared.breakers.states()[ECHO] is not BreakerState.CLOSED
    assert answered[-1][0].arm == "backup"


def test_a_broken_primary_and_a_throttled_backup_end_in_the_digest(server, cards, faults):
    faults(kind="disconnect", model=ECHO)
    faults(kind="throttle", model=SCRIPTED_MODEL_ID)
    ((result, seconds),), _ = ask(server, cards, pair(ECHO, SCRIPTED_MODEL_ID))
    assert (result.arm, result.degraded) == ("fallback", True)
    assert "25.00" in result.output
    assert seconds < NEVER_S
