"""The licence: classes by recall against what the gate needs, a warning per kind, and every change that ends it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eval.judges.calibration import Calibration
from eval.judges.contrasts import ClassMeasure, ContrastMeasure, KindMeasure
from eval.judges.licence import LicenceTerms, classes_by_kind, licence, quarter_of, terms_of
from eval.labels.contrasts.sets import contrasts_digest
from eval.spine.judge_spec import CONDUCT, HARM_CLASSES, JudgeSpec
from eval.suites import load_suite
from eval.verdict.needed_recall import bounds_of, most_false_alarms, needed_recall
from figures.stats import rate_interval
from service.kit.settings import Settings

SPEC = JudgeSpec(
    rubric="claims",
    bad_kinds=(),
    reason="r",
    margin=0.05,
    yes_or_no=True,
    asks_claims=True,
    kinds=("negation", "roles_swapped", "cause_changed"),
)
CLASSES = {"negation": "reversal", "roles_swapped": "roles", "cause_changed": "invention"}
TERMS = LicenceTerms(
    task="summarize", set_digest="sets", claims_digest="claims", classes=CLASSES, quarters=("2026-Q4", "2026-Q3")
)
NEEDED = needed_recall(bounds_of(SPEC), 0.016)
NEAR = next(seen for seen in range(151) if rate_interval(seen, 150).low >= NEEDED)


def kind(name, flagged, n=25, *, label="wrong", abstained=0, kept=False):
    return KindMeasure(kind=name, label=label, kept=kept, n=n, flagged=flagged, abstained=abstained)


def of_class(name, seen, n=150, *, held=50):
    return ClassMeasure(name=name, n=n, held=held, recall=rate_interval(seen, n))


def record(**changes):
    measure = ContrastMeasure(
        set_digest="sets",
        claims_digest="claims",
        max_undecided=SPEC.max_undecided,
        cases={"dev": 40, "gate": 200},
        kinds=(kind("negation", 24), kind("roles_swapped", 12), kind("paraphrase", 0, label="right")),
        false_alarms=rate_interval(0, 240),
        coverage=rate_interval(228, 240),
        classes=(of_class("reversal", 140), of_class("roles", 90)),
        quarter="2026-Q4",
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


def test_a_judge_is_licensed_for_the_classes_whose_recall_reaches_what_the_gate_needs():
    found = licence(record(), SPEC, TERMS)
    assert found.licensed == ("negation",)
    assert (found.shortfall, found.whole) == ("", False)
    needed = needed_recall(bounds_of(SPEC), 0.016)
    assert {item.name: (item.licensed, item.needed) for item in found.classes} == {
        "reversal": (True, needed),
        "roles": (False, needed),
        "invention": (False, needed),
    }
    assert found.summary == f"recall at least {needed:.2f} for reversal 0.93 [0.88, 0.96] on n=150"
    assert found.classes[2].missing == "no edit of this class was asked about"


@pytest.mark.parametrize(("seen", "licensed"), [(150, True), (NEAR, True), (NEAR - 1, False), (0, False)])
def test_the_intervals_low_end_decides(seen, licensed):
    found = licence(record(classes=(of_class("reversal", seen),)), SPEC, TERMS)
    assert ("negation" in found.licensed) is licensed is (rate_interval(seen, 150).low >= found.classes[0].needed)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"n": 149}, "149 edits of at least 150"),
        ({"held": 49}, "only 49 of 150 edits were made after the judge was fixed, a third is needed"),
        ({"held": 50}, ""),
    ],
)
def test_a_class_needs_enough_edits_and_a_third_that_nobody_knew(changes, missing):
    found = licence(record(classes=(replace(of_class("reversal", 140), **changes),)), SPEC, TERMS)
    assert found.classes[0].missing == missing


def test_a_kind_that_is_certainly_not_seen_is_left_out_of_a_licensed_class():
    spec = replace(SPEC, kinds=("negation", "outcome_reversed", "sequence_broken"))
    terms = replace(TERMS, classes=dict.fromkeys(spec.kinds, "reversal"))
    kinds = (kind("negation", 0), kind("outcome_reversed", 16))
    found = licence(record(kinds=kinds), spec, terms)
    assert found.licensed == ("outcome_reversed", "sequence_broken")
    blind, unsure, unmeasured = found.warnings
    assert blind.startswith("negation: recall 0.00 [0.00, 0.13] on n=25 is certainly below")
    assert unsure.startswith("outcome_reversed: recall 0.64 [0.45, 0.80] on n=25 may be below")
    assert unmeasured == "sequence_broken: no edit of this kind was asked about"


def test_without_any_class_the_shortfall_says_how_near_it_was():
    found = licence(record(classes=(of_class("reversal", 80),)), SPEC, TERMS)
    assert found.licensed == ()
    assert found.shortfall.startswith("no class of harm reaches the needed recall of 0.")
    assert (
        "reversal 0.53 [0.45, 0.61] on n=150: 9 points of recall too few (on 150 cases it takes 0.62)"
        in found.shortfall
    )
    assert "roles unmeasured on n=0: no edit of this class was asked about" in found.shortfall


def test_false_alarms_count_with_the_upper_end_of_their_interval():
    most = most_false_alarms(bounds_of(SPEC))
    assert licence(record(false_alarms=rate_interval(1, 300)), SPEC, TERMS).licensed == ("negation",)
    refused = licence(record(false_alarms=rate_interval(4, 240)), SPEC, TERMS)
    assert 4 / 240 < most < rate_interval(4, 240).high
    assert refused.licensed == ()
    assert refused.shortfall.startswith("false alarms 0.02 [0.01, 0.04] over 240 cases: above 0.0")


def test_held_edits_are_of_this_quarter_or_the_last():
    assert licence(record(quarter="2026-Q3"), SPEC, TERMS).licensed
    assert licence(record(quarter="2026-Q2"), SPEC, TERMS).refused.startswith("measured with held edits of 2026-Q2")
    assert [quarter_of(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 3, 4, 12)] == [
        "2026-Q1", "2026-Q1", "2026-Q2", "2026-Q4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("today", "quarters"),
    [
        ("2026-01-31", ("2026-Q1", "2025-Q4")),
        ("2026-03-31", ("2026-Q1", "2025-Q4")),
        ("2026-06-30", ("2026-Q2", "2026-Q1")),
        ("2026-12-31", ("2026-Q4", "2026-Q3")),
    ],
)
def test_the_terms_know_this_quarter_and_the_one_before(tmp_path, today, quarters):
    clock = tmp_path / "clock"
    clock.write_text(f"{today}T12:00:00+00:00", encoding="utf-8")
    terms = terms_of(load_suite("summarize"), Settings(clock_file=clock))
    assert terms.quarters == quarters
    assert terms.classes["negation"] == "reversal"


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


def test_a_reader_counts_only_with_every_class_whatever_kinds_the_suite_names():
    reader = replace(SPEC, rubric="reader", asks_claims=False, reads=True, kinds=("negation",))
    granted = licence(record(), reader, TERMS)
    assert [item.name for item in granted.classes] == list(HARM_CLASSES)
    assert granted.licensed == ("negation",)
    assert not granted.whole


def test_conduct_is_asked_of_its_own_judge_alone():
    conduct = next(spec for spec in load_suite("assistant").judges if spec.conversations)
    terms = replace(TERMS, classes=classes_by_kind(load_suite("assistant")))
    granted = licence(record(classes=(of_class("conduct", 140),)), conduct, terms)
    assert granted.licensed == ("cold_to_vulnerable", "unclear")
    assert granted.whole
    assert CONDUCT not in HARM_CLASSES, "a reader would have to see it in a sentence"


@pytest.mark.parametrize("task", ["assistant", "scorecard"])
def test_a_reader_of_another_task_is_measured_on_the_sets_that_it_names(task):
    suite, settings = load_suite(task), Settings()
    (spec,) = [spec for spec in suite.judges if spec.reads]
    measured_on = contrasts_digest(settings.datasets_dir, "summarize")
    assert terms_of(suite, settings, spec).set_digest == measured_on
    assert terms_of(suite, settings).set_digest != measured_on
    assert set(spec.kinds) <= {one.name for one in suite.judged_only}
    assert spec.floor is not None, "without a floor it decides nothing at a first release"
