import asyncio
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import ClassVar

import pytest
from builders import make_pair, make_part
from pydantic import BaseModel

from eval.run.reply_cache import ReplyCache
from eval.run.runner import TURN, ArmJob, ArmResults, Runner, in_turn
from eval.spine.cases import Case
from eval.spine.errors import RunAborted
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task
from service.core.tools.allowed import NO_TOOLS
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Pair
from service.core.unit.question import Question
from service.kit.frame.errors import FailureCode, PairError, UpstreamUnavailable

CARDS = ModelCards([ModelCard(id="main", short_name="main", wire="bedrock", runs="local", context_tokens=9)])


class Inputs(BaseModel):
    text: str


class Echo(Task[Inputs]):
    name: ClassVar[str] = "echo"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

    def without_model(self, inputs):
        return None if inputs.text else "silence"


class Gateway:
    """Echoes; fails for the texts in ``broken``; counts calls and how many ran at once."""

    def __init__(self, broken=()):
        self.calls = Counter()
        self.broken = set(broken)
        self.running = self.most = 0

    async def complete(self, call):
        text = call.messages[-1].content
        self.calls[text] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.running -= 1
        if text in self.broken:
            raise UpstreamUnavailable("down")
        return ModelReply(
            text=text, usage=Usage(output_tokens=1), stop_reason="end_turn", latency_ms=5.0, answered_by="main"
        )


PAIR = make_pair("echo", asked="{{text}}", model="main")
CASES = tuple(Case(id=f"case-{n}", inputs={"text": f"text {n}"}) for n in range(25))


def make_runner(gateway, folder, run_id="run-1", **changes):
    return Runner(
        task=Echo(),
        gateway=gateway,
        cards=CARDS,
        cache=ReplyCache(folder),
        run_id=run_id,
        concurrency=4,
        spacing_s=0,
        **changes,
    )


def run(runner, pair=PAIR, **changes):
    seen = []
    with closing(runner.cache):
        results = asyncio.run(
            runner.run(ArmJob(pair=pair, arm="primary", cases=CASES, **changes), lambda item, _: seen.append(item))
        )
    assert sorted(item.case_id for item in seen) == sorted(item.case_id for item in results)
    return results


def test_every_case_has_one_result_in_order_with_bounded_concurrency(tmp_path):
    gateway = Gateway()
    results = run(make_runner(gateway, tmp_path))
    assert [item.case_id for item in results] == [case.id for case in CASES]
    assert all(item.live and item.result.output == f"text {n}" for n, item in enumerate(results))
    assert gateway.most == 4


@pytest.mark.parametrize("raising", ["values", "check"])
def test_code_of_a_task_that_raises_is_named_with_case_and_line(tmp_path, monkeypatch, raising):
    def broken(*_):
        return {}["tone"]

    monkeypatch.setattr(Echo, raising, broken)
    with pytest.raises(RunAborted) as told:
        run(make_runner(Gateway(), tmp_path))
    line = f"tests/unit/eval/run/test_runner.py:{broken.__code__.co_firstlineno + 1}"
    assert str(told.value).startswith(f"case 'case-0', pair 'p': KeyError: 'tone' (raised at {line}); mend the code")


class Graded(Echo):
    """Asks the part after the main prompt, which is code."""

    in_process: ClassVar = {"code": lambda document: f"coded {document.text}"}
    part_variables: ClassVar = {"judge": frozenset({"answer"})}

    def steps(self, inputs, pair):
        answer = yield from super().steps(inputs, pair)
        grade = yield Question(part="judge", values={"answer": answer}, document=answer, read=str, shown=False)
        return f"{answer}: {grade}"


class CodeBeside(Gateway):
    """Answers the code's calls from the document, as the real gateway does."""

    async def complete(self, call):
        reply = await super().complete(call)
        self.coded += call.model == "code"
        return replace(reply, text=Graded.in_process["code"](call.document)) if call.model == "code" else reply

    coded = 0


