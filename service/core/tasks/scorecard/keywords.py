"""The baseline of the scorecard: answers by matching words, without a model. A model must be better to be worth its price.

A criterion is met if one sentence of the agent holds enough of the criterion's words, with more weight on rarer words; the best
sentence is the quote. A condition applies if any sentence holds enough of its words. It works the same for every form.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.statements.grounding.text import sentences
from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.evidence import LEAST_WORDS
from service.core.tasks.scorecard.form import Criterion
from service.core.tasks.scorecard.reading import (
    MOST_TEXT,
    AgentTone,
    CriterionRating,
    CustomerTone,
    Overview,
    Reading,
    Resolution,
)
from service.core.tasks.scorecard.windows import TranscriptLine, TranscriptPart

MODEL_ID = "local.scorecard-keywords-v1"
# Shares of the total weight of a criterion's words; chosen for the best kappa on the dev cases (docs/decisions/0023).
MET = 0.12
APPLIES = 0.18
# The reasons that it gives; they state nothing of the call.
NOT_SAID = "none of the words of its condition were said"
NOT_ENOUGH = "no turn of the agent carries enough of its words"
MATCHED = "words of the criterion"
_WORD = re.compile(r"[a-z][a-z']+")
# Words that are common in the questions of all forms, and so are not specific to any criterion.
_COMMON = frozenset(
    "a about after again agent all also alone an and any are as ask at be been before both but by call can caller "
    "company could count counts customer did do does done each either first for from give given gave had has have "
    "her him his how if in into is it its later least makes more must name no not of off on once one only or other "
    "out own said say says she should something tell that the their them then there they this to told two under up "
    "was were what when where whether which while who why will with without yes you your".split()
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "ly", "s", "e", "y")
_RESOLVED = re.compile(
    r"\b(?:all set|sorted|is (?:now )?(?:fixed|done|resolved|cancelled|refunded|updated)|that works|perfect|that's done)\b",
    re.I,
)
_ESCALATED = re.compile(
    r"\b(?:transfer(?:ring)? you|put you through|supervisor|escalat\w+|specialist team|back office|raise a ticket)\b",
    re.I,
)
_OPEN = re.compile(r"\b(?:call (?:you )?back|can't|cannot|unable|still not|unfortunately|another day|wait)\b", re.I)
_PROMISE = re.compile(r"\b(?:i'll|i will|we'll|we will|you'll (?:get|receive)|please (?:send|call|check))\b", re.I)
_CUSTOMER_TONES: tuple[tuple[CustomerTone, re.Pattern[str]], ...] = (
    (
        "angry",
        re.compile(r"\b(?:ridiculous|disgusting|furious|unacceptable|useless|lawyer|complain\w*|rip.?off)\b", re.I),
    ),
    (
        "frustrated",
        re.compile(r"\b(?:again|third time|still|keep(?:s)? \w+ing|fed up|nobody|annoy\w*|frustrat\w*)\b", re.I),
    ),
    ("anxious", re.compile(r"\b(?:worried|worry|scared|afraid|anxious|panic\w*|nervous|what if)\b", re.I)),
    ("relieved", re.compile(r"\b(?:relie(?:f|ved)|thank god|phew|lifesaver|weight off)\b", re.I)),
)
_WARM = re.compile(r"\b(?:sorry to hear|understand how|i appreciate|my pleasure|happy to|take care|no worries)\b", re.I)
_CURT = re.compile(r"\b(?:like i said|i already told|that's the policy|calm down|not my|nothing i can do)\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    line: TranscriptLine
    text: str
    words: frozenset[str]


def answer_part(document: object) -> str:
    """Return the answer to one part as JSON, in the schema of a model's answer."""
    assert isinstance(document, TranscriptPart)
    said = [
        _Sentence(line=line, text=sentence.strip(), words=frozenset(_stems(sentence)))
        for line in document.lines
        if line.speaker != "system"
        for sentence in sentences(line.text)
        if sentence.strip()
    ]
    rarity = _rarity(document.criteria)
    answers = {criterion.id: _answer(criterion, said, rarity) for criterion in document.criteria}
    overview = _overview(said) if document.overview else None
    reading = Reading(valid=True, answers=answers, overview=overview).model_dump(mode="json", exclude={"valid"})
    if overview is None:
        del reading["overview"]
    for answer in reading["answers"].values():
        answer["turn"] = -1 if answer["turn"] is None else answer["turn"]
    return _dumps(reading)


