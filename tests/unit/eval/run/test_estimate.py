"""The time left of a run: honest while it starts slowly, stalls, retries, and mixes code with models."""

import heapq
import random
import re

import pytest

from eval.run.estimate import CODE_CALL_S, Estimate

TURN = 20


def play(jobs, *, workers, stall=None):
    """Yield (time, job, seconds) of each finished call, as workers take ``TURN`` calls of each job in turn.

    ``jobs``: lists of seconds per call. ``stall``: from when and for how long nothing finishes.
    """
    waiting = [list(calls) for calls in jobs]
    order = []
    while any(waiting):
        for number, calls in enumerate(waiting):
            order += [(number, seconds) for seconds in calls[:TURN]]
            del calls[:TURN]
    free = [0.0] * workers
    finished = []
    for number, seconds in order:
        began = heapq.heappop(free)
        end = began + seconds
        if stall is not None and began < stall[0] + stall[1] and end > stall[0]:
            end += stall[1]
        heapq.heappush(free, end)
        finished.append((end, number, end - began))
    return sorted(finished)


def moments(jobs, *, workers, stall=None):
    """Yield (now, end, words) at each finished call and each second of a run."""
    finished = play(jobs, workers=workers, stall=stall)
    end = finished[-1][0]
    estimate = Estimate()
    for number, calls in enumerate(jobs):
        code = max(calls) < 0.1
        assumed_s = CODE_CALL_S if code else None
        estimate.plan(number, len(calls), parallel=1 if code else workers, now=0.0, assumed_s=assumed_s)
    ticks = [(float(second), None, 0.0) for second in range(1, int(end))]
    for now, number, seconds in sorted([*finished, *ticks], key=lambda event: event[0]):
        if number is not None:
            estimate.finished(number, seconds, now)
        if estimate.left:
            yield now, end, str(estimate.time_left(now))


def seconds_of(words):
    """Return the seconds that ``words`` say, None while it estimates."""
    if words == "estimating the time left":
        return None
    if words == "a few seconds left":
        return 5.0
    number, unit = re.fullmatch(r"(?:about|more than|at this pace) ([\d.]+) (s|min|h) left", words).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def code(rng, count):
    return [rng.uniform(0.005, 0.03) for _ in range(count)]


def model(rng, count, typical, *, load=0.0, retries=0.0):
    calls = [typical * rng.lognormvariate(0, 0.3) * (6 if rng.random() < retries else 1) for _ in range(count)]
    return [seconds + load * (number < 2) for number, seconds in enumerate(calls)]


RUNS = {
    "a slow start": lambda rng: {"jobs": [code(rng, 200), model(rng, 200, 1.5, load=25)], "workers": 2},
    "code alone": lambda rng: {"jobs": [code(rng, 200), code(rng, 200)], "workers": 2},
    "a fast and a slow model": lambda rng: {
        "jobs": [code(rng, 200), model(rng, 200, 1.0), model(rng, 200, 9.0, load=20), code(rng, 200)],
        "workers": 2,
    },
    "retries": lambda rng: {"jobs": [model(rng, 200, 2.0, retries=0.08)], "workers": 8},
    "a stall": lambda rng: {
        "jobs": [code(rng, 100), model(rng, 100, 2.0, load=10)],
        "workers": 2,
        "stall": (rng.uniform(5, 60), 20.0),
    },
    "an interrupted run taken up again": lambda rng: {
        "jobs": [code(rng, 200), [*code(rng, 90)[:-1], 0.2, *model(rng, 110, 2.0)]],
        "workers": 2,
    },
    "some replies kept": lambda rng: {
        "jobs": [[s if rng.random() < 0.3 else 0.004 for s in model(rng, 200, 3.0)]],
        "workers": 2,
    },
    "a small demo": lambda rng: {"jobs": [model(rng, 12, 6.0, load=15), code(rng, 12)], "workers": 2},
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", RUNS)
def test_after_a_fifth_of_the_run_the_time_left_is_right_within_a_factor_of_three(name, seed):
    run = RUNS[name](random.Random(seed))
    # Nobody knows how long the last call takes, and "a few seconds" are five.
    slack = max(5.0, *(seconds for calls in run["jobs"] for seconds in calls[2:]))
    for now, end, words in moments(**run):
        said, truth = seconds_of(words), end - now
        assert not re.search(r"\b0\b(?!\.)", words), f"{words!r} at {now:.1f} of {end:.1f} s"
        if words.startswith("at this pace"):
            assert truth / 5 - slack <= said <= 5 * truth + slack, f"{words!r} at {now:.1f} of {end:.1f} s"
        elif now >= end / 5 and said is not None:
            assert said <= 3 * truth + slack, f"{words!r} at {now:.1f} of {end:.1f} s"
            assert truth <= 3 * said + slack or words.startswith("more"), f"{words!r} at {now:.1f} of {end:.1f} s"
        if now >= 0.6 * end:
            assert said is not None, f"still estimating at {now:.1f} of {end:.1f} s"


def test_a_slow_run_tells_its_pace_before_it_can_estimate():
    estimate = Estimate()
    estimate.plan("slow", 120, parallel=2, now=0.0)
    estimate.finished("slow", 50.0, 50.0)  # holds what is done once, so it tells nothing of the others
    estimate.finished("slow", 30.0, 80.0)
    assert str(estimate.time_left(81.0)) == "estimating the time left"
    estimate.finished("slow", 30.0, 81.0)
    assert str(estimate.time_left(81.0)) == "at this pace 30 min left"


def test_a_quick_run_says_no_pace_from_its_first_calls():
    estimate = Estimate()
    estimate.plan("quick", 400, parallel=2, now=0.0)
    for number in range(1, 4):
        estimate.finished("quick", 2.0, number * 2.0)
    assert str(estimate.time_left(6.0)) == "estimating the time left"
