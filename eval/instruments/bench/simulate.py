"""``omni simulate``: how often intervals cover the truth and verdicts are right, on simulated cases.

The figures in docs/decisions/0008 come from here. It calls the same functions as the gate.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval.scorers.corpus import bleu_from_sums
from eval.verdict.needed_recall import TARGETS, JudgeBounds, most_false_alarms, needed_recall
from eval.verdict.paired import (
    cases_needed,
    cases_needed_for_rate,
    detectable,
    detectable_rate,
    difference_interval,
    rate_difference_interval,
)
from figures.arrays import Floats
from figures.stats import POWER, Interval, mean_interval, quantile_interval, rate_interval
from service.kit.frame.display.terminal import say

CASES, TRIALS = 200, 1_000
_TRUTH_CASES = 400_000
_DRAW_SEED = 1  # of the bootstrap: a suite has one too

Rng = np.random.Generator
Draw = Callable[[Rng, int, float], Floats]  # (generator, cases, true difference) -> paired differences


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedShare:
    """What one simulation found; shares are of ``trials``."""

    name: str
    share: float
    trials: int

    @property
    def error(self) -> float:
        """The Monte-Carlo standard error of ``share``."""
        return float(np.sqrt(self.share * (1 - self.share) / self.trials))


# --- what scores look like -------------------------------------------------------------------------------------------------


def fact_shares(rng: Rng, cases: int, mean: float = 0.66) -> Floats:
    """Return fact coverage as the digest shows it on the gate set: 3 to 7 facts a case, skewed, many cases whole."""
    facts = rng.integers(3, 8, cases)
    shares: Floats = rng.binomial(facts, rng.beta(6 * mean, 6 * (1 - mean), cases)) / facts
    return shares


def fact_differences(rng: Rng, cases: int, difference: float) -> Floats:
    """Return paired differences of fact coverage: both answers meet the same case, so easy cases are easy for both."""
    facts = rng.integers(3, 8, cases)
    ease = rng.beta(4, 2, cases)
    # Shrinking towards 0 keeps the true mean difference exact: the mean of beta(4, 2) is 2/3.
    ours, theirs = rng.binomial(facts, ease * (1 + difference * 1.5)), rng.binomial(facts, ease)
    lead: Floats = (ours - theirs) / facts
    return lead


def rare_losses(rng: Rng, cases: int, difference: float) -> Floats:
    """Return paired differences where the candidate loses half of a case's facts now and then, and is equal else."""
    return np.where(rng.random(cases) < -difference / 0.5, -0.5, 0.0)


def rate_differences(rng: Rng, cases: int, difference: float) -> Floats:
    """Return paired differences of a yes-or-no score of which 4% of cases differ by chance, and ``difference`` on top."""
    gained, lost = (0.04 + difference) / 2, (0.04 - difference) / 2
    if gained < 0:
        gained, lost = 0.0, -difference
    draw = rng.random(cases)
    return np.where(draw < gained, 1.0, np.where(draw < gained + lost, -1.0, 0.0))


def bleu_statistics(rng: Rng, cases: int, shift: float = 0.0) -> Floats:
    """Return BLEU's sufficient statistics of summaries of 20 to 90 words; ``shift`` lowers every case's n-gram precision."""
    length = rng.integers(20, 91, cases)
    reference = np.maximum((length * rng.lognormal(0, 0.2, cases)).round(), 8)
    overlap = rng.beta(6, 4, cases)
    totals = np.stack([length - order for order in range(4)], axis=1)
    precision = np.clip(overlap[:, None] ** np.arange(1, 5) * 0.75 - shift, 0.002, 1)
    matches = rng.binomial(totals, precision)
    return np.column_stack([length, reference, matches, totals]).astype(float)


def latencies(rng: Rng, cases: int, ratio: float = 1.0) -> Floats:
    """Return call times in ms: log-normal with a tail, as providers' are."""
    return ratio * 900 * rng.lognormal(0, 0.35, cases)


# --- coverage --------------------------------------------------------------------------------------------------------------


