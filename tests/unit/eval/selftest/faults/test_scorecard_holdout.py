"""The other author's faults in scorecard answers, on one hand-made form of two sections."""

import pytest

from eval.selftest.faults.scorecard_holdout import (
    Filled,
    FilledCriterion,
    HoldoutFault,
    SpokenTurn,
    blame_for_cut_calls,
    cite_the_first_turn,
    copy_within_sections,
    credit_the_customer,
    lenient_where_optional,
    one_part_suffices,
    read_the_beginning,
    skip_the_last_section,
)

_TURNS = (
    SpokenTurn(speaker="agent", text="Good morning."),
    *(SpokenTurn(speaker="customer", text=f"Word {number}.") for number in range(1, 12)),
    SpokenTurn(speaker="agent", text="It is done."),
    SpokenTurn(speaker="system", text="[call dropped]"),
)


def _item(name: str, verdict: str, turn: int | None, **given: object) -> FilledCriterion:
    fields: dict[str, object] = {"section": 0, "guidance": "", "required": True, "conditional": False} | given
    quote = None if turn is None else _TURNS[turn].text
    return FilledCriterion(criterion_id=name, verdict=verdict, turn=turn, quote=quote, **fields)  # type: ignore[arg-type] # by name


_FILLED: Filled = (
    _item("greet", "no", 0, guidance="Both names."),
    _item("recording", "yes", 0),
    _item("empathy", "no", None, required=False),
    _item("done", "yes", 12, section=1),
    _item("close", "na", None, section=1, conditional=True),
    _item("sum_up", "yes", 0, section=1, conditional=True),
)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (cite_the_first_turn, {"done": ("yes", 0)}),
        (credit_the_customer, {"empathy": ("yes", 10)}),
        (skip_the_last_section, {"sum_up": ("na", None)}),
        (one_part_suffices, {"greet": ("yes", 0)}),
        (lenient_where_optional, {"empathy": ("yes", 0)}),
        (copy_within_sections, {"recording": ("no", 0)}),
        (blame_for_cut_calls, {"close": ("no", None)}),
        (read_the_beginning, {"done": ("no", None)}),
    ],
)
def test_a_fault_changes_only_what_its_name_says(
    fault: HoldoutFault, changed: dict[str, tuple[str, int | None]]
) -> None:
    after = fault(_FILLED, _TURNS)
    found = {new.criterion_id: (new.verdict, new.turn) for old, new in zip(_FILLED, after, strict=True) if old != new}
    assert found == changed


def test_a_call_that_ends_in_words_is_no_cut_call() -> None:
    assert blame_for_cut_calls(_FILLED, _TURNS[:-1]) == _FILLED