def test_a_part_is_answered_from_the_cache_and_code_beside_it_runs_each_time(tmp_path):
    code = ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=9)
    pair = make_pair("echo", asked="{{text}}", model="code", parts=(make_part(model="main", asked="{{answer}}"),))
    cards, gateway = ModelCards([code, CARDS.get("main")]), CodeBeside()
    for run_id in ("run-1", "run-2"):
        runner = replace(make_runner(gateway, tmp_path, run_id), task=Graded(), cards=cards)
        results = run(runner, pair)
        assert results[3].result.output == "coded text 3: coded text 3"
        assert {item.live for item in results} == {run_id == "run-1"}
        assert runner.in_flight(ArmJob(pair=pair, arm="primary", cases=CASES)) == 4
    assert gateway.coded == 2 * len(CASES)
    assert gateway.calls["coded text 3"] == 1


def test_a_failed_case_is_a_result_with_its_code(tmp_path):
    results = run(make_runner(Gateway(broken={"text 3", "text 7"}), tmp_path))
    failed = [item for item in results if item.result.failure]
    assert len(results) == 25
    assert [(item.case_id, item.result.failure) for item in failed] == [
        ("case-3", FailureCode.UPSTREAM_UNAVAILABLE),
        ("case-7", FailureCode.UPSTREAM_UNAVAILABLE),
    ]


def test_a_repeated_run_is_answered_from_the_cache(tmp_path):
    run(make_runner(Gateway(), tmp_path, "run-1"))
    again = Gateway()
    results = run(make_runner(again, tmp_path, "run-2"))
    assert not again.calls
    assert all(not item.live and item.measured_in == "run-1" for item in results)


def test_a_failure_is_asked_again_and_an_answer_is_not(tmp_path):
    run(make_runner(Gateway(broken={"text 3"}), tmp_path))
    again = Gateway()
    results = run(make_runner(again, tmp_path))
    assert dict(again.calls) == {"text 3": 1}
    assert all(item.live for item in results)  # same run: its own answers


class Twice(Echo):
    """Asks two questions about each case."""

    def questions(self, inputs, pair):
        return [
            Question(values={"text": f"{inputs.text} {part}"}, document=inputs, read=lambda text: text)
            for part in ("a", "b")
        ]

    def joined(self, inputs, pair, answers):
        return " ".join(answers)


def test_a_case_whose_calls_are_from_two_runs_is_not_live_and_measures_no_latency(tmp_path):
    run(replace(make_runner(Gateway(broken={"text 3 b"}), tmp_path, "run-1"), task=Twice()))
    again = Gateway()
    results = run(replace(make_runner(again, tmp_path, "run-2"), task=Twice()))
    assert dict(again.calls) == {"text 3 b": 1}
    assert [item.case_id for item in results if not item.each_timing[0].measures] == ["case-3"]
    assert {item.measured_in for item in results} == {"run-1", None}
    assert not any(item.live for item in results)


class Aloud:
    """Plays a case in three turns and a silent one, which needs no model; the last is the case's text."""

    customer = None

    async def play(self, case, repeat, pair, answer, ask):
        for text in ("turn 0", "", "turn 1"):
            await answer(Inputs(text=text), NO_TOOLS)
        last = await answer(Inputs(text=case.inputs["text"]), NO_TOOLS)
        return replace(last, output="played", failure=None)


def test_each_turn_of_an_episode_that_was_answered_is_timed(tmp_path):
    run(replace(make_runner(Gateway(broken={"text 3"}), tmp_path, "run-1"), episode=Aloud()))
    results = run(replace(make_runner(Gateway(broken={"text 4"}), tmp_path, "run-2"), episode=Aloud()))
    found = [[(timing.live, timing.measured_in) for timing in item.each_timing] for item in results[3:6]]
    earlier = (False, "run-1")
    assert found == [[earlier, earlier, (True, None)], [earlier] * 3, [earlier] * 3]
    assert [(item.live, item.measured_in) for item in results[3:5]] == [(False, None), (False, "run-1")]
    fresh = run(replace(make_runner(Gateway(broken={"text 4"}), tmp_path / "b", "run-3", fresh=True), episode=Aloud()))
    assert [len(item.each_timing) for item in fresh[3:6]] == [3, 2, 3]


