"""Agreement with labels: hand-worked figures, a record that is whole or absent, and bounds at, above and below."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from eval.judges.calibration import (
    Calibration,
    Labelled,
    accuracy,
    agreement,
    fallen,
    flagged_by_kind,
    kappa,
    load,
    record_path,
    save,
    self_agreement,
    shortfall,
)
from eval.judges.labelled_rows import CALIBRATION_SET
from eval.spine.judge_spec import JudgeSpec
from figures.stats import Interval

SPEC = JudgeSpec(rubric="faithfulness", bad_kinds=("wrong_date",), reason="r", floor=0.8)


def row(number, good, *votes):
    return Labelled(
        row_id=f"r-{number}", group=f"g{number // 2}", good=good, kind=None if good else "wrong_date", votes=votes
    )


# 20 good of which 15 are called good, 20 bad of which 5 are: observed 0.75, by chance 0.5, kappa 0.5.
ROWS = [row(n, n < 20, (n < 15) if n < 20 else (n < 25)) for n in range(40)]


def test_kappa_and_accuracy_of_a_hand_worked_table():
    assert kappa(ROWS).value == pytest.approx(0.5)
    assert kappa(ROWS).low < 0.5 < kappa(ROWS).high
    assert accuracy(ROWS).value == pytest.approx(0.75)
    assert flagged_by_kind(ROWS) == {"good": (5, 20), "wrong_date": (15, 20)}


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    rows = [row(n, bool(rng.random() < 0.6), bool(rng.random() < 0.7)) for n in range(60)]
    expected = cohen_kappa_score([one.good for one in rows], [one.votes[0] for one in rows])
    assert kappa(rows).value == pytest.approx(expected)


def test_an_abstention_counts_as_the_wrong_verdict():
    found = agreement([*ROWS, row(40, True, None)], set_name="s", set_digest="d")
    assert (found.n, found.unscored, found.kappa.n) == (41, 1, 41)
    assert found.accuracy.value == pytest.approx(30 / 41)
    assert found.kappa == kappa([*ROWS, row(40, True, False)])


def test_a_judge_gains_nothing_by_abstaining_where_it_is_wrong():
    """A judge that is wrong on a quarter of the rows is as good as before when it abstains on half of those."""
    wrong = [row(n, n < 80, (n < 80) if n % 4 else (n >= 80)) for n in range(160)]
    abstaining = [row(n, n < 80, None if n % 8 == 0 else verdict.votes[0]) for n, verdict in enumerate(wrong)]
    assert kappa(wrong).value == pytest.approx(0.5)
    assert kappa(abstaining).value == pytest.approx(0.5)
    assert accuracy(abstaining).value == pytest.approx(0.75)
    found = agreement(abstaining, set_name=CALIBRATION_SET, set_digest="rows")
    good = record()
    measured = replace(good.sets[0], kappa=found.kappa, accuracy=found.accuracy, unscored=found.unscored, n=found.n)
    assert short(replace(good, sets=(measured,))).startswith("kappa 0.50")


def test_an_abstention_agrees_with_nothing():
    assert self_agreement([row(0, True, True, None)]).value == 0.0
    assert self_agreement([row(0, True, None, None)]).value == 0.0
    assert self_agreement([row(0, True, True, True, None)]).value == pytest.approx(1 / 3)


def test_one_label_alone_has_no_kappa():
    assert kappa([row(n, True, True) for n in range(9)]) is None
    assert kappa([]) is None


def test_self_agreement_is_the_share_of_equal_pairs():
    assert self_agreement([row(0, True, True, True, False), row(2, True, True, True, True)]).value == pytest.approx(
        (1 / 3 + 1) / 2
    )
    assert self_agreement([row(0, True, True)]) is None


def interval(value, low=None):
    return Interval(value=value, low=value if low is None else low, high=1.0, n=144)


def record(**changes):
    found = agreement(ROWS, set_name=CALIBRATION_SET, set_digest="rows")
    found = replace(found, kappa=interval(0.6, 0.4), self_agreement=interval(0.8), **changes)
    return Calibration(
        judge_digest="a" * 64,
        rubric="faithfulness",
        model="m",
        answered_by="m",
        environment="aws",
        date="2026-11-21T00:00:00+00:00",
        repeats=3,
        sets=(found,),
    )


def short(found, **changes):
    return shortfall(found, SPEC, **({"set_digest": "rows", "max_unscored_rate": 0.15} | changes))


def test_a_judge_at_its_bounds_gates():
    assert short(record()) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kappa": interval(0.59, 0.4)}, "kappa 0.59"),
        ({"kappa": interval(0.6, 0.39)}, "kappa 0.60"),
        ({"kappa": None}, "kappa unmeasured"),
        ({"self_agreement": interval(0.79)}, "self-agreement 0.79"),
        ({"self_agreement": None}, "self-agreement was not measured"),
        ({"unscored": 7}, "7 of 40 calibration rows could not be scored"),
        ({"bad_rows": 19}, "only 19 calibration rows"),
        ({"set_digest": "older"}, "measured on calibration rows that have changed"),
        ({"set_name": "elsewhere"}, "not measured on the project's own"),
    ],
)
def test_a_judge_below_a_bound_is_uncalibrated_and_says_why(changes, says):
    good = record()
    assert says in short(replace(good, sets=(replace(good.sets[0], **changes),)))


def test_a_judge_without_a_record_is_uncalibrated():
    assert short(None) == "never measured with this prompt and model"


def test_a_record_comes_back_whole_or_not_at_all(tmp_path):
    kept = record()
    path = save(kept, tmp_path)
    assert load(tmp_path, kept.judge_digest) == kept
    assert load(tmp_path, "b" * 64) is None
    path.rename(record_path(tmp_path, "b" * 64))  # another judge's file under this judge's name
    assert load(tmp_path, "b" * 64) is None
    path.write_text(path.with_name("b" * 64 + ".json").read_text(encoding="utf-8")[:200], encoding="utf-8")
    assert load(tmp_path, kept.judge_digest) is None


@pytest.mark.parametrize(
    ("lost", "won", "found"), [(0, 0, False), (6, 0, False), (7, 0, True), (12, 6, False), (30, 9, True)]
)
def test_a_fall_is_one_beyond_chance_and_gains_count_against_it(lost, won, found):
    # One-sided exact McNemar by hand: 6 of 6 is 1/64 = 0.016, 7 of 7 is 1/128 = 0.008.
    before = {f"r{n}": n < 50 for n in range(100)}
    after = {f"r{n}": (n < 50 and n >= lost) or 50 <= n < 50 + won for n in range(100)}
    first, now = (
        replace(agreement(ROWS, set_name=CALIBRATION_SET, set_digest="rows"), right=right) for right in (before, after)
    )
    assert (fallen(first, now) is not None) is found
