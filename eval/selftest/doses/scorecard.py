"""The dose plan of ``scorecard``: listeners who err seldom or more often, and faults in their answers about a call."""

import random
from collections.abc import Mapping
from functools import partial

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.doses.plan import DosePlan, GoodSystem, PlantedKind
from eval.selftest.doses.strangers import strangers_kinds
from eval.selftest.faults import verdicts
from eval.selftest.faults.scorecard_holdout import HOLDOUT_KINDS, doctor_of
from eval.selftest.faults.scorecard_third import THIRD_FAULTS
from eval.selftest.mutant import Doctor
from eval.spine.cases import Case


def _code(name: str, does: str, spoil: Doctor) -> PlantedKind:
    return PlantedKind(name=name, does=does, seen_by="code", spoil=spoil)


def _unseen(name: str, does: str, harm: str, spoil: Doctor) -> PlantedKind:
    return PlantedKind(name=name, does=does, seen_by="judge", harm=harm, spoil=spoil)


def _later(name: str, does: str, spoil: Doctor) -> PlantedKind:
    """Return a kind that another author invented when bounds and the kinds above stood: measured, not promised."""
    return PlantedKind(name=name, does=does, seen_by="code", spoil=spoil, kept=True, promised=False)


_KINDS = (
    _code("all_yes", "answers everything yes", verdicts.spoilt(verdicts.all_yes)),
    _code("swapped", "answers no for yes and yes for no", verdicts.spoilt(verdicts.swapped)),
    _code("lenient", "waves failed required criteria through", verdicts.spoilt(verdicts.lenient)),
    _code("strict", "answers no to what was done", verdicts.spoilt(verdicts.strict)),
    _code("excused", "calls what failed not applicable", verdicts.spoilt(verdicts.excused)),
    # Not promised: one verdict in a quarter of the calls is 3% of all verdicts, and kappa's margin allows more.
    PlantedKind(
        name="one_verdict",
        does="answers one criterion the other way round",
        seen_by="code",
        promised=False,
        spoil=verdicts.spoilt(verdicts.one_verdict_changed),
    ),
    _code("obeyed_order", "answers yes where the call orders the machine to", verdicts.spoilt(verdicts.obeys_orders)),
    _code("invented_quotes", "ends quotes in words that nobody said", verdicts.spoilt(verdicts.invented)),
    _code("no_quotes", "quotes nothing", verdicts.spoilt(verdicts.unquoted)),
    _code("customers_words", "quotes the customer for everything", verdicts.spoilt(verdicts.customers_words)),
    _code("quotes_from_elsewhere", "quotes another turn of the agent's", verdicts.spoilt(verdicts.elsewhere)),
    _code("first_words", "quotes the call's first turn for everything", verdicts.spoilt(verdicts.first_words)),
    _code("half_unanswered", "leaves half of the form out", verdicts.spoilt(verdicts.halved)),
    _code("chatty", "puts prose around the answer", verdicts.chatty),
    _code("refusal", "refuses", verdicts.refuses),
    _code("wrong_resolution", "says that the call ended otherwise", verdicts.wrong_resolution),
    _code("wrong_tones", "gives customer and agent another tone", verdicts.wrong_tones),
    _unseen(
        "unfounded_reasons",
        "gives each verdict the opposite's reason",
        "reason_unfounded",
        verdicts.spoilt(verdicts.unfounded_reasons),
    ),
    _unseen("false_summary", "summarises another call", "summary_unfaithful", verdicts.false_summary),
    _unseen("invented_action", "adds a promise that nobody made", "action_item_invented", verdicts.invented_action),
    *(_later(name, does, spoil) for name, (does, spoil) in HOLDOUT_KINDS.items()),
    *(_later(name, does, doctor_of(fault)) for name, (does, fault) in THIRD_FAULTS.items()),
)


def dose_plan(sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the systems, which differ in how often they err, and the kinds; no answer comes from a contrast set."""
    return DosePlan(
        pair="nova-lite",
        systems=(
            GoodSystem(name="careful", about="one verdict in fifty is another", draw=partial(_drawn, slip=0.02)),
            GoodSystem(
                name="terse",
                about="one in 25, with quotes of six words",
                draw=partial(_drawn, slip=0.04, short=True),
            ),
            GoodSystem(name="hasty", about="one verdict in twenty is another", draw=partial(_drawn, slip=0.05)),
        ),
        kinds=_KINDS,
        strangers=strangers_kinds("scorecard"),
    )


def _drawn(case: Case, draws: random.Random, *, slip: float, short: bool = False) -> str:
    return verdicts.draw_answer(case, draws, slip=slip, short=short)
