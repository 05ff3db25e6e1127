"""Three gains side by side on three landscapes, and whether the claimed one covers the truth."""

from decimal import Decimal

import pytest

from eval.instruments.optimize.gains import finalists, front, gain, measured, offered, overfit
from eval.instruments.optimize.quality import MeasuredAnswer
from eval.instruments.optimize.search import PromptCandidate
from figures.stats import Interval


def table(place, land, worth, *, seed=0, noise=0.05, rounds=30):
    """Return the rows of a search, the gain of the first on the gate's cases, and the true gain of each row."""
    found = place.search(worth, land.own, seed=seed, noise=noise, rounds=rounds, ledger=f"{seed}.jsonl")
    start = found.candidates[0]
    other = land.measured(place, worth, found, land.other, noise, seed)
    members = finalists(found)
    rows = measured(members, start.own, other(start.texts), {one.number: other(one.texts) for one in members})

    def true(row):
        told = row.candidate.texts["main"]
        return sum(worth(told, case) - worth(start.texts["main"], case) for case in land.gate) / len(land.gate)

    gate = land.measured(place, worth, found, land.gate, noise, seed + 1_000)
    return rows, [gain(gate(row.candidate.texts), gate(start.texts)) for row in rows], [true(row) for row in rows]


def test_a_true_gain_shows_on_all_three_sets(place, land):
    rows, gates, _ = table(place, land, land.true_gain)
    best = offered(rows)
    assert best is rows[0]
    for found in (best.own, best.other, gates[0]):
        assert found.low > 0.4
    assert best.overfit.low < 0 < best.overfit.high


def test_a_gain_that_overfits_shows_on_the_searchs_half_alone(place, land):
    rows, gates, _ = table(place, land, land.overfits_to(land.own))
    assert offered(rows) is None
    for row, gate in zip(rows, gates, strict=True):
        assert row.own.low > 0
        assert row.other.high < 0
        assert gate.high < 0
        assert row.overfit.low > 0.1


def test_without_a_gain_nothing_is_offered(place, land):
    for seed in range(5):
        rows, _, _ = table(place, land, land.no_gain, seed=seed, noise=0.25)
        assert all(row.own.value > 0 for row in rows)  # it chose them by luck
        assert offered(rows) is None


@pytest.mark.slow
@pytest.mark.parametrize("landscape", ["true_gain", "no_gain"])
def test_the_claimed_gain_covers_the_true_one_in_95_of_100_runs(place, land, landscape):
    """With a noisy scorer; the claim is the row that a reader would take, the one with the highest lower end."""
    covered = by_own = runs = 0
    for seed in range(100):
        rows, _, true = table(place, land, getattr(land, landscape), seed=seed, noise=0.25, rounds=20)
        if not rows:
            continue  # nothing was claimed
        runs += 1
        place_of_best = max(range(len(rows)), key=lambda number: rows[number].other.low)
        best, truth = rows[place_of_best], true[place_of_best]
        covered += best.other.low <= truth <= best.other.high
        by_own += best.own.low <= truth <= best.own.high
    assert covered >= 0.95 * runs, (covered, runs)
    assert runs >= 90
    if landscape == "no_gain":  # what the search saw is no such claim
        assert by_own < 0.9 * runs, (by_own, runs)


def candidate(number, quality, cost="0.001", ms=900.0, words=60):
    own = [
        MeasuredAnswer(case_id=f"c{place}", quality=quality, cold_usd=Decimal(cost), ms=ms, words=words)
        for place in range(4)
    ]
    return PromptCandidate(number=number, texts={"main": str(number)}, status="kept", own=own)


def test_the_front_holds_what_no_other_beats_in_quality_cost_latency_and_words():
    best = candidate(1, 0.9, cost="0.002")
    cheap = candidate(2, 0.7)
    beaten = candidate(3, 0.7, words=80)
    quick = candidate(4, 0.5, ms=400.0)
    same = candidate(5, 0.6, ms=880.0)  # its latency is the same within a tenth
    unmeasured = PromptCandidate(number=6, texts={"main": "6"})
    found = front([best, cheap, beaten, quick, same, unmeasured])
    assert [one.number for one in found] == [1, 2, 4]


def test_gains_are_paired_and_their_difference_adds_the_errors():
    ours = [MeasuredAnswer(case_id=str(place), quality=0.5 + place / 100) for place in range(12)]
    theirs = [MeasuredAnswer(case_id=str(place), quality=0.4 + place / 100) for place in range(12)]
    found = gain(ours, theirs)
    assert found.value == pytest.approx(0.1)
    assert found.low < 0.1 < found.high  # equal differences do not prove that all cases have this one
    own = Interval(value=0.3, low=0.2, high=0.4, n=20)
    other = Interval(value=0.1, low=0.0, high=0.3, n=18)
    gap = overfit(own, other)
    assert (gap.value, gap.n) == (pytest.approx(0.2), 18)
    assert gap.low == pytest.approx(0.2 - (0.1**2 + 0.2**2) ** 0.5)
    assert gap.high == pytest.approx(0.2 + (0.1**2 + 0.1**2) ** 0.5)


def test_the_more_rows_there_are_the_wider_are_the_intervals_on_unseen_cases():
    start = [MeasuredAnswer(case_id=str(place), quality=place % 3 / 10) for place in range(20)]
    better = [MeasuredAnswer(case_id=str(place), quality=place % 4 / 8) for place in range(20)]
    widths = []
    for count in (1, 4):
        members = [PromptCandidate(number=1 + number, texts={"main": "x"}, own=better) for number in range(count)]
        rows = measured(members, start, start, {1 + number: better for number in range(count)})
        widths.append(rows[0].other.high - rows[0].other.low)
    assert widths[1] > 1.2 * widths[0]
