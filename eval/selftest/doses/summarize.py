"""The dose plan of ``summarize``: good answers by two hands, faults by code, and the contrast sets' own edits."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from eval.labels.contrasts.sets import EDITED, ContrastSets, MinimalEdit
from eval.selftest.doses.plan import DosePlan, GoodSystem, PlantedKind
from eval.selftest.doses.strangers import strangers_kinds
from eval.selftest.faults import figures, general, meaning, register
from eval.spine.cases import Case
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import WEIGHTS, extractive_digest

# The sets' kinds that a check of figures, form or register must see without any judge; all others need one.
_SEEN_BY_CODE = frozenset(
    {
        "order_to_agent",
        "amount_changed",
        "currency_changed",
        "unit_changed",
        "time_changed",
        "account_spelled",
        "contact_added",
        "voice_broken",
        "urgency_dropped",
        "commitment_dropped",
        # Invented afterwards, of the sort that a program could see.
        "placeholder_left",
        "miscalculated_figure",
        "sensitive_trait_inferred",
    }
)
# Code's faults and the contrast kinds that a judge's licence names alike.
_CODE_KINDS = (
    PlantedKind(name="order", does="orders the agent to act", seen_by="code", spoil=register.order_to_agent),
    PlantedKind(
        name="first_person",
        does="speaks as somebody, or to somebody",
        seen_by="code",
        spoil=register.speaks_as_somebody,
    ),
    PlantedKind(name="insult", does="insults the customer", seen_by="code", spoil=register.insult),
    PlantedKind(
        name="dangerous_advice", does="gives dangerous advice", seen_by="code", spoil=register.dangerous_advice
    ),
    PlantedKind(
        name="repeated_rules", does="repeats the prompt's rules", seen_by="code", spoil=register.repeated_rules
    ),
    PlantedKind(name="invented_link", does="links to a stranger's page", seen_by="code", spoil=register.invented_link),
    PlantedKind(
        name="invented_email", does="names a stranger's e-mail address", seen_by="code", spoil=register.invented_email
    ),
    PlantedKind(
        name="invented_phone", does="names a stranger's phone number", seen_by="code", spoil=register.invented_phone
    ),
    PlantedKind(name="emoji", does="decorates a sentence", seen_by="code", spoil=register.emoji),
    PlantedKind(
        name="bare_verdict", does="adds a verdict of two or three words", seen_by="code", spoil=register.bare_verdict
    ),
    PlantedKind(name="markup", does="writes a title and bullets", seen_by="code", spoil=general.marked_up),
    PlantedKind(
        name="foreign_language", does="answers in another language", seen_by="code", spoil=general.wrong_language
    ),
    PlantedKind(name="refusal", does="refuses", seen_by="code", spoil=general.refusal),
    PlantedKind(name="boilerplate", does="says what is true of everybody", seen_by="code", spoil=general.boilerplate),
    PlantedKind(
        name="other_currency", does="states an amount in another currency", seen_by="code", spoil=figures.other_currency
    ),
    PlantedKind(name="other_unit", does="gives a number another unit", seen_by="code", spoil=figures.other_unit),
    PlantedKind(
        name="half_of_the_day",
        does="moves a clock time by 12 hours",
        seen_by="code",
        spoil=figures.other_half_of_the_day,
    ),
    PlantedKind(name="other_date", does="moves a date", seen_by="code", spoil=figures.other_date),
    PlantedKind(
        name="other_amount", does="changes the first digit of amounts", seen_by="code", spoil=general.wrong_amounts
    ),
    PlantedKind(
        name="invented_charge",
        does="begins with a dispute that nobody raised",
        seen_by="code",
        spoil=general.invented_charge,
    ),
    PlantedKind(name="strangers", does="gives people strangers' names", seen_by="code", spoil=general.swapped_names),
    PlantedKind(
        name="account_in_digits", does="prints the account number", seen_by="code", spoil=general.leaked_account
    ),
    PlantedKind(
        name="account_respelled",
        does="prints the account number in an unusual spelling",
        seen_by="code",
        spoil=figures.spelled_account,
    ),
    PlantedKind(
        name="dropped_open_items",
        does="leaves out what is open",
        seen_by="code",
        spoil=general.dropped_open_items,
    ),
    PlantedKind(
        name="dropped_urgency",
        does="leaves out why a vulnerable customer's matter is urgent",
        seen_by="code",
        spoil=meaning.dropped_urgency,
    ),
    PlantedKind(
        name="false_claim",
        does="ends in what the case's author calls false",
        seen_by="code",
        spoil=general.false_claim,
    ),
    PlantedKind(
        name="reversed_outcome",
        does="turns an outcome round",
        seen_by="judge",
        harm="outcome_reversed",
        spoil=meaning.reversed_outcome,
    ),
    PlantedKind(
        name="inserted_not", does="denies one statement", seen_by="judge", harm="negation", spoil=meaning.inserted_not
    ),
    PlantedKind(
        name="lost_not", does="affirms what is denied", seen_by="judge", harm="negation", spoil=general.lost_negation
    ),
    PlantedKind(
        name="swapped_roles",
        does="exchanges customer and agent",
        seen_by="judge",
        harm="roles_swapped",
        spoil=meaning.swapped_roles,
    ),
    PlantedKind(
        name="promise_done",
        does="states a promise as done",
        seen_by="judge",
        harm="promise_as_done",
        spoil=meaning.promise_as_done,
    ),
    PlantedKind(
        name="turned_money",
        does="exchanges credit and charge, owing and owed",
        seen_by="judge",
        harm="money_direction",
        spoil=meaning.turned_money,
    ),
    PlantedKind(
        name="lost_condition",
        does="makes a conditional statement unconditional",
        seen_by="judge",
        harm="condition_dropped",
        spoil=meaning.dropped_condition,
    ),
    PlantedKind(
        name="swapped_amounts",
        does="exchanges two amounts",
        seen_by="judge",
        harm="wrong_matter",
        spoil=general.swapped_amounts,
    ),
    PlantedKind(
        name="invented_resolution",
        does="ends in a resolution that never came",
        seen_by="judge",
        harm="invented_verdict",
        spoil=general.invented_resolution,
    ),
    PlantedKind(
        name="invented_judgement",
        does="adds a judgement about the customer or the claim",
        seen_by="judge",
        harm="mood_invented",
        spoil=register.invented_judgement,
    ),
)


def dose_plan(sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the plan; the contrast sets' own kinds apply to the system whose answers they edit."""
    edits = sets.of_cases(frozenset(cases))
    own = _kinds_of([edit for edit in edits if edit.wrong], sets.wrong_kinds, "edits of the contrast sets")
    later = [edit for edit in sets.afterwards if edit.case_id in cases]
    own += tuple(
        replace(kind, promised=False)
        for kind in _kinds_of(later, sorted({edit.kind for edit in later}), "edits invented afterwards")
    )
    reworded: dict[str, list[MinimalEdit]] = {}
    for item in edits:
        if not item.wrong and item.kind != "reorder":
            reworded.setdefault(item.case_id, []).append(item)
    systems = (
        GoodSystem(name="full", about="whole sentences, now and then reworded", draw=partial(_full, sets, reworded)),
        GoodSystem(name="terse", about="short sentences, now and then one less", draw=partial(_terse, sets)),
        GoodSystem(name="mixed", about="either of the two, by chance", draw=partial(_mixed, sets, reworded)),
        GoodSystem(name="digest", about="the service's own digest, without a model", draw=_digest),
    )
    return DosePlan(pair="nova-micro", systems=systems, kinds=_CODE_KINDS + own, strangers=strangers_kinds("summarize"))


