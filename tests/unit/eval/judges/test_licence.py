"""The licence: kinds by recall against what the gate needs, and every change that ends it."""

from dataclasses import replace

import pytest

from eval.judges.calibration import Calibration
from eval.judges.contrasts import ContrastMeasure, KindMeasure
from eval.judges.licence import LicenceTerms, bounds_of, licence
from eval.spine.judge_spec import JudgeSpec
from eval.verdict.needed_recall import most_false_alarms, needed_recall
from figures.stats import rate_interval

SPEC = JudgeSpec(
    rubric="claims",
    bad_kinds=(),
    reason="r",
    margin=0.05,
    yes_or_no=True,
    asks_claims=True,
    kinds=("negation", "roles_swapped", "cause_changed"),
)
TERMS = LicenceTerms(task="summarize", set_digest="sets", claims_digest="claims")


def kind(name, flagged, n=25, *, label="wrong", abstained=0, kept=False):
    return KindMeasure(kind=name, label=label, kept=kept, n=n, flagged=flagged, abstained=abstained)


def record(**changes):
    measure = ContrastMeasure(
        set_digest="sets",
        claims_digest="claims",
        max_undecided=SPEC.max_undecided,
        cases={"dev": 40, "gate": 200},
        kinds=(kind("negation", 24), kind("roles_swapped", 12), kind("paraphrase", 0, label="right")),
        false_alarms=rate_interval(0, 240),
        coverage=rate_interval(228, 240),
    )
    return Calibration(
        judge_digest="a" * 64,
        rubric="claims",
        model="m",
        answered_by="m",
        environment="aws",
        date="2026-11-22T00:00:00+00:00",
        repeats=1,
        contrasts=replace(measure, **changes),
    )


def test_a_judge_is_licensed_for_the_kinds_whose_recall_reaches_what_the_gate_needs():
    found = licence(record(), SPEC, TERMS)
    assert found.licensed == ("negation",)
    assert found.shortfall == ""
    needed = needed_recall(bounds_of(SPEC), 0.016)
    assert {item.kind: (item.licensed, item.needed) for item in found.kinds} == {
        "negation": (True, needed),
        "roles_swapped": (False, needed),
        "cause_changed": (False, needed),
    }
    assert found.summary == f"recall at least {needed:.2f} for negation 0.96 [0.80, 0.99] on n=25"


@pytest.mark.parametrize(("flagged", "licensed"), [(25, True), (20, True), (19, True), (18, False), (0, False)])
def test_the_intervals_low_end_decides_and_abstentions_are_misses(flagged, licensed):
    found = licence(record(kinds=(kind("negation", flagged, abstained=25 - flagged),)), SPEC, TERMS)
    low = rate_interval(flagged, 25).low
    assert ("negation" in found.licensed) is licensed is (low >= found.kinds[0].needed)


def test_without_any_kind_the_shortfall_names_the_figures():
    found = licence(record(kinds=(kind("negation", 3),)), SPEC, TERMS)
    assert found.licensed == ()
    assert "no kind reaches the needed recall of 0." in found.shortfall
    assert "negation 0.12 [0.04, 0.30] on n=25, roles_swapped unmeasured on n=0" in found.shortfall


def test_false_alarms_count_with_the_upper_end_of_their_interval():
    most = most_false_alarms(bounds_of(SPEC))
    assert licence(record(false_alarms=rate_interval(1, 300)), SPEC, TERMS).licensed == ("negation",)
    refused = licence(record(false_alarms=rate_interval(4, 240)), SPEC, TERMS)
    assert 4 / 240 < most < rate_interval(4, 240).high
    assert refused.licensed == ()
    assert refused.shortfall.startswith("false alarms 0.02 [0.01, 0.04] over 240 cases: above 0.0")


def test_coverage_has_a_floor():
    assert licence(record(coverage=rate_interval(216, 240)), SPEC, TERMS).licensed
    assert licence(record(coverage=rate_interval(215, 240)), SPEC, TERMS).shortfall.startswith("it decides only 0.90")
    assert licence(record(coverage=None), SPEC, TERMS).shortfall.startswith("it decides only unmeasured")


@pytest.mark.parametrize(
    ("changes", "terms", "answered_by", "says"),
    [
        ({"set_digest": "older"}, {}, "m", "measured on contrast sets that have changed since; run "),
        ({"claims_digest": "older"}, {}, "m", "measured with labelled claims that have changed since; run "),
        ({"max_undecided": 0.5}, {}, "m", "measured with another bound on undecided items (0.5); run "),
        ({}, {"set_digest": None}, "m", "the task has no contrast sets to measure it on"),
        ({}, {}, "m-2", "measured on answers of m, but m-2 answered here; run "),
    ],
)
def test_any_change_ends_the_licence_and_says_what_to_run(changes, terms, answered_by, says):
    found = licence(record(**changes), SPEC, replace(TERMS, **terms), answered_by=answered_by)
    assert found.licensed == ()
    assert found.shortfall.startswith(says)
    assert "calibrate --judge claims" in found.shortfall


def test_a_judge_without_a_measurement_has_no_licence():
    assert licence(None, SPEC, TERMS).shortfall.startswith("never measured with this prompt and model; run ")
    unmeasured = replace(record(), contrasts=None)
    assert licence(unmeasured, SPEC, TERMS).shortfall.startswith("not measured on the contrast sets; run ")


def test_a_holistic_judge_does_not_depend_on_the_claims():
    spec = replace(SPEC, rubric="faithfulness", asks_claims=False)
    assert licence(record(claims_digest=None), spec, TERMS).licensed == ("negation",)


def test_a_bound_with_which_no_recall_suffices_gives_no_licence():
    spec = replace(SPEC, margin=None, floor=0.80)
    assert "no recall suffices" in licence(record(), spec, TERMS).shortfall


def test_a_right_edit_or_a_kept_kind_of_the_same_name_licenses_nothing_else():
    found = licence(record(kinds=(kind("negation", 25, label="right"),)), SPEC, TERMS)
    assert found.licensed == ()
