import copy
import json
from pathlib import Path

import pytest

from eval.casecheck.balance import balance_of
from eval.casecheck.case import case_problems
from eval.casecheck.files import CaseLine
from eval.spine.cases import parse_case
from eval.suites.scorecard.case_rules import CASE_RULES
from eval.suites.scorecard.labels import labelled_total
from service.core.tasks.scorecard import ScorecardInputs

FOLDER = Path(__file__).resolve().parents[4] / "datasets" / "scorecard"


def rows(file):
    return [json.loads(text) for text in (FOLDER / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]


def read(row, file="dev"):
    case, inputs = parse_case(json.dumps(row), "", ScorecardInputs, CASE_RULES.expectations)
    return CaseLine(file=file, line=1, case=case, inputs=inputs, rules=CASE_RULES)


def problems(row):
    return [problem.text for problem in case_problems(read(row), None)]


@pytest.fixture
def sound():
    """The example of R-QA-SCORE: greeting, next step and check at the end, but neither empathy nor the statement."""
    return copy.deepcopy(next(row for row in rows("dev") if row["id"] == "dev-support-01"))


def test_the_seeds_example_adds_up_to_55_6(sound):
    assert problems(sound) == []
    total = labelled_total(read(sound).case)
    assert (str(total.total), str(total.maximum), str(total.percentage), total.passed) == ("2.5", "4.5", "55.6", False)
    assert total.failed_required == ("compliance_05", "empathy_02")


def broken(criterion="greet_01", **changes):
    def fault(row):
        row["expectations"]["answers"][criterion].update(changes)

    return fault


def left_out(row):
    del row["expectations"]["answers"]["confirm_04"]


def filed_as(name, value):
    def fault(row):
        row["slices"][name] = value

    return fault


QUOTE = "thank you for calling Brindlewick Energy, this is Mairead"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (left_out, "the form requires, in this order"),
        (broken(quote=QUOTE.replace("Mairead", "Maeve")), "the quote does not occur in turn 0"),
        (broken(turn=2), "the quote does not occur in turn 2"),
        (broken(turn=99), "the quote does not occur in turn 99"),
        (broken(quote=None), "a turn without a quote"),
        (broken(quote=None, turn=None), "is yes without evidence"),
        (broken(quote="calling"), "too short to be evidence"),
        (broken(quote="my paper bill's stopped coming", turn=1), "is yes with the customer's words"),
        (broken(verdict="na", quote=None, turn=None), "is N/A, but the form states no condition for it"),
        (broken("confirm_04", verdict="na"), "is N/A with a quote"),
        (broken(why=""), "has no reason"),
        (broken("compliance_05", verdict="yes", quote=QUOTE, turn=0), "'compliance' is 'none', but the labels make it"),
        (filed_as("outcome", "pass"), "'outcome' is 'pass', but the labels make it fail"),
        (filed_as("polite_fail", True), "'polite_fail' is True, but the labels make it False"),
        (filed_as("na_present", True), "'na_present' is True, but the labels make it False"),
        (filed_as("turns", "2-5"), "'turns' is '2-5', but the inputs make it '6-12'"),
        (filed_as("hold", True), "'hold' is True, but the inputs make it False"),
        (filed_as("domain", "banking"), "'domain' is 'banking', but the inputs make it 'energy'"),
    ],
)
def test_a_label_that_cannot_be_right_is_named(sound, fault, said):
    fault(sound)
    assert any(said in text for text in problems(sound)), problems(sound)


def test_a_set_that_can_be_answered_without_listening_is_named():
    gate = [read(row, "gate") for row in rows("gate")]
    rules = CASE_RULES.files["gate"]
    assert balance_of("gate", gate, rules).problems == ()
    # Twice, so that each form has calls enough for its shares to count.
    good = [line.case for line in gate if line.case.slices["outcome"] == "pass"] * 2
    texts = list(rules.together(good))
    assert f"{len(good)} of {len(good)} calls pass; the rule is 40% to 60%" in texts
    banked = sum(case.slices["form"] == "lindmoor-servicing" for case in good)
    assert f"security of lindmoor-servicing is met in {banked} of {banked} calls; the rule is 25% to 75%" in texts


@pytest.mark.parametrize("file", ["dev", "gate"])
def test_every_call_carries_the_form_as_it_is_stored(file):
    for row in rows(file):
        form = row["inputs"]["form"]
        assert form == json.loads((FOLDER / "forms" / f"{form['form_id']}.json").read_text(encoding="utf-8"))
