import asyncio
import json
import os
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.reliability import Reliability
from service.core.release.rollout import Rollout, RolloutCandidate
from service.core.release.served import ServedPair
from service.core.run.task import TaskContext
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
from service.core.unit.pair import ToolSpec
from service.core.unit.pair_file import load_pair
from service.core.unit.question import Use
from service.kit.delivery.breaker import BreakerState
from service.kit.frame.errors import StoreError, UpstreamUnavailable
from service.kit.settings import REPO_ROOT
from service.rollouts.shadow import Shadow
from service.rollouts.shadow_record import ShadowRecord

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
ACCOUNT, CONTACT = "1234567890", "contact-77"
INPUTS = SummarizeInputs(
    as_of=NOW,
    account_number=ACCOUNT,
    contact_id=CONTACT,
    interactions=(
        Interaction(
            interaction_id="i-4711",
            timestamp=NOW - timedelta(days=2),
            channel="agent",
            intent="billing",
            text="Customer disputes the late fee and waits for an answer.",
        ),
    ),
)


def pair(name):
    return load_pair(
        REPO_ROOT / "prompts" / "summarize" / f"{name}.prompty", cards=CARDS, task_variables=TASK.variables
    )


SHOWN, UNSEEN = pair("nova-lite"), replace(pair("nova-lite"), version="9.9.9")


def candidate():
    served = ServedPair(
        pair=UNSEEN, registry_version=2, sequence=5, released_at="", released_by="me", source="registry"
    )
    rollout = Rollout(
        task="summarize",
        sequence=5,
        registry_version=2,
        pair_name=UNSEEN.name,
        pair_digest=UNSEEN.digest,
        production_digest=SHOWN.digest,
        percent=0,
        shadow_percent=100,
        steps=(10,),
        gate_run_id="r",
        attestation="a",
        who="me",
        why="w",
        at="2026-11-21T00:00:00+00:00",
        environment="local",
    )
    return RolloutCandidate(served=served, rollout=rollout, envelope="")


class Model:
    """Gives a good summary; waits for ``gate`` or raises ``error`` first."""

    def __init__(self, gate=None, error=None):
        self.gate, self.error, self.calls = gate, error, 0

    async def complete(self, call):
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return ModelReply(
            text="The customer disputes the late fee and waits for an answer.",
            usage=Usage(input_tokens=9),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by="model",
        )


async def context(model):
    made = TaskContext(pair=SHOWN, gateway=model, cards=CARDS, clock=asyncio.get_running_loop().time)
    return replace(made, reliability=Reliability(made.clock))


async def submitted(shadow, model, *, times=1):
    made = await context(Model())
    shown = await TASK.run(INPUTS, made)
    for _ in range(times):
        shadow.submit(TASK, INPUTS, replace(made, gateway=model), shown, candidate(), now=NOW)
    return made


