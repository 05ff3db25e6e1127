"""The planted faults of ``scorecard``: what could be wrong with answers about a call, and which check must say so."""

import random
from dataclasses import replace

from eval.selftest.faults import verdicts
from eval.selftest.mutant import Mutant, MutantPlan, SelftestEngine, drop_instruction
from eval.spine.cases import Case
from service.core.llm.model_call import ModelReply
from service.core.tasks.scorecard import ScorecardInputs

# How often the scripted system gives the other verdict: two careful people differ about as often.
_SLIP = 0.05
_LOST = "There is no call to judge here. Please provide the transcript."
_TRANSCRIPT = "{{transcript}}"


def _good(text: str, case: Case, draws: random.Random) -> str:
    """Draw a careful listener's answer: the labels, with a slip now and then."""
    return verdicts.draw_answer(case, draws, slip=_SLIP)


def _shown(case: Case) -> tuple[str, ...]:
    turns = ScorecardInputs.model_validate(case.inputs).turns
    return tuple(words for turn in turns if (words := " ".join(turn.text.split())))


def _slower(reply: ModelReply) -> ModelReply:
    return replace(reply, latency_ms=reply.latency_ms * 2)


def _after_the_deadline(reply: ModelReply) -> ModelReply:
    return replace(reply, latency_ms=reply.latency_ms + 125_000)


def _dearer(reply: ModelReply) -> ModelReply:
    usage = reply.usage
    more = {name: round(getattr(usage, name) * 4 / 3) for name in ("input_tokens", "output_tokens")}
    return replace(reply, usage=replace(usage, **more))


_SCRIPTED: frozenset[SelftestEngine] = frozenset({"scripted"})
# The bundled model's verdicts are at chance and its quotes are taken by code: nothing there to spoil.
_SOUND: frozenset[SelftestEngine] = frozenset({"scripted", "extractive"})

PLAN = MutantPlan(
    pairs={"scripted": "nova-lite", "extractive": "keywords", "bundled": "smollm2-lines"},
    good=_good,
    lost=_LOST,
    shown=_shown,
    habits=(),
    mutants=(
        Mutant(
            name="lost_variable",
            does="{{transcript}} is gone from the prompt",
            targets=("answered",),
            engines=_SCRIPTED,
            edit_pair={"scripted": drop_instruction(_TRANSCRIPT)},
        ),
        Mutant(
            name="all_yes",
            does="every question is answered yes",
            targets=("kappa", "required_fail_recall", "wrong_yes"),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.all_yes),
        ),
        Mutant(
            name="swapped_verdicts",
            does="yes is no and no is yes",
            targets=("kappa",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.swapped),
        ),
        Mutant(
            name="lenient",
            does="a failed required criterion is waved through",
            targets=("required_fail_recall",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.lenient),
        ),
        Mutant(
            name="strict",
            does="what was done is answered no",
            targets=("wrong_no",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.strict),
        ),
        Mutant(
            name="excused",
            does="what failed is called not applicable",
            targets=("wrong_na",),
            engines=_SCRIPTED,
            doctor=verdicts.spoilt(verdicts.excused),
        ),
        Mutant(
            name="one_form_all_yes",
            does="every question of one form is answered yes",
            targets=("kappa_least_form",),
            engines=_SCRIPTED,
            doctor=verdicts.spoilt(verdicts.one_form_all_yes),
        ),
        Mutant(
            name="one_criterion_reversed",
            does="one criterion of one form is answered the wrong way round",
            targets=("kappa_least_criterion",),
            engines=_SCRIPTED,
            doctor=verdicts.spoilt(verdicts.one_criterion_reversed),
        ),
        Mutant(
            name="customers_words_as_evidence",
            does="each quote is something that the customer said",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.customers_words),
        ),
        Mutant(
            name="invented_quotes",
            does="each quote ends in words that nobody said",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.invented),
        ),
        Mutant(
            name="quotes_from_elsewhere",
            does="each quote is another turn of the agent's",
            targets=("right_turn", "evidence_right"),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.elsewhere),
        ),
        Mutant(
            name="first_words_as_evidence",
            does="the call's first turn is quoted for everything",
            targets=("evidence_right",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.first_words),
        ),
        Mutant(
            name="no_quotes",
            does="nothing is quoted",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=verdicts.spoilt(verdicts.unquoted),
        ),
        Mutant(
            name="emptiest_words",
            does="each quote is four empty words of the right turn",
            targets=("evidence_words",),
            engines=_SCRIPTED,
            doctor=verdicts.spoilt(verdicts.emptiest),
        ),
        Mutant(
            name="unexplained",
            does="no verdict has a reason",
            targets=("answered",),
            engines=_SCRIPTED,
            doctor=verdicts.spoilt(verdicts.unexplained),
        ),
        Mutant(
            name="half_unanswered",
            does="the second half of the form is left out",
            targets=("schema_valid", "kappa"),
            doctor=verdicts.spoilt(verdicts.halved),
        ),
        Mutant(
            name="chatty",
            does="prose stands around the answer",
            targets=("schema_valid",),
            doctor=verdicts.chatty,
        ),
        Mutant(
            name="refusal",
            does="refuses",
            targets=("answered",),
            doctor=verdicts.refuses,
        ),
        Mutant(
            name="twice_as_slow",
            does="each call takes twice as long",
            targets=("latency_p95",),
            engines=_SCRIPTED,
            edit_reply=_slower,
        ),
        Mutant(
            name="after_the_deadline",
            does="each call takes two minutes longer",
            targets=("on_time", "latency_p95"),
            engines=_SCRIPTED,
            edit_reply=_after_the_deadline,
        ),
        Mutant(
            name="dearer_by_a_third",
            does="each call uses a third more tokens",
            targets=("cost_cold",),
            engines=_SCRIPTED,
            edit_reply=_dearer,
        ),
    ),
)
