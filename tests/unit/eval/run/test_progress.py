"""What is printed while a run goes on, by a clock that the tests turn."""

import io
from dataclasses import dataclass

from builders import make_pair

from eval.run.progress import RunProgress, count_lines, show_progress, working
from eval.run.runner import ArmJob
from eval.spine.cases import Case
from eval.spine.results import CaseResult
from service.core.run.task import TaskResult

CASES = tuple(Case(id=f"case-{number}", inputs={}) for number in range(40))


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self):
        return self.now


def job(name, model="m"):
    return ArmJob(pair=make_pair(name=name, model=model), arm="primary", cases=CASES)


def result(live=True):
    done = TaskResult(output="text", arm="primary", model="m", answered_by="m", latency_ms=5.0)
    return CaseResult(case_id="case-0", arm="primary", repeat=0, result=done, live=live)


def start():
    clock, said = Clock(), []
    in_flight = {"code": 0}
    shown = RunProgress(in_flight=lambda job: in_flight.get(job.pair.name, 2), clock=clock, say=said.append)
    return shown, clock, said


def test_a_quick_job_is_one_line_at_its_end():
    shown, clock, said = start()
    count = shown.callback_for(job("code"))
    for _ in CASES:
        clock.now += 0.05
        count(result(), 0.05)
    assert said == ["code: 40/40 answered in 2 s"]


def test_while_work_remains_a_line_comes_every_ten_seconds_and_never_says_zero():
    shown, clock, said = start()
    code, model = shown.callback_for(job("code")), shown.callback_for(job("slow"))
    for _ in CASES:
        code(result(), 0.01)
    for number in range(40):
        for _ in range(3):
            clock.now += 1
            shown.tick()
        model(result(live=number > 1), 6.0)
    assert said[0] == "code: 40/40 answered in 0 s"
    assert said[-1] == "slow: 40/40 answered in 2 min (2 from the cache)"
    between = said[1:-1]
    assert len(between) in range(10, 13)
    assert between[0] == "43 of 80 answers (slow 3/40), estimating the time left"
    assert all(", about " in line or line.endswith("a few seconds left") for line in between[2:])
    assert not [line for line in said[1:] if " 0 s left" in line]


def test_the_line_names_what_the_run_waits_for():
    shown, clock, said = start()
    shown.callback_for(job("slow"))
    clock.now += 12
    shown.tick()
    assert said == [
        "0 of 40 answers, estimating the time left, waiting for the first answer of slow, whose model may still be loading (12 s)"
    ]


def test_the_line_names_the_server_that_does_not_answer():
    shown, clock, said = start()
    shown.server = lambda job: "http://127.0.0.1:9/v1"
    shown.callback_for(job("slow"))
    clock.now += 12
    shown.tick()
    assert "waiting for the first answer of slow from http://127.0.0.1:9/v1, whose model" in said[0]


def test_a_stall_is_named():
    shown, clock, said = start()
    count = shown.callback_for(job("slow"))
    for _ in range(20):
        clock.now += 1
        count(result(), 2.0)
    clock.now += 30
    shown.tick()
    assert said[-1].startswith("20 of 40 answers, about ")
    assert said[-1].endswith(", no answer for 30 s")


def test_when_every_answer_is_there_it_names_the_registry_it_waits_for():
    shown, clock, said = start()
    count = shown.callback_for(job("code"))
    with shown.waiting_for("the registry"):
        for _ in CASES:
            count(result(), 0.01)
        clock.now += 11
        shown.tick()
    clock.now += 11
    shown.tick()
    assert said[1:] == ["40 of 40 answers, waiting for the registry (11 s)"]


def test_a_counter_estimates_and_ends():
    clock, said = Clock(), []
    count = count_lines("judge", 20, parallel=2, clock=clock, say=said.append)
    for _ in range(20):
        clock.now += 4
        count("0 unscored")
    assert said[0].startswith("judge: 3/20, 0 unscored, ")
    assert "judge: 12/20, 0 unscored, about 40 s left" in said or "judge: 12/20, 0 unscored, about 35 s left" in said
    assert said[-1] == "judge: 20/20, 0 unscored, in 80 s"


def test_a_log_gets_lines_and_a_terminal_gets_a_picture():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream in (io.StringIO(), Terminal()):
        with show_progress(lambda job: 2, stream) as shown:
            count = shown.callback_for(job("slow"))
            for _ in CASES:
                count(result(), 0.01)
        assert "40/40" in stream.getvalue()


def test_short_work_is_not_announced():
    stream = io.StringIO()
    with working("writing", stream):
        pass
    assert stream.getvalue() == ""