def rows(tmp_path):
    return [json.loads(line) for line in (tmp_path / "summarize.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.acceptance("promise-15")
async def test_both_answers_are_kept_without_ids_for_the_owner_alone(tmp_path):
    shadow = Shadow(tmp_path)
    await submitted(shadow, Model(), times=2)
    await shadow.drain()
    first, second = rows(tmp_path)
    assert (first["shown"]["pair_digest"], first["unseen"]["pair_digest"]) == (SHOWN.digest, UNSEEN.digest)
    assert first["shown"]["output"] == first["unseen"]["output"]
    text = json.dumps(first)
    assert not any(secret in text for secret in (ACCOUNT, CONTACT, "i-4711"))
    assert first["inputs"]["account_number"] == second["inputs"]["account_number"]  # one customer's lines join
    SummarizeInputs.model_validate(first["inputs"])  # the harness can score it
    assert stat.S_IMODE((tmp_path / "summarize.jsonl").stat().st_mode) == 0o600
    assert Shadow(tmp_path)._pseudonym(ACCOUNT) != shadow._pseudonym(ACCOUNT)


async def test_requests_do_not_wait_for_shadows_and_excess_shadows_are_skipped(tmp_path):
    shadow, gate = Shadow(tmp_path, most_in_flight=3), asyncio.Event()
    model = Model(gate)
    await submitted(shadow, model, times=10)
    await asyncio.sleep(0)
    assert (shadow.left_out, shadow.kept) == (7, 0)
    gate.set()
    await shadow.drain()
    assert (model.calls, shadow.kept) == (3, 3)


async def test_a_failing_shadow_opens_no_breaker_of_real_requests(tmp_path):
    shadow = Shadow(tmp_path, most_in_flight=50)
    made = await submitted(shadow, Model(error=UpstreamUnavailable("down")), times=20)
    await shadow.drain()
    assert made.reliability.breakers.of(SHOWN.model).state is BreakerState.CLOSED
    assert shadow._reliability.breakers.of(SHOWN.model).state is BreakerState.OPEN
    assert {row["unseen"]["arm"] for row in rows(tmp_path)} == {"fallback"}


async def test_the_file_has_a_bound(tmp_path):
    shadow = Shadow(tmp_path, most_bytes=2000)
    await submitted(shadow, Model(), times=5)
    await shadow.drain()
    assert shadow.kept + shadow.left_out == 5
    assert shadow.left_out > 0
    assert (tmp_path / "summarize.jsonl").stat().st_size <= 2000


def test_the_bound_holds_for_answers_that_come_together(tmp_path, monkeypatch):
    shadow = Shadow(tmp_path, most_bytes=100)
    measured = os.fstat

    def slowly(handle):
        found = measured(handle)
        time.sleep(0.05)  # the others look meanwhile
        return found

    monkeypatch.setattr("service.rollouts.shadow.os.fstat", slowly)
    threads = [threading.Thread(target=shadow._append, args=("summarize", "x" * 39)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shadow.kept, shadow.left_out) == (2, 3)
    assert (tmp_path / "summarize.jsonl").stat().st_size == 80


@pytest.mark.parametrize("broken", ["folder", "disk"])
@pytest.mark.acceptance("event.SHADOW_FAILED")
async def test_a_shadow_file_that_cannot_be_written_is_counted_only(tmp_path, broken, monkeypatch):
    shadow = Shadow(tmp_path / "spool")
    if broken == "folder":
        (tmp_path / "spool").write_text("a file", encoding="utf-8")
    else:
        monkeypatch.setattr("service.rollouts.shadow.os.write", lambda handle, data: 3)
    with capture_logs() as logs:
        await submitted(shadow, Model(), times=2)
        await shadow.drain()
    assert [entry["event"] for entry in logs] == ["SHADOW_FAILED"] * 2
    assert (shadow.failed, shadow.kept) == (2, 0)
    if broken == "disk":
        assert (tmp_path / "spool" / "summarize.jsonl").read_text(encoding="utf-8") == ""


class Bucket:
    def __init__(self, error=None):
        self.error, self.objects = error, {}

    def put_json(self, key, text):
        if self.error is not None:
            raise self.error
        self.objects[key] = text


async def test_with_an_archive_each_answer_is_one_object_of_its_hour(tmp_path):
    bucket = Bucket()
    shadow = Shadow(tmp_path, archive=bucket)
    await submitted(shadow, Model(), times=3)
    await shadow.drain()
    assert (shadow.kept, len(bucket.objects), list(tmp_path.iterdir())) == (3, 3, [])
    for key, text in bucket.objects.items():
        record = ShadowRecord.model_validate_json(text)
        assert key == f"omni-shadow/summarize/2026/11/21/09/{record.id}.json"
        assert not any(secret in text for secret in (ACCOUNT, CONTACT, "i-4711"))


async def test_while_the_archive_fails_answers_are_kept_on_this_machine(tmp_path):
    shadow = Shadow(tmp_path, archive=Bucket(error=StoreError("down")))
    with capture_logs() as logs:
        await submitted(shadow, Model(), times=2)
        await shadow.drain()
    assert [entry["event"] for entry in logs] == ["SHADOW_FAILED"] * 2
    assert (shadow.kept, len(rows(tmp_path))) == (2, 2)


@pytest.mark.acceptance("event.SHADOW_LEFT_OUT")
async def test_a_task_whose_inputs_may_not_be_kept_is_not_asked_and_says_so_once(tmp_path):
    class Private(type(TASK)):
        def without_ids(self, inputs, pseudonym):
            return None

    shadow, asked = Shadow(tmp_path), Model()
    made = await context(Model())
    shown = await TASK.run(INPUTS, made)
    with capture_logs() as logs:
        for _ in range(3):
            shadow.submit(Private(), INPUTS, replace(made, gateway=asked), shown, candidate(), now=NOW)
        await shadow.drain()
    assert (asked.calls, shadow.left_out, list(tmp_path.iterdir())) == (0, 3, [])
    assert [(entry["event"], entry["task"]) for entry in logs] == [("SHADOW_LEFT_OUT", "summarize")]


class ToolBox:
    """Counts the calls of each tool."""

    def __init__(self):
        self.calls = []

    async def listed(self):
        return ()

    async def call(self, name, arguments, *, key):
        self.calls.append(name)
        return "{}"


async def test_a_shadow_reads_with_tools_and_never_writes(tmp_path):
    class UsesTools(type(TASK)):
        def steps(self, inputs, pair):
            for tool in ("look", "pay"):
                yield Use(tool=tool, arguments={"by": pair.version})
            return (yield from super().steps(inputs, pair))

    by = {"by": {"enum": [SHOWN.version, UNSEEN.version]}}
    specs = [
        ToolSpec(name=name, description=name, arguments={"type": "object", "properties": by}, writes=name == "pay")
        for name in ("look", "pay")
    ]
    box, found = ToolBox(), candidate()
    found = replace(found, served=replace(found.served, pair=replace(UNSEEN, tools=tuple(specs))))
    made = replace(await context(Model()), tools=AllowedTools(specs={s.name: s for s in specs}, tools=box, run_id="r"))
    shown = await UsesTools().run(INPUTS, made)
    assert box.calls == ["look", "pay"]
    shadow = Shadow(tmp_path / "shadow")
    shadow.submit(UsesTools(), INPUTS, made, shown, found, now=NOW)
    await shadow.drain()
    assert box.calls == ["look", "pay", "look"]
    assert shadow.kept == 1
