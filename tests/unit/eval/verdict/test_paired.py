import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest
from scipy import stats as reference
from scipy.optimize import minimize_scalar

from eval.scorers.corpus import CorpusMetric
from eval.verdict.paired import (
    cases_needed,
    cases_needed_for_rate,
    detectable,
    detectable_rate,
    difference_interval,
    mcnemar,
    randomisation_test,
    rate_difference_interval,
)
from figures.stats import mean_interval, unseen_share


def differences(gained, lost, same):
    return np.array([1.0] * gained + [-1.0] * lost + [0.0] * same)


def test_pairing_makes_a_constant_difference_certain():
    baseline = np.random.default_rng(1).normal(0, 100, size=40)
    candidate = baseline + 40
    interval = difference_interval(lambda w: w @ candidate / 40, lambda w: w @ baseline / 40, 40, seed=1)
    assert (interval.low, interval.value, interval.high) == (pytest.approx(40), pytest.approx(40), pytest.approx(40))


def test_a_relative_difference_is_a_share_of_production():
    baseline = np.random.default_rng(1).lognormal(0, 1, size=40)
    interval = difference_interval(lambda w: w @ (baseline * 4 / 3), lambda w: w @ baseline, 40, seed=1, relative=True)
    assert (interval.low, interval.value) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


@pytest.mark.parametrize(("gained", "lost", "same"), [(12, 2, 36), (1, 9, 30), (3, 4, 193), (0, 5, 195)])
def test_tangos_limits_are_where_the_restricted_likelihood_puts_the_score_at_z(gained, lost, same):
    interval = rate_difference_interval(differences(gained, lost, same))
    n = gained + lost + same

    def score(delta):
        # The likelihood under "true difference is delta", maximised by search and not by Tango's closed form.
        def loss(q):
            return -(gained * np.log(q + delta) + lost * np.log(q) + same * np.log(1 - 2 * q - delta))

        lowest, highest = max(0.0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12
        q = minimize_scalar(loss, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12}).x
        return (gained - lost - n * delta) / np.sqrt(n * (2 * q + delta - delta**2))

    assert score(interval.low) == pytest.approx(1.96, abs=2e-3)
    assert score(interval.high) == pytest.approx(-1.96, abs=2e-3)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
def test_tango_solves_its_own_score_equation_and_turns_with_its_sides(gained, lost, same):
    if gained + lost + same == 0:
        return
    there, back = (rate_difference_interval(differences(a, b, same)) for a, b in ((gained, lost), (lost, gained)))
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert there.low < there.high
    assert (there.low, there.high) == (pytest.approx(-back.high, abs=1e-9), pytest.approx(-back.low, abs=1e-9))


@pytest.mark.parametrize("n", [1, 40, 200])
def test_without_a_differing_case_the_interval_keeps_an_honest_width(n):
    interval = rate_difference_interval(np.zeros(n))
    assert (interval.low, interval.high) == (pytest.approx(-unseen_share(n)), pytest.approx(unseen_share(n)))


def test_repeats_count_as_shares_of_a_case():
    thirds = rate_difference_interval(np.array([1 / 3, 1 / 3, -1 / 3] + [0.0] * 37))
    assert thirds.value == pytest.approx(1 / 3 / 40)
    assert thirds.high - thirds.low < 0.25


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial_test_on_differing_cases(gained, lost):
    test = mcnemar(differences(gained, lost, 5))
    expected = reference.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert test.p_value == pytest.approx(expected, abs=1e-9)
    assert test.name == f"McNemar exact, +{gained} -{lost}"


WORDS = "the customer disputes a late fee and waits for a call about the refund promised in october by an agent".split()


def systems(damage):
    rng = np.random.default_rng(5)
    references = [" ".join(rng.choice(WORDS, size=25)) for _ in range(60)]

    def answer(text, rate):
        return " ".join(word if rng.random() > rate else "other" for word in text.split())

    return [answer(text, 0.30) for text in references], [answer(text, 0.30 + damage) for text in references], references


@pytest.mark.parametrize("name", ["bleu", "chrf"])
@pytest.mark.parametrize("damage", [0.0, 0.03, 0.2])
def test_randomisation_agrees_with_sacrebleus_paired_test(name, damage):
    ours, theirs, references = systems(damage)
    a, b = (CorpusMetric(name, texts, [[text] for text in references]) for texts in (ours, theirs))
    found = randomisation_test(a.statistics, b.statistics, a.from_sums, seed=1, trials=4000)
    metric = BLEU(references=[references]) if name == "bleu" else CHRF(word_order=2, references=[references])
    _, results = PairedTest(
        [("theirs", theirs), ("ours", ours)], {"m": metric}, references=None, test_type="ar", n_samples=4000
    )()
    expected = next(iter(value for key, value in results.items() if key != "System"))[1].p_value
    noise = 4 * np.sqrt(max(expected * (1 - expected), 0.001) * 2 / 4000)
    assert found.p_value == pytest.approx(expected, abs=noise)


def test_the_bootstrap_of_one_system_agrees_with_sacrebleus():
    ours, theirs, references = systems(0.1)
    a, b = (CorpusMetric("bleu", texts, [[text] for text in references]) for texts in (ours, theirs))
    interval = difference_interval(a.weighted_scores, lambda weights: np.zeros(len(weights)), len(references), seed=1)
    _, results = PairedTest(
        [("theirs", theirs), ("ours", ours)],
        {"m": BLEU(references=[references])},
        references=None,
        test_type="bs",
        n_samples=2000,
    )()
    scores = next(iter(value for key, value in results.items() if key != "System"))
    assert (interval.high - interval.low) / 2 == pytest.approx(scores[1].ci, rel=0.12)
    assert interval.value == pytest.approx(scores[1].score)
    assert b.weighted_scores(np.ones((1, len(references))))[0] == pytest.approx(scores[0].score)


def test_a_system_against_itself_has_p_one():
    ours, _, references = systems(0.1)
    a = CorpusMetric("bleu", ours, [[text] for text in references])
    assert randomisation_test(a.statistics, a.statistics, a.from_sums, seed=1, trials=500).p_value == 1.0


def test_the_detectable_drop_is_seen_in_four_of_five_simulated_sets():
    rng = np.random.default_rng(1)
    drop = detectable(mean_interval(rng.normal(0, 0.2, 200), seed=1))
    assert drop == pytest.approx(2.8 * 0.2 / np.sqrt(200), rel=0.15)
    seen = sum(mean_interval(rng.normal(-drop, 0.2, 200), seed=1).high < 0 for _ in range(300))
    assert 0.70 <= seen / 300 <= 0.90


def test_needed_cases_shrink_with_the_margin():
    assert cases_needed(200, 0.10, 0.05) == 800
    assert cases_needed(200, 0.05, 0.05) == 200
    assert cases_needed(200, 0.05, 0.0) is None
    assert cases_needed(200, 50.0, 0.0001) is None


def test_needed_cases_for_a_rate_are_the_fewest_that_show_it():
    seen = differences(3, 3, 194)
    needed = cases_needed_for_rate(seen, 0.05)
    assert detectable_rate(seen, needed) < 0.05 <= detectable_rate(seen, needed - 1)
    assert cases_needed_for_rate(seen, 0.0) is None