def _dumps(reading: dict[str, object]) -> str:
    import json

    return json.dumps(reading, ensure_ascii=False)


def _stems(text: str) -> list[str]:
    # A tag stands for words that are gone: "[name]" does not say "name".
    said = ANY_TAG.sub(" ", text).lower().replace("’", "'")
    return [_stem(word) for word in _WORD.findall(said) if word not in _COMMON]


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _rarity(criteria: Sequence[Criterion]) -> dict[str, float]:
    """Return each word's weight: the more criteria of the form hold it, the lower."""
    counts = Counter(word for item in criteria for word in set(_stems(f"{item.question} {item.guidance}")))
    return {word: math.log(1 + len(criteria) / count) for word, count in counts.items()}


def _answer(criterion: Criterion, said: Sequence[_Sentence], rarity: dict[str, float]) -> CriterionRating:
    if criterion.prose is not None:
        share, _ = _best(_stems(criterion.prose), said, rarity)
        if share < APPLIES:
            return CriterionRating(verdict="na", reason=NOT_SAID)
    agents = [item for item in said if item.line.speaker != "customer"]
    share, best = max(
        (
            _best(_stems(text), agents, rarity)
            for text in (criterion.question, f"{criterion.question} {criterion.guidance}")
        ),
        key=lambda found: found[0],
    )
    if best is None or share < MET:
        return CriterionRating(verdict="no", reason=NOT_ENOUGH)
    return CriterionRating(verdict="yes", reason=MATCHED, quote=_quotable(best), turn=best.line.index)


def _quotable(said: _Sentence) -> str:
    """Return the sentence, or the whole turn if the sentence is too short to be evidence."""
    return said.text if len(said.text.split()) >= LEAST_WORDS else said.line.text[:MOST_TEXT]


def _best(wanted: Sequence[str], said: Sequence[_Sentence], rarity: dict[str, float]) -> tuple[float, _Sentence | None]:
    """Return the largest share of the wanted words' weight in one sentence, and the first sentence that has it."""
    weights = {word: rarity.get(word, 1.0) for word in wanted}
    whole = sum(weights.values())
    if not whole or not said:
        return 0.0, None
    shares = [sum(weights[word] for word in item.words if word in weights) / whole for item in said]
    place = max(range(len(said)), key=lambda index: (shares[index], -index))
    return shares[place], said[place] if shares[place] > 0 else None


def _overview(said: Sequence[_Sentence]) -> Overview:
    agent = " ".join(item.text for item in said if item.line.speaker != "customer")
    customer = " ".join(item.text for item in said if item.line.speaker == "customer")
    first = max(
        (item for item in said[:12] if item.line.speaker == "customer"), key=lambda item: len(item.words), default=None
    )
    promises = [item.text for item in said if item.line.speaker != "customer" and _PROMISE.search(item.text)]
    resolution: Resolution = "unclear"
    for name, pattern in (("resolved", _RESOLVED), ("escalated", _ESCALATED), ("unresolved", _OPEN)):
        if pattern.search(" ".join(item.text for item in said[-12:])):
            resolution = name  # type: ignore[assignment]  # the three names above
            break
    tone: CustomerTone = next((name for name, pattern in _CUSTOMER_TONES if pattern.search(customer)), "calm")
    manner: AgentTone = "curt" if _CURT.search(agent) else "warm" if len(_WARM.findall(agent)) > 1 else "professional"
    return Overview(
        summary=first.text if first is not None else "",
        outcome=promises[-1] if promises else "",
        action_items=tuple(promises[-3:]),
        resolution=resolution,
        customer_tone=tone,
        agent_tone=manner,
    )
