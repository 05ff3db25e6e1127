"""The planted faults of ``scorecard``: what could be wrong with answers about a call, and which check must say so."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from eval.cases import Case
from eval.selftest.mutant import Doctor, Mutant, MutantPlan, SelftestEngine, drop_instruction
from eval.suites.scorecard.labels import form_of, labels_of
from service.llm.model_call import ModelReply
from service.tasks.scorecard import ScorecardInputs

# How often the scripted system gives the other verdict: two careful people differ about as often.
_SLIP = 0.05
_LOST = "There is no call to judge here. Please provide the transcript."
_REFUSAL = "I'm sorry, but I cannot rate the work of a person on the basis of this conversation."
_TRANSCRIPT = "{{transcript}}"
_ONE_FORM = "osprey-disputes"
_ONE_CRITERION = ("lindmoor-fraud", "warning")
_REVERSED = {"yes": "no", "no": "yes", "na": "no"}

CriterionAnswers = dict[str, dict[str, Any]]
Spoil = Callable[[CriterionAnswers, Case, random.Random], CriterionAnswers]


def _good(text: str, case: Case, draws: random.Random) -> str:
    """Draw a careful listener's answer: the labels, with a slip now and then."""
    labels = labels_of(case)
    answers = {
        name: {
            "reason": label.why,
            "quote": label.quote or "",
            "turn": -1 if label.turn is None else label.turn,
            "verdict": _other(label.verdict) if draws.random() < _SLIP else label.verdict,
        }
        for name, label in labels.answers.items()
    }
    overview = {
        "summary": "The customer called and the agent answered.",
        "outcome": "The call ended.",
        "action_items": [],
        "resolution": labels.resolution or "unclear",
        "customer_tone": labels.tone.customer or "calm",
        "agent_tone": labels.tone.agent or "professional",
    }
    return json.dumps({"answers": answers, "overview": overview})


def _shown(case: Case) -> tuple[str, ...]:
    turns = ScorecardInputs.model_validate(case.inputs).turns
    return tuple(words for turn in turns if (words := " ".join(turn.text.split())))


def _other(verdict: str) -> str:
    return {"yes": "no", "no": "yes"}.get(verdict, verdict)


def _spoilt(spoil: Spoil) -> Doctor:
    """Return a doctor that rewrites the answers of a reply; a reply that is no JSON stays as it is."""

    def doctor(text: str, case: Case, draws: random.Random) -> str:
        try:
            reply = json.loads(text)
        except json.JSONDecodeError:
            return text
        return json.dumps(reply | {"answers": spoil(reply["answers"], case, draws)})

    return doctor


def _all_yes(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return {name: answer | {"verdict": "yes"} for name, answer in answers.items()}


def _swapped(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return {name: answer | {"verdict": _other(answer["verdict"])} for name, answer in answers.items()}


def _one_form_all_yes(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return _all_yes(answers, case, draws) if form_of(case).form_id == _ONE_FORM else answers


def _one_criterion_reversed(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    form_id, name = _ONE_CRITERION
    if form_of(case).form_id != form_id or name not in answers:
        return answers
    answer = answers[name]
    return answers | {name: answer | {"verdict": _REVERSED[answer["verdict"]]}}


def _customers_words(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote what the customer said; the words are real, and show nothing of what the agent did."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    said = [
        (number, " ".join(turn.text.split()))
        for number, turn in enumerate(turns)
        if turn.speaker == "customer" and len(turn.text.split()) > 2
    ]
    spoilt = dict(answers)
    for name, answer in answers.items():
        if said and answer["quote"]:
            turn, words = draws.choice(said)
            spoilt[name] = answer | {"quote": words, "turn": turn}
    return spoilt


def _lenient(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    required = {criterion.id for criterion in form_of(case).criteria() if criterion.required}
    return {
        name: answer | {"verdict": "yes"} if name in required and answer["verdict"] == "no" else answer
        for name, answer in answers.items()
    }


def _invented(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return {
        name: answer | {"quote": f"{answer['quote']} without fail"} if answer["quote"] else answer
        for name, answer in answers.items()
    }


def _elsewhere(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote another turn of the agent's; the words are real and show nothing."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    spoken = [" ".join(turn.text.split()) for turn in turns if turn.speaker == "agent" and len(turn.text.split()) > 2]
    spoilt = {}
    for name, answer in answers.items():
        others = [words for words in spoken if answer["quote"] not in words]
        spoilt[name] = answer | {"quote": draws.choice(others)} if answer["quote"] and others else answer
    return spoilt


def _first_words(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote the call's first turn for everything: always said, and evidence of hardly anything."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    first = next((" ".join(turn.text.split()) for turn in turns if turn.spoken), "")
    return {name: answer | {"quote": first, "turn": 0} for name, answer in answers.items()}


def _unquoted(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return {name: answer | {"quote": "", "turn": -1} for name, answer in answers.items()}


def _halved(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    return dict(list(answers.items())[: (len(answers) + 1) // 2])


def _chatty(text: str, case: Case, draws: random.Random) -> str:
    return f"Here is the scorecard that you asked for:\n{text}\nLet me know if you need anything else."


def _refuses(text: str, case: Case, draws: random.Random) -> str:
    return _REFUSAL


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
            targets=("kappa", "required_fail_recall"),
            engines=_SOUND,
            doctor=_spoilt(_all_yes),
        ),
        Mutant(
            name="swapped_verdicts",
            does="yes is no and no is yes",
            targets=("kappa",),
            engines=_SOUND,
            doctor=_spoilt(_swapped),
        ),
        Mutant(
            name="lenient",
            does="a failed required criterion is waved through",
            targets=("required_fail_recall",),
            engines=_SOUND,
            doctor=_spoilt(_lenient),
        ),
        Mutant(
            name="one_form_all_yes",
            does="every question of one form is answered yes",
            targets=("kappa_least_form",),
            engines=_SCRIPTED,
            doctor=_spoilt(_one_form_all_yes),
        ),
        Mutant(
            name="one_criterion_reversed",
            does="one criterion of one form is answered the wrong way round",
            targets=("kappa_least_criterion",),
            engines=_SCRIPTED,
            doctor=_spoilt(_one_criterion_reversed),
        ),
        Mutant(
            name="customers_words_as_evidence",
            does="each quote is something that the customer said",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=_spoilt(_customers_words),
        ),
        Mutant(
            name="invented_quotes",
            does="each quote ends in words that nobody said",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=_spoilt(_invented),
        ),
        Mutant(
            name="quotes_from_elsewhere",
            does="each quote is another turn of the agent's",
            targets=("right_turn", "evidence_right"),
            engines=_SOUND,
            doctor=_spoilt(_elsewhere),
        ),
        Mutant(
            name="first_words_as_evidence",
            does="the call's first turn is quoted for everything",
            targets=("evidence_right",),
            engines=_SOUND,
            doctor=_spoilt(_first_words),
        ),
        Mutant(
            name="no_quotes",
            does="nothing is quoted",
            targets=("quotes_verified",),
            engines=_SOUND,
            doctor=_spoilt(_unquoted),
        ),
        Mutant(
            name="half_unanswered",
            does="the second half of the form is left out",
            targets=("schema_valid", "kappa"),
            doctor=_spoilt(_halved),
        ),
        Mutant(
            name="chatty",
            does="prose stands around the answer",
            targets=("schema_valid",),
            doctor=_chatty,
        ),
        Mutant(
            name="refusal",
            does="refuses",
            targets=("answered",),
            doctor=_refuses,
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
