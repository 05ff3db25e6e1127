"""Models that hang or throttle now and then, in simulated time: who answers, how many further calls it takes, and how soon."""

from statistics import mean

import pytest
from simulation import HANGS, lognormal, many

from service.kit.delivery.breaker import BreakerState
from service.kit.frame.errors import QuotaExceeded

SEEDS = range(1, 5)


def some(share, fault):
    """A primary that meets ``fault`` in ``share`` of its calls, and a backup without any."""

    def script(loop, random):
        return {
            "main": lambda _: fault if random.random() < share else lognormal(random),
            "spare": lambda _: lognormal(random),
        }

    return script


def shares(answered, arm):
    return sum(result.arm == arm for result, _ in answered) / len(answered)


def p95(answered):
    return sorted(seconds for _, seconds in answered)[int(0.95 * len(answered))]


def test_with_a_tenth_hanging_few_digests_take_few_further_calls():
    runs = [many(1500, every_s=0.02, script_of=some(0.1, HANGS), seed=seed) for seed in SEEDS]
    assert mean(shares(answered, "fallback") for answered, _, _ in runs) <= 0.02
    assert max(shares(answered, "fallback") for answered, _, _ in runs) <= 0.025
    assert all(len(models.calls) <= 1.12 * len(answered) for answered, models, _ in runs)
    assert all(seconds < 5 for answered, _, _ in runs for _, seconds in answered)
    assert min(shares(answered, "primary") for answered, _, _ in runs) >= 0.7


def test_a_tenth_hanging_opens_no_breaker():
    for seed in SEEDS:
        _, models, reliability = many(1500, every_s=0.02, script_of=some(0.1, HANGS), seed=seed)
        assert reliability.breakers.states()["main"] is BreakerState.CLOSED
        assert models.asked().count("main") >= 0.7 * 1500  # nor was it open for a while


def test_without_faults_hardly_any_answer_is_a_digest_or_goes_straight_to_the_backup():
    answered, models, _ = many(1500, every_s=0.02, script_of=some(0, HANGS))
    assert shares(answered, "fallback") <= 0.002
    assert models.asked().count("main") >= 0.98 * 1500
    assert len(models.calls) <= 1.12 * 1500


@pytest.mark.parametrize(("requests", "every_s"), [(2000, 0.02), (500, 0.02), (300, 0.1)])
def test_a_primary_that_throttles_a_third_still_answers_most(requests, every_s):
    digests = []
    for seed in SEEDS:
        answered, models, _ = many(
            requests, every_s=every_s, script_of=some(0.3, (0.01, QuotaExceeded("busy"))), seed=seed
        )
        assert shares(answered, "primary") >= 0.65
        digests.append(shares(answered, "fallback"))
        assert p95(answered) < 5
        assert models.asked().count("main") <= 1.15 * requests  # retries have a budget
    assert mean(digests) <= 0.005


def test_a_simulation_is_the_same_every_time():
    script = some(0.3, (0.01, QuotaExceeded("busy")))
    one, other = (many(300, every_s=0.02, script_of=script) for _ in range(2))
    assert [(result.arm, seconds) for result, seconds in one[0]] == [
        (result.arm, seconds) for result, seconds in other[0]
    ]


def test_a_primary_that_accepts_a_fixed_rate_is_used_up_to_it():
    def script(loop, random):
        taken = {}

        def main(_):
            second = int(loop.time())
            taken[second] = taken.get(second, 0) + 1
            return lognormal(random) if taken[second] <= 10 else (0.01, QuotaExceeded("busy"))

        return {"main": main, "spare": lambda _: lognormal(random)}

    answered, models, _ = many(2000, every_s=0.02, script_of=script)
    assert shares(answered, "primary") >= 0.15  # ten of fifty a second are accepted
    assert models.asked().count("main") <= 0.6 * 2000
    assert shares(answered, "fallback") <= 0.005


def test_a_primary_that_throttles_everything_is_left_alone_and_found_again():
    def script(loop, random):
        def main(_):
            return (0.01, QuotaExceeded("busy")) if loop.time() < 30 else 1.0

        return {"main": main, "spare": 1.0}

    answered, models, _ = many(4000, every_s=0.02, script_of=script)
    asked = [at for at, call in models.calls if call.model == "main" and 10 < at < 30]
    assert len(asked) <= 60  # of a thousand requests
    assert all(result.arm == "backup" for result, _ in answered[500:1400])
    assert all(result.arm == "primary" for result, _ in answered[-500:])


def test_with_both_models_hung_the_digest_soon_comes_at_once():
    answered, _, _ = many(300, every_s=0.1, script_of=lambda loop, random: {"main": HANGS, "spare": HANGS})
    assert all(result.arm == "fallback" for result, _ in answered)
    at_once = [seconds < 0.1 for _, seconds in answered]
    assert at_once.index(True) <= 62
    assert sum(not fast for fast in at_once[62:]) <= 6  # probes, one a model in 15 s
    assert max(seconds for _, seconds in answered) < 5


def test_asked_one_after_the_other_hung_models_cost_a_few_deadlines_only():
    answered, _, _ = many(40, every_s=5, script_of=lambda loop, random: {"main": HANGS, "spare": HANGS})
    slow = [number for number, (_, seconds) in enumerate(answered) if seconds > 0.1]
    assert set(range(40)) - set(slow) >= {7, 9, 11}
    assert len(slow) <= 7 + (40 - 7) // 2  # from then on only probes wait, one a model in 15 s


def test_probes_find_both_models_again():
    def script(loop, random):
        return {name: (lambda _: HANGS if loop.time() < 40 else 1.0) for name in ("main", "spare")}

    answered, _, reliability = many(900, every_s=0.1, script_of=script)
    assert all(result.arm == "primary" for result, _ in answered[-200:])
    assert set(reliability.breakers.states().values()) == {BreakerState.CLOSED}


def test_models_that_are_merely_slow_open_no_breaker():
    def script(loop, random):
        return {"main": lambda _: 3.6 + random.random(), "spare": lambda _: 3.6 + random.random()}

    answered, models, _ = many(400, every_s=0.1, script_of=script)
    assert shares(answered, "primary") >= 0.8
    assert models.asked().count("main") >= 0.8 * 400