def test_fresh_calls_again_but_reuses_replies_of_the_same_run(tmp_path):
    run(make_runner(Gateway(), tmp_path, "run-1"))
    fresh = Gateway()
    assert all(item.live for item in run(make_runner(fresh, tmp_path, "run-2", fresh=True)))
    assert len(fresh.calls) == 25
    resumed = Gateway()
    run(make_runner(resumed, tmp_path, "run-2", fresh=True))
    assert not resumed.calls


def test_another_pair_or_prompt_is_another_call(tmp_path):
    run(make_runner(Gateway(), tmp_path))
    gateway = Gateway()
    changed = Pair.from_content(PAIR.content() | {"messages": [{"role": "user", "content": "Say {{text}}"}]})
    run(make_runner(gateway, tmp_path), pair=changed)
    assert len(gateway.calls) == 25


def test_repeats_are_calls_of_their_own(tmp_path):
    gateway = Gateway()
    results = run(make_runner(gateway, tmp_path), repeats=3)
    assert len(results) == 75
    assert set(gateway.calls.values()) == {3}


def test_a_half_written_cache_file_is_asked_again(tmp_path):
    run(make_runner(Gateway(), tmp_path))
    (written,) = tmp_path.glob("*.jsonl")
    written.write_bytes(written.read_bytes()[:-40])  # the last line, cut off by a crash
    gateway = Gateway()
    assert len(run(make_runner(gateway, tmp_path))) == 25
    assert sum(gateway.calls.values()) == 1
    assert len(run(make_runner(Gateway(), tmp_path))) == 25


def test_a_dead_model_server_ends_the_run_and_keeps_the_answers(tmp_path):
    gateway = Gateway(broken={"text 20"})
    with pytest.raises(RunAborted, match=r"server died \(killed\). What was answered is kept"):
        run(make_runner(gateway, tmp_path, server_died=lambda: "The server died (killed)."))
    again = Gateway()
    assert len(run(make_runner(again, tmp_path))) == 25
    assert sum(again.calls.values()) < 25


def test_a_pair_that_does_not_fit_stops_the_run_by_its_own_error(tmp_path):
    strange = Pair.from_content(PAIR.content() | {"variables": ["text", "unheard_of"]})
    with pytest.raises(PairError, match="unheard_of"):
        run(make_runner(Gateway(), tmp_path), pair=strange)


def test_jobs_take_turns_and_one_that_joins_later_gets_its_own(tmp_path):
    seen = []

    class Named(Gateway):
        def __init__(self, name):
            super().__init__()
            self.name = name

        async def complete(self, call):
            seen.append(self.name)
            return await super().complete(call)

    pairs = [replace(PAIR, name=name, version=name) for name in ("a", "b", "late")]
    jobs = [ArmJob(pair=pair, arm="primary", cases=CASES, gateway=Named(pair.name)) for pair in pairs]

    async def joining():
        while len(seen) < 2 * TURN:  # noqa: ASYNC110 - who joins gets the next turns; the gateway only counts
            await asyncio.sleep(0.001)
        return jobs[2:]

    with closing(ReplyCache(tmp_path)) as cache:
        runner = replace(make_runner(Named("none"), tmp_path), cache=cache, concurrency=1)
        answered = asyncio.run(runner.run_in_turn(jobs[:2], lambda _: lambda item, seconds: None, joining()))
    assert [len(item.results) for item in answered] == [25, 25, 25]
    assert [item.case_id for item in answered[1].results] == [case.id for case in CASES]
    assert Counter(seen) == {"a": 25, "b": 25, "late": 25}
    assert seen[: 2 * TURN] == ["a"] * TURN + ["b"] * TURN


def test_an_error_of_a_joining_job_is_raised_after_the_first_jobs_answers_are_kept(tmp_path):
    async def joining():
        raise RunAborted("the store is locked")

    kept = []
    with pytest.raises(RunAborted, match="locked"):
        asyncio.run(
            make_runner(Gateway(), tmp_path).run_in_turn(
                [ArmJob(pair=PAIR, arm="primary", cases=CASES)],
                lambda _: lambda item, seconds: kept.append(item),
                joining(),
            )
        )
    assert len(kept) == 25