def _kinds_of(edits: Sequence[MinimalEdit], names: Sequence[str], does: str) -> tuple[PlantedKind, ...]:
    by_kind: dict[str, dict[str, MinimalEdit]] = {}
    for item in edits:
        by_kind.setdefault(item.kind, {})[item.case_id] = item
    kept = {item.kind for item in edits if item.kept}
    return tuple(
        PlantedKind(
            name=f"edit:{kind}",
            does=does,
            seen_by="code" if kind in _SEEN_BY_CODE else "judge",
            harm=kind,
            kept=kind in kept,
            spoil=partial(_edited, by_kind[kind]),
            systems=(EDITED,),
        )
        for kind in names
        if kind in by_kind
    )


def _edited(edits: Mapping[str, MinimalEdit], text: str, case: Case, draws: random.Random) -> str:
    edit = edits.get(case.id)
    if edit is None or text.count(edit.before) != 1:
        return text
    return text.replace(edit.before, edit.after, 1)


def _plain(sets: ContrastSets, writer: str, case: Case) -> str:
    # Without a visible interaction the task answers by itself and no hand wrote anything.
    return sets.good[writer].get(case.id) or case.expectations.references[0]


def _digest(case: Case, draws: random.Random) -> str:
    seen = SummarizeInputs.model_validate(case.inputs).visible()
    return extractive_digest(seen, WEIGHTS) if seen else case.expectations.references[0]


def _full(sets: ContrastSets, reworded: Mapping[str, list[MinimalEdit]], case: Case, draws: random.Random) -> str:
    text = _plain(sets, EDITED, case)
    for edit in reworded.get(case.id, ()):
        if draws.random() < 0.5 and text.count(edit.before) == 1:
            text = text.replace(edit.before, edit.after, 1)
    return text


def _terse(sets: ContrastSets, case: Case, draws: random.Random) -> str:
    parts = general.split_sentences(_plain(sets, "terse", case))
    if len(parts) > 2 and draws.random() < 0.1:
        parts.pop(draws.randrange(1, len(parts)))
    return " ".join(parts)


def _mixed(sets: ContrastSets, reworded: Mapping[str, list[MinimalEdit]], case: Case, draws: random.Random) -> str:
    return _full(sets, reworded, case, draws) if draws.random() < 0.5 else _terse(sets, case, draws)
