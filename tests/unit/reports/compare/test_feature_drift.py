"""Drift of features: planted drift is found, equal weeks are stable, and missing values count."""

import json
import random

import pandas as pd
import pytest

from reports.compare.drift import feature_drifts
from reports.read.features import framed, kept_features


def weeks(draw_now, draw_before, n=2000, seed=3):
    chance = random.Random(seed)
    rows = [(0, {"satisfaction": draw_now(chance)}) for _ in range(n)]
    return framed(rows + [(-1, {"satisfaction": draw_before(chance)}) for _ in range(n)])


def usual(chance):
    return round(min(5, max(1, chance.gauss(4, 0.6))), 1)


def test_weeks_without_drift_are_stable():
    assert [one.result for one in feature_drifts(weeks(usual, usual))] == ["stable"]


@pytest.mark.parametrize(("shift", "result"), [(0.7, "moved"), (0.37, "moved a little")])
def test_a_planted_shift_is_found_by_psi_and_ks(shift, result):
    # Of two normal distributions with a standard deviation of 1 the index is the square of the shift.
    (found,) = feature_drifts(weeks(lambda chance: chance.gauss(shift, 1), lambda chance: chance.gauss(0, 1)))
    assert (found.name, found.result) == ("satisfaction", result)
    assert found.psi > found.chance
    assert found.ks > 0.1


def test_a_share_of_missing_values_that_grows_is_found_although_the_others_are_as_before():
    known, missing = feature_drifts(weeks(lambda chance: None if chance.random() < 0.3 else usual(chance), usual))
    assert (known.result, missing.name, missing.result) == ("stable", "satisfaction known or missing", "moved")
    assert missing.most == "known: 100% to 70%" or missing.most == "missing: 0% to 30%"


def test_the_index_is_the_one_worked_out_by_hand():
    rows = [(0, {"x": 1})] * 50 + [(0, {"x": 2})] * 50 + [(-1, {"x": 1})] * 80 + [(-1, {"x": 2})] * 20
    (found,) = feature_drifts(framed(rows))
    # (0.5 - 0.8) ln(0.5 / 0.8) + (0.5 - 0.2) ln(0.5 / 0.2)
    assert found.psi == pytest.approx(0.4159, abs=1e-4)
    assert found.ks == pytest.approx(0.3)


def test_kept_inputs_give_their_numbers_and_what_lacks_one_is_missing():
    texts = [
        json.dumps({"features": {"total": 3, "kind": "house", "garden": True, "mean": None}}),
        json.dumps({"features": {"total": 5, "mean": 4.5}}),
        json.dumps({"features": []}),
        "no json",
    ]
    found = kept_features(pd.DataFrame({"period": [0, 0, -1, -1], "inputs": texts}))
    assert sorted(found) == ["mean", "total"]
    assert found["total"].sort_values(["period", "value"]).to_dict("list")["n"] == [2, 1, 1]


def test_without_features_there_is_nothing_to_compare():
    assert feature_drifts(kept_features(pd.DataFrame({"period": [], "inputs": []}))) == []
