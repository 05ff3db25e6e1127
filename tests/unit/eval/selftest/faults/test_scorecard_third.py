"""The third author's faults in scorecard answers, on one hand-made form."""

import pytest

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.doses.scorecard import dose_plan
from eval.selftest.faults.scorecard_holdout import Filled, FilledCriterion, HoldoutFault, SpokenTurn
from eval.selftest.faults.scorecard_third import (
    THIRD_FAULTS,
    absence_is_na,
    first_words_quoted,
    mood_decides,
    opening_out_of_window,
    partial_evidence_passes,
    reply_is_cited,
    turn_cited_once,
    wording_must_match,
)

_TURNS = (
    SpokenTurn(speaker="agent", text="Good morning, may I take your full name please?"),
    SpokenTurn(speaker="customer", text="Ann Lee. " + "My bill is wrong. " * 20),
    SpokenTurn(speaker="agent", text="I have corrected the bill for you today and you will see it."),
    SpokenTurn(speaker="customer", text="Thanks, lovely."),
    SpokenTurn(speaker="agent", text="Goodbye and take care."),
)


def _item(name: str, verdict: str, turn: int | None, quote: str | None, *, guidance: str = "") -> FilledCriterion:
    return FilledCriterion(
        criterion_id=name, section=0, guidance=guidance, required=True, conditional=False,
        verdict=verdict, turn=turn, quote=quote,
    )  # fmt: skip


_FILLED: Filled = (
    _item("name", "yes", 0, "may I take your full name please?", guidance="Asks for the name."),
    _item("fix", "yes", 2, "you will see it.", guidance="Solves the problem."),
    _item("sum_up", "no", 2, "I have corrected the bill", guidance="Sums up what was corrected, with a date."),
    _item("empathy", "no", None, None),
    _item("close", "yes", 4, "Goodbye", guidance="Says goodbye."),
    _item("again", "yes", 2, "corrected the bill", guidance="Names the bill."),
)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (partial_evidence_passes, {"sum_up": ("yes", 2, "I have corrected the bill")}),
        (wording_must_match, {"fix": ("no", 2, "you will see it.")}),
        (opening_out_of_window, {"name": ("no", None, None)}),
        (absence_is_na, {"empathy": ("na", None, None)}),
        (
            mood_decides,
            {"sum_up": ("yes", 2, "I have corrected the bill"), "empathy": ("yes", 4, "Goodbye and take care.")},
        ),
        (
            turn_cited_once,
            {"again": ("no", None, None)},  # every turn of the agent's is cited
        ),
        (reply_is_cited, {"name": ("yes", 1, " ".join(_TURNS[1].text.split()[:12]))}),
        (first_words_quoted, {"fix": ("yes", 2, "I have corrected the bill")}),
    ],
)
def test_a_fault_changes_only_what_its_name_says(
    fault: HoldoutFault, changed: dict[str, tuple[str, int | None, str | None]]
) -> None:
    after = fault(_FILLED, _TURNS)
    assert [item.criterion_id for item in after] == [item.criterion_id for item in _FILLED]
    found = {
        new.criterion_id: (new.verdict, new.turn, new.quote)
        for old, new in zip(_FILLED, after, strict=True)
        if (old.verdict, old.turn, old.quote) != (new.verdict, new.turn, new.quote)
    }
    assert found == changed
    assert fault(_FILLED, _TURNS) == after


def test_every_fault_is_planted_and_none_is_promised() -> None:
    plan = dose_plan(ContrastSets(good={}, contrasts=(), digest=""), {})
    planted = {kind.name: kind.promised for kind in plan.kinds if kind.name in THIRD_FAULTS}
    assert planted == dict.fromkeys(THIRD_FAULTS, False)
