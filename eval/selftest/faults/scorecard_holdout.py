"""Faults in scorecard answers by an author who had not read the gate, its bounds or the other faults."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from eval.selftest.faults.verdicts import CriterionAnswers, spoilt
from eval.selftest.mutant import Doctor
from eval.spine.cases import Case
from service.core.tasks.scorecard import ScorecardInputs


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
        if item.verdict == "no"
        and item.turn is not None
        and any(word in item.guidance.lower() for word in _SEVERAL_PARTS)
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


def doctor_of(fault: HoldoutFault) -> Doctor:
    """Return ``fault`` as a rewriting of a reply's answers; a criterion that the reply leaves out stays out."""

    def spoil(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
        call = ScorecardInputs.model_validate(case.inputs)
        turns = [SpokenTurn(speaker=turn.speaker, text=turn.text) for turn in call.turns]
        filled = tuple(
            FilledCriterion(
                criterion_id=criterion.id,
                section=number,
                guidance=criterion.guidance,
                required=criterion.required,
                conditional=criterion.prose is not None or criterion.condition is not None,
                verdict=answer["verdict"],
                turn=answer["turn"] if answer["turn"] >= 0 else None,
                quote=answer["quote"] or None,
            )
            for number, section in enumerate(call.form.sections)
            for criterion in section.criteria
            if (answer := answers.get(criterion.id)) is not None
        )
        return answers | {
            item.criterion_id: answers[item.criterion_id]
            | {
                "verdict": item.verdict,
                "turn": -1 if item.turn is None else item.turn,
                "quote": item.quote or "",
            }
            for item in fault(filled, turns)
        }

    return spoilt(spoil)


# What each does, and the rewriting of a reply.
HOLDOUT_KINDS: Mapping[str, tuple[str, Doctor]] = {
    "cites_the_first_turn": ("cites the first turn, verdicts as they were", doctor_of(cite_the_first_turn)),
    "credits_the_customer": ("takes the customer's words for the agent's", doctor_of(credit_the_customer)),
    "skips_the_last_section": ("excuses the last section's conditions", doctor_of(skip_the_last_section)),
    "one_part_suffices": ("passes what was done in part", doctor_of(one_part_suffices)),
    "lenient_where_optional": ("passes what the form does not require", doctor_of(lenient_where_optional)),
    "copies_within_sections": ("fails a section whose first criterion failed", doctor_of(copy_within_sections)),
    "blames_for_cut_calls": ("fails what did not apply in cut or transferred calls", doctor_of(blame_for_cut_calls)),
    "reads_the_beginning": ("reads the first twelve turns alone", doctor_of(read_the_beginning)),
}
