"""Ways to spoil one good answer about a call: each plants one fault and leaves the rest of the answer alone.

All take the answer, its case and a source of randomness; an answer that is no JSON stays as it is. ``draw_answer`` makes the good
answer itself, from the labels.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from eval.selftest.mutant import Doctor
from eval.spine.cases import Case
from eval.suites.scorecard.labels import form_of, labels_of
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.evidence import find_quote, shared_words
from service.core.tasks.scorecard.reading import AGENT_TONES, CUSTOMER_TONES, RESOLUTIONS

REFUSAL = "I'm sorry, but I cannot rate the work of a person on the basis of this conversation."
_ONE_FORM = "osprey-disputes"
_ONE_CRITERION = ("lindmoor-fraud", "warning")
_REVERSED = {"yes": "no", "no": "yes", "na": "no"}

CriterionAnswers = dict[str, dict[str, Any]]
Spoil = Callable[[CriterionAnswers, Case, random.Random], CriterionAnswers]


def draw_answer(case: Case, draws: random.Random, *, slip: float, short: bool = False) -> str:
    """Return a careful listener's answer: the labels, with another verdict at the rate ``slip``.

    A criterion slips to "na" only where the form gives it a condition, as often as to the other verdict. How the call ended
    and both tones slip at the same rate. With ``short`` quotes are cut to their first six words.
    """
    labels = labels_of(case)
    conditional = {item.id for item in form_of(case).criteria() if item.prose is not None or item.condition is not None}
    answers = {
        name: {
            "reason": label.why,
            "quote": " ".join((label.quote or "").split()[:6]) if short else label.quote or "",
            "turn": -1 if label.turn is None else label.turn,
            "verdict": _another(label.verdict, name in conditional, draws) if draws.random() < slip else label.verdict,
        }
        for name, label in labels.answers.items()
    }
    overview = {
        "summary": "The customer called and the agent answered.",
        "outcome": "The call ended.",
        "action_items": [],
        "resolution": _slipped(labels.resolution or "unclear", RESOLUTIONS, draws, slip),
        "customer_tone": _slipped(labels.tone.customer or "calm", CUSTOMER_TONES, draws, slip),
        "agent_tone": _slipped(labels.tone.agent or "professional", AGENT_TONES, draws, slip),
    }
    return json.dumps({"answers": answers, "overview": overview})


def _slipped(right: str, words: Sequence[str], draws: random.Random, slip: float) -> str:
    return draws.choice([word for word in words if word != right]) if draws.random() < slip else right


def _another(verdict: str, conditional: bool, draws: random.Random) -> str:
    """Return another verdict that the criterion may have."""
    return draws.choice([other for other in ("yes", "no", "na") if other != verdict and (conditional or other != "na")])


def _other(verdict: str) -> str:
    return {"yes": "no", "no": "yes"}.get(verdict, verdict)


def spoilt(spoil: Spoil) -> Doctor:
    """Return a doctor that rewrites the answers of a reply; a reply that is no JSON stays as it is."""

    def doctor(text: str, case: Case, draws: random.Random) -> str:
        try:
            reply = json.loads(text)
        except json.JSONDecodeError:
            return text
        return json.dumps(reply | {"answers": spoil(reply["answers"], case, draws)})

    return doctor


def all_yes(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer every question yes."""
    return {name: answer | {"verdict": "yes"} for name, answer in answers.items()}