def coverage(name: str, make: Callable[[Rng], Interval], truth: float, *, trials: int, seed: int = 7) -> SimulatedShare:
    """Return how often the interval that ``make`` builds on fresh cases holds ``truth``."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(trials):
        interval = make(rng)
        hits += interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high
    return SimulatedShare(name=name, share=hits / trials, trials=trials)


def coverages(cases: int, *, trials: int = TRIALS) -> list[SimulatedShare]:
    """Return the coverage of every kind of interval that the gate uses, nominal 95%."""
    truth_rng = np.random.default_rng(99)
    much = np.ones((1, _TRUTH_CASES))
    bleu = float(bleu_from_sums(much @ bleu_statistics(truth_rng, _TRUTH_CASES))[0])
    lower = float(bleu_from_sums(much @ bleu_statistics(truth_rng, _TRUTH_CASES, 0.01))[0])
    p95 = float(np.quantile(latencies(truth_rng, _TRUTH_CASES), 0.95))

    def mean(values: Floats, lowest: float = 0.0) -> Interval:
        return mean_interval(values, seed=_DRAW_SEED, bounds=(lowest, 1.0))

    def corpus(rng: Rng) -> Interval:
        ours, theirs = bleu_statistics(rng, cases, 0.01), bleu_statistics(rng, cases)
        return _difference(bleu_from_sums, ours, theirs)

    def change(rng: Rng) -> Interval:
        tokens = rng.lognormal(7, 0.5, cases)
        ours, theirs = tokens * 1.2 * rng.lognormal(0, 0.1, cases), tokens * rng.lognormal(0, 0.1, cases)
        return difference_interval(lambda w: w @ ours, lambda w: w @ theirs, cases, seed=_DRAW_SEED, relative=True)

    def rate(rng: Rng, truth: float) -> Interval:
        return rate_interval(int(rng.binomial(cases, truth)), cases)

    def paired_rate(rng: Rng, difference: float) -> Interval:
        return rate_difference_interval(rate_differences(rng, cases, difference))

    rows: list[tuple[str, Callable[[Rng], Interval], float]] = [
        ("mean of fact coverage, BCa", lambda rng: mean(fact_shares(rng, cases)), 0.66),
        ("mean near its bound, BCa", lambda rng: mean(fact_shares(rng, cases, 0.95)), 0.95),
        ("difference of fact coverage, BCa", lambda rng: mean(fact_differences(rng, cases, -0.05), -1.0), -0.05),
        ("difference, one in ten loses half, BCa", lambda rng: mean(rare_losses(rng, cases, -0.05), -1.0), -0.05),
        ("rate 0.90, Wilson", lambda rng: rate(rng, 0.90), 0.90),
        ("rate 0.98, Wilson", lambda rng: rate(rng, 0.98), 0.98),
        ("difference of rates 0, Tango", lambda rng: paired_rate(rng, 0.0), 0.0),
        ("difference of rates -0.05, Tango", lambda rng: paired_rate(rng, -0.05), -0.05),
        ("corpus BLEU, percentile", lambda rng: _difference(bleu_from_sums, bleu_statistics(rng, cases), None), bleu),
        ("difference of corpus BLEU, percentile", corpus, lower - bleu),
        ("latency p95, percentile", lambda rng: quantile_interval(latencies(rng, cases), 0.95, seed=_DRAW_SEED), p95),
        ("change of cost, percentile", change, 0.2),
    ]
    return [coverage(name, make, truth, trials=trials) for name, make, truth in rows]


def _difference(score: Callable[[Floats], Floats], ours: Floats, theirs: Floats | None) -> Interval:
    def nothing(weights: Floats) -> Floats:
        return np.zeros(len(weights))

    baseline = nothing if theirs is None else (lambda weights: score(weights @ theirs))
    return difference_interval(lambda weights: score(weights @ ours), baseline, len(ours), seed=_DRAW_SEED)


# --- verdicts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCheck:
    """One kind of no-worse check: how its paired differences are drawn, its interval, its margin."""

    name: str
    margin: float
    draw: Draw
    interval: Callable[[Floats], Interval]


def _mean_of_differences(values: Floats) -> Interval:
    return mean_interval(values, seed=_DRAW_SEED, bounds=(-1.0, 1.0))


COMPARISONS = (
    SimulatedCheck(name="fact coverage", margin=0.06, draw=fact_differences, interval=_mean_of_differences),
    SimulatedCheck(name="fact coverage, rare losses", margin=0.06, draw=rare_losses, interval=_mean_of_differences),
    SimulatedCheck(name="yes-or-no score", margin=0.05, draw=rate_differences, interval=rate_difference_interval),
)


def passes(
    comparison: SimulatedCheck, cases: int, difference: float, *, trials: int = TRIALS, seed: int = 11
) -> SimulatedShare:
    """Return how often the check passes when the candidate's true difference is ``difference``.

    At ``-margin`` that is the rate of false promotions, at 0 the power.
    """
    rng = np.random.default_rng(seed)
    intervals = (comparison.interval(comparison.draw(rng, cases, difference)) for _ in range(trials))
    passed = sum(interval.low is not None and interval.low > -comparison.margin for interval in intervals)
    return SimulatedShare(name=comparison.name, share=passed / trials, trials=trials)


def reach(comparison: SimulatedCheck, cases: int, *, trials: int = 100, seed: int = 13) -> tuple[float, float]:
    """Return the medians of the smallest detectable drop, and of the cases needed for the margin, between equal systems."""
    rng = np.random.default_rng(seed)
    drops, needs = [], []
    for _ in range(trials):
        difference = comparison.draw(rng, cases, 0.0)
        interval = comparison.interval(difference)
        if comparison.interval is rate_difference_interval:
            drop: float | None = detectable_rate(difference, cases)
            need = cases_needed_for_rate(difference, comparison.margin)
        else:
            drop = detectable(interval)
            need = cases_needed(cases, drop or 0.0, comparison.margin)
        drops.append(np.nan if drop is None else drop)
        needs.append(np.nan if need is None else need)
    return float(np.nanmedian(drops)), float(np.nanmedian(needs))


def main() -> int:
    """Print the tables; 1 when coverage leaves 0.92 to 0.98 at the gate's size or false promotions exceed 5%."""
    sound = True
    say(f"Coverage of 95% intervals, {TRIALS:,} simulated sets each (Monte-Carlo error below 0.01)")
    say(f"{'':<42}{'n=40':>8}{f'n={CASES}':>8}")
    for small, full in zip(coverages(40), coverages(CASES), strict=True):
        good = 0.92 <= full.share <= 0.98
        sound &= good
        say(f"{full.name:<42}{small.share:>8.3f}{full.share:>8.3f}{'' if good else '   outside 0.92 to 0.98'}")
    say(f"\nNo-worse checks at n={CASES}")
    say(f"{'':<28}{'margin':>8}{'false':>8}{'power':>8}{'power':>8}{'sees':>8}{'needs':>8}")
    say(f"{'':<28}{'':>8}{'pass':>8}{'d=0':>8}{'n=40':>8}{'(MDE)':>8}{'cases':>8}")
    for comparison in COMPARISONS:
        false = passes(comparison, CASES, -comparison.margin)
        power = passes(comparison, CASES, 0.0)
        small = passes(comparison, 40, 0.0)
        drop, needed = reach(comparison, CASES)
        good = false.share - 2 * false.error <= 0.05
        sound &= good
        say(
            f"{comparison.name:<28}{comparison.margin:>8.2f}{false.share:>8.3f}{power.share:>8.3f}{small.share:>8.3f}"
            f"{drop:>8.3f}{needed:>8.0f}{'' if good else '   above 5%'}"
        )
    say(
        f"\nfalse pass: the candidate is truly worse by exactly the margin. sees: the drop shown with {POWER:.0%} power."
    )
    say("\n" + "\n".join(licence_lines()))
    say("\n" + ("every figure is inside its bounds" if sound else "a figure is outside its bounds"))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())


MARGINS = (0.05, 0.07, 0.10)
CASE_COUNTS = (100, 200, 400)
FALSE_ALARMS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)


def licence_lines() -> list[str]:
    """Return the table, a line per rate of false alarms; a dash where no recall suffices."""
    bounds = [JudgeBounds(cases=cases, margin=margin) for margin in MARGINS for cases in CASE_COUNTS]
    lines = [
        "Recall that a judge of meaning needs, by its margin to production, its false alarms and the number of cases",
        f"{'margin':<16}" + "".join(f"{item.margin:>8.2f}" for item in bounds),
        f"{'cases':<16}" + "".join(f"{item.cases:>8}" for item in bounds),
    ]
    for rate in FALSE_ALARMS:
        needed = [needed_recall(item, rate) for item in bounds]
        lines.append(f"{f'false alarms {rate:.2f}':<16}" + "".join(f"{_shown(recall):>8}" for recall in needed))
    most = "".join(f"{most_false_alarms(item):>8.3f}" for item in bounds)
    return [*lines, f"{'most allowed':<16}{most}", f"Enough means: {TARGETS}."]


def _shown(recall: float | None) -> str:
    return "–" if recall is None else f"{recall:.2f}"
