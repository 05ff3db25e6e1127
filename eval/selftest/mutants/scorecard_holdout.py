"""Faults in scorecard answers by an author who had not read the gate, its bounds or the other faults."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledCriterion:
    """One criterion of a form with the answer that a listener gave to it."""

    criterion_id: str
    section: int
    guidance: str
    required: bool
    conditional: bool
    verdict: str  # yes, no or na
    turn: int | None
    quote: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTurn:
    """One turn of the call, as far as the faults look at it."""

    speaker: str
    text: str


Filled = tuple[FilledCriterion, ...]
HoldoutFault = Callable[[Filled, Sequence[SpokenTurn]], Filled]

_SEVERAL_PARTS = ("both", "three parts", "two parts", "all three", "alone", "whole")
_READ_TURNS = 12


def _cite(item: FilledCriterion, turns: Sequence[SpokenTurn], turn: int, verdict: str) -> FilledCriterion:
    return replace(item, verdict=verdict, turn=turn, quote=turns[turn].text)


def cite_the_first_turn(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Keeps each verdict and cites the call's first turn for all that have evidence."""
    return tuple(_cite(item, turns, 0, item.verdict) if item.turn is not None else item for item in filled)


def credit_the_customer(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Reads the customer's words as the agent's: a "no" without evidence becomes a "yes" on the longest customer turn."""
    spoken = [index for index, turn in enumerate(turns) if turn.speaker == "customer"]
    if not spoken:
        return filled
    longest = max(spoken, key=lambda index: len(turns[index].text))
    return tuple(
        _cite(item, turns, longest, "yes") if item.verdict == "no" and item.turn is None else item for item in filled
    )


def skip_the_last_section(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Answers "does not apply" to the last section's criteria that have a condition."""
    last = max(item.section for item in filled)
    return tuple(
        replace(item, verdict="na", turn=None, quote=None) if item.section == last and item.conditional else item
        for item in filled
    )


def one_part_suffices(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Passes a criterion of several parts when one part of them was said."""
    return tuple(
        replace(item, verdict="yes")
        if item.verdict == "no" and item.turn is not None and any(word in item.guidance for word in _SEVERAL_PARTS)
        else item
        for item in filled
    )


def lenient_where_optional(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Passes every criterion that the form does not require."""
    agent = next((index for index, turn in enumerate(turns) if turn.speaker == "agent"), 0)
    return tuple(
        _cite(item, turns, agent if item.turn is None else item.turn, "yes")
        if item.verdict == "no" and not item.required
        else item
        for item in filled
    )


def copy_within_sections(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Lets a section's first verdict colour the others: a "no" there turns a section's "yes" into "no"."""
    first: dict[int, str] = {}
    for item in filled:
        first.setdefault(item.section, item.verdict)
    return tuple(
        replace(item, verdict="no") if item.verdict == "yes" and first[item.section] == "no" else item
        for item in filled
    )


def blame_for_cut_calls(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Answers "no" instead of "does not apply" where the call is cut off or handed over."""
    if turns[-1].speaker != "system":
        return filled
    return tuple(replace(item, verdict="no") if item.verdict == "na" else item for item in filled)


def read_the_beginning(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Reads a long call's first turns: what is decided later is answered "no" without evidence."""
    return tuple(
        replace(item, verdict="no", turn=None, quote=None)
        if item.turn is not None and item.turn >= _READ_TURNS
        else item
        for item in filled
    )


HOLDOUT_FAULTS: Mapping[str, HoldoutFault] = {
    "cites-the-first-turn": cite_the_first_turn,
    "credits-the-customer": credit_the_customer,
    "skips-the-last-section": skip_the_last_section,
    "one-part-suffices": one_part_suffices,
    "lenient-where-optional": lenient_where_optional,
    "copies-within-sections": copy_within_sections,
    "blames-for-cut-calls": blame_for_cut_calls,
    "reads-the-beginning": read_the_beginning,
}