def swapped(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer no for yes and yes for no."""
    return {name: answer | {"verdict": _other(answer["verdict"])} for name, answer in answers.items()}


def one_form_all_yes(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer every question of one form yes."""
    return all_yes(answers, case, draws) if form_of(case).form_id == _ONE_FORM else answers


def one_criterion_reversed(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer one criterion of one form the wrong way round."""
    form_id, name = _ONE_CRITERION
    if form_of(case).form_id != form_id or name not in answers:
        return answers
    answer = answers[name]
    return answers | {name: answer | {"verdict": _REVERSED[answer["verdict"]]}}


def customers_words(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
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


def lenient(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Wave a failed required criterion through."""
    required = {criterion.id for criterion in form_of(case).criteria() if criterion.required}
    return {
        name: answer | {"verdict": "yes"} if name in required and answer["verdict"] == "no" else answer
        for name, answer in answers.items()
    }


def invented(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """End each quote in words that nobody said."""
    return {
        name: answer | {"quote": f"{answer['quote']} without fail"} if answer["quote"] else answer
        for name, answer in answers.items()
    }


def emptiest(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote the four words of the right turn that share least with the quote; of several, the shortest ones."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    spoilt = dict(answers)
    for name, answer in answers.items():
        if not answer["quote"] or answer["turn"] < 0:
            continue
        text = turns[answer["turn"]].text
        words = text.split()
        fours = [" ".join(words[at : at + 4]) for at in range(len(words) - 3)]
        found = [four for four in fours if find_quote(four, 0, [turns[answer["turn"]]]).status == "verified"]
        least = min(found, key=lambda four: (shared_words(text, four, answer["quote"]), len(four)), default=None)
        spoilt[name] = answer | {"quote": least or answer["quote"]}
    return spoilt


def unexplained(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Give no reason for any verdict."""
    return {name: answer | {"reason": ""} for name, answer in answers.items()}


def elsewhere(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote another turn of the agent's; the words are real and show nothing."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    spoken = [" ".join(turn.text.split()) for turn in turns if turn.speaker == "agent" and len(turn.text.split()) > 2]
    spoilt = {}
    for name, answer in answers.items():
        others = [words for words in spoken if answer["quote"] not in words]
        spoilt[name] = answer | {"quote": draws.choice(others)} if answer["quote"] and others else answer
    return spoilt


def first_words(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote the call's first turn for everything: always said, and evidence of hardly anything."""
    turns = ScorecardInputs.model_validate(case.inputs).turns
    first = next((" ".join(turn.text.split()) for turn in turns if turn.spoken), "")
    return {name: answer | {"quote": first, "turn": 0} for name, answer in answers.items()}


def unquoted(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Quote nothing."""
    return {name: answer | {"quote": "", "turn": -1} for name, answer in answers.items()}


def halved(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Leave out the second half of the form."""
    return dict(list(answers.items())[: (len(answers) + 1) // 2])


def chatty(text: str, case: Case, draws: random.Random) -> str:
    """Put prose around the answer."""
    return f"Here is the scorecard that you asked for:\n{text}\nLet me know if you need anything else."


def refuses(text: str, case: Case, draws: random.Random) -> str:
    """Refuse."""
    return REFUSAL


def strict(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer no to what was done."""
    return {
        name: answer | {"verdict": "no"} if answer["verdict"] == "yes" else answer for name, answer in answers.items()
    }


def excused(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Call what failed not applicable, so that it leaves the score."""
    return {
        name: answer | {"verdict": "na"} if answer["verdict"] == "no" else answer for name, answer in answers.items()
    }


def one_verdict_changed(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer one criterion of the call the other way round."""
    name = draws.choice(sorted(answers))
    return answers | {name: answers[name] | {"verdict": _REVERSED[answers[name]["verdict"]]}}


def obeys_orders(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Answer everything yes where somebody in the call orders the machine to."""
    return all_yes(answers, case, draws) if case.slices.get("injection") is True else answers


def wrong_resolution(text: str, case: Case, draws: random.Random) -> str:
    """Say that the call ended otherwise than it did."""
    return _overview(text, draws, {"resolution": RESOLUTIONS})


def wrong_tones(text: str, case: Case, draws: random.Random) -> str:
    """Give customer and agent another tone."""
    return _overview(text, draws, {"customer_tone": CUSTOMER_TONES, "agent_tone": AGENT_TONES})


def invented_action(text: str, case: Case, draws: random.Random) -> str:
    """Add a promise that nobody made."""
    return _rewritten(text, {"action_items": ["The agent will pay a refund of 250 into the account by Friday."]})


def false_summary(text: str, case: Case, draws: random.Random) -> str:
    """Summarise another call."""
    return _rewritten(
        text, {"summary": "The customer cancelled the contract, and the agent confirmed the cancellation."}
    )


def unfounded_reasons(answers: CriterionAnswers, case: Case, draws: random.Random) -> CriterionAnswers:
    """Give each verdict the reason of the opposite one."""
    why = {"yes": "The agent never does this.", "no": "The agent does exactly this.", "na": "It was due and was done."}
    return {name: answer | {"reason": why[answer["verdict"]]} for name, answer in answers.items()}


def _overview(text: str, draws: random.Random, words: dict[str, tuple[Any, ...]]) -> str:
    try:
        said = json.loads(text)["overview"]
    except (json.JSONDecodeError, KeyError):
        return text
    return _rewritten(
        text, {name: draws.choice([word for word in known if word != said[name]]) for name, known in words.items()}
    )


def _rewritten(text: str, fields: dict[str, Any]) -> str:
    try:
        reply = json.loads(text)
    except json.JSONDecodeError:
        return text
    return json.dumps(reply | {"overview": reply["overview"] | fields}) if "overview" in reply else text
