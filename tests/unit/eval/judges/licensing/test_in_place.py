"""A judge on known changes to a run's own answers: what is left of its licence."""

from dataclasses import replace

import pytest

from eval.judges.contrasts import ClassMeasure, ContrastText
from eval.judges.licence import ClassLicence, KindLicence, Licence
from eval.judges.licensing.in_place import InPlace, edits_of, licence_in_place, measure_in_place
from figures.stats import rate_interval

ANSWERS = [
    (
        f"case-{number}",
        f"She paid ${number}.50 on October {number % 28 + 1}. The refund is due by November 3. It was approved.",
    )
    for number in range(1, 81)
]
SOURCES = dict.fromkeys((name for name, _ in ANSWERS), "She paid. The refund is due. It was approved.")
GRANTED = Licence(
    classes=(
        ClassLicence(name="reversal", measured=None, needed=0.7),
        ClassLicence(name="roles", measured=None, needed=0.7),
    ),
    kinds=(
        KindLicence(kind="negation", harm_class="reversal", recall=None, licensed=True),
        KindLicence(kind="roles_swapped", harm_class="roles", recall=None, licensed=True),
    ),
)


def found(seen=0.95, right=0.0, roles=28, **changes):
    classes = (
        ClassMeasure(name="reversal", n=30, held=30, recall=rate_interval(29, 30)),
        ClassMeasure(name="roles", n=30, held=30, recall=rate_interval(roles, 30)),
    )
    fields = {
        "accepted": 80, "answers": 80, "classes": classes, "recall": rate_interval(seen * 75, 75),
        "false_alarms": rate_interval(right * 40, 40),
    }  # fmt: skip
    return InPlace(**fields | changes)


def test_the_same_answers_are_always_edited_alike_and_others_otherwise():
    edits = edits_of(ANSWERS, SOURCES)
    assert [edit.text for edit in edits_of(list(reversed(ANSWERS)), SOURCES)] == [edit.text for edit in edits]
    assert {edit.label for edit in edits} == {"wrong", "right"}
    assert all(edit.text != edit.good for edit in edits)
    fewer = edits_of(ANSWERS[1:], SOURCES)
    assert {edit.text for edit in fewer} != {edit.text for edit in edits}


def test_an_edit_without_a_verdict_is_not_seen():
    edits = [
        ContrastText(
            id=str(n), case_id=str(n), label="wrong", kind="negation", kept=False, text="t", harm_class="reversal"
        )
        for n in range(4)
    ]
    measured = measure_in_place(edits, [True, None, False, True], accepted=4, answers=5)
    assert measured.recall.value == 0.5
    assert measured.false_alarms is None


def test_a_judge_that_sees_the_changes_keeps_its_licence():
    assert licence_in_place(GRANTED, found(), 0.057) == GRANTED


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        (
            {"seen": 0.0},
            "it sees 0.00 [0.00, 0.05] of the known changes to this run's own answers, needed 0.70 as low end",
        ),
        (
            {"right": 0.5},
            "on this run's own answers it objects to 0.50 [0.35, 0.65] of the changes of form, at most 0.06",
        ),
        ({"recall": None}, "not measured on this run's own answers: it accepted 80 of 80 answers"),
        ({"false_alarms": rate_interval(0, 19)}, "not measured on this run's own answers"),
    ],
)
def test_a_judge_that_does_not_loses_it(changes, refused):
    left = licence_in_place(GRANTED, found(**changes), 0.057)
    assert left.licensed == ()
    assert left.refused.startswith(refused)


@pytest.mark.parametrize(("roles", "kept"), [(28, True), (18, True), (12, False)])
def test_a_class_that_is_certainly_not_seen_goes_alone(roles, kept):
    left = licence_in_place(GRANTED, found(roles=roles), 0.057)
    assert left.licensed == (("negation", "roles_swapped") if kept else ("negation",))


def test_a_class_of_which_the_run_has_no_answers_to_edit_goes():
    measured = found()
    left = licence_in_place(GRANTED, replace(measured, classes=measured.classes[:1]), 0.057)
    assert left.licensed == ("negation",)
    assert left.classes[1].missing == "only 0 answers of this run can be edited so"


def test_without_a_licence_there_is_nothing_to_measure():
    refused = Licence(refused="never measured")
    assert licence_in_place(refused, found(), 0.057) is refused