def test_further_repeats_are_numbered_on_and_not_answered_from_the_first(tmp_path):
    gateway = Gateway()
    runner = make_runner(gateway, tmp_path)
    asyncio.run(runner.run(ArmJob(pair=PAIR, arm="primary", cases=CASES), lambda item, seconds: None))
    again = asyncio.run(
        runner.run(ArmJob(pair=PAIR, arm="primary", cases=CASES, first_repeat=1), lambda item, seconds: None)
    )
    assert {item.repeat for item in again} == {1}
    assert set(gateway.calls.values()) == {2}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [((0, 10), (1, 11), True), ((0, 10), (10, 20), False), ((0, 10), (8, 18), False), ((0, 100), (40, 50), True)],
)
def test_jobs_met_the_same_load_when_most_of_the_shorter_ran_beside_the_longer(one, other, same):
    assert in_turn(ArmResults([], *map(float, one)), ArmResults([], *map(float, other))) is same


class Waking:
    """Makes a gateway ready, slowly; counts how often."""

    def __init__(self, gateway):
        self.gateway, self.times, self.ended = gateway, 0, 0.0

    async def __call__(self, gateway, call):
        assert gateway is self.gateway
        assert not gateway.calls  # nobody asks before
        self.times += 1
        await asyncio.sleep(0.5)
        self.ended = time.perf_counter()


def test_a_run_that_needs_no_call_makes_nothing_ready(tmp_path):
    run(make_runner(Gateway(), tmp_path, "run-1"))
    gateway = Gateway()
    waking = Waking(gateway)
    results = run(make_runner(gateway, tmp_path, "run-2", make_ready=waking))
    assert (waking.times, len(results), any(item.live for item in results)) == (0, 25, False)


@pytest.mark.parametrize("lacking", [1, 25])
def test_the_first_missing_reply_makes_the_gateway_ready_once(tmp_path, lacking):
    first = Gateway(broken={f"text {n}" for n in range(lacking)})
    run(make_runner(first, tmp_path, "run-1"))
    gateway = Gateway()
    waking = Waking(gateway)
    results = run(make_runner(gateway, tmp_path, "run-2", make_ready=waking))
    assert waking.times == 1
    assert sorted(gateway.calls) == sorted(f"text {n}" for n in range(lacking))
    assert [item.live for item in results] == [n < lacking for n in range(25)]
    assert all(item.result.latency_ms < 500 for item in results)  # what making it ready took


def test_a_jobs_seconds_begin_when_it_could_make_a_call(tmp_path):
    gateway = Gateway()
    waking = Waking(gateway)
    runner = make_runner(gateway, tmp_path, make_ready=waking)
    job = ArmJob(pair=PAIR, arm="primary", cases=CASES)
    with closing(runner.cache):
        (answered,) = asyncio.run(runner.run_in_turn([job], lambda _: lambda item, seconds: None))
    assert waking.ended <= answered.began <= answered.ended


class Busy(Gateway):
    """Holds up the event loop in the middle of a call, as a machine without processor time does."""

    async def complete(self, call):
        await asyncio.sleep(0.03)
        time.sleep(0.05)  # noqa: ASYNC251 - what is to be measured
        await asyncio.sleep(0.03)
        return await super().complete(call)


@pytest.mark.parametrize(("model", "held_up"), [("main", True), ("code", False)])
def test_what_holds_up_the_harness_is_measured_beside_a_models_calls(tmp_path, model, held_up):
    code = ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=9)
    runner = replace(make_runner(Busy(), tmp_path), cards=ModelCards([*CARDS, code]))
    (result,) = [
        item
        for item in run(runner, make_pair("echo", asked="{{text}}", model=model), repeats=1)
        if item.case_id == "case-0"
    ]
    assert (result.lag_ms > 0) is held_up
    assert result.each_timing[0].lag_ms == result.lag_ms


def test_a_kept_latency_keeps_the_lag_of_the_machine_on_which_it_was_measured(tmp_path):
    measured = {item.case_id: item.lag_ms for item in run(make_runner(Busy(), tmp_path), repeats=1)}
    repeated = run(make_runner(Gateway(), tmp_path, run_id="run-2"), repeats=1)
    assert any(lag > 0 for lag in measured.values())
    assert {item.measured_in for item in repeated} == {"run-1"}
    assert {item.case_id: item.lag_ms for item in repeated} == pytest.approx(measured, abs=0.06)
