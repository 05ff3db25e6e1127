"""Says what a calibration will ask before it asks: questions, their price and the time that they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from eval.judges.asking import JudgedText
from eval.judges.jury import Jury
from eval.labels.claims.labels import ClaimLabels
from eval.labels.claims.questions import batches, items_of
from eval.spine.judge_spec import JudgeSpec
from service.core.statements.grounding.sentence import split_sentences
from service.core.unit.cards import ModelCards

_LETTERS_A_TOKEN = 4
_ANSWER_TOKENS = 120  # of a grade with its evidence; a reader's yes or no is one
_ANSWER_S = {
    True: 0.5,
    False: 3.0,
}  # what an answer takes, by whether it is a reader's: assumed, for an order of magnitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one judge will be asked at most: ``questions``, ``cost_usd`` (None: a model without a price) and ``seconds``."""

    rubric: str
    model: str
    questions: int
    cost_usd: Decimal | None
    seconds: float

    def __str__(self) -> str:
        price = "a model without a price" if self.cost_usd is None else f"about ${self.cost_usd:.2f}"
        took = f"{self.seconds / 60:.0f} min" if self.seconds >= 90 else f"{self.seconds:.0f} s"
        return (
            f"judge {self.rubric} on {self.model}: at most {self.questions:,} questions, {price}, about {took}; answers that "
            "are kept cost nothing"
        )


def plan_of(
    spec: JudgeSpec,
    jury: Jury,
    texts: Sequence[JudgedText],
    cards: ModelCards,
    *,
    claims: ClaimLabels | None,
    concurrency: int,
) -> Plan:
    """Return what asking ``jury`` about ``texts`` will take."""
    counts = [_questions(spec, text, claims) for text in texts]
    if spec.reads:
        pairs = {pair for text in texts for pair in _sentences(text)}
        questions, letters = len(pairs), sum(len(document) + len(sentence) for document, sentence in pairs)
    else:
        questions = sum(counts)
        letters = sum(
            count * (len(text.source) + len(text.text) + len(text.other or ""))
            for count, text in zip(counts, texts, strict=True)
        )
    cost, priced = Decimal(0), True
    for judge in jury.judges:
        prices = cards.get(judge.pair.model).prices
        prompt = sum(len(message.content) for message in judge.pair.messages) * questions
        if prices is None:
            priced = False
            continue
        tokens_in = Decimal(letters + prompt) / _LETTERS_A_TOKEN
        tokens_out = Decimal(questions * (1 if spec.reads else _ANSWER_TOKENS))
        cost += (tokens_in * Decimal(str(prices.input)) + tokens_out * Decimal(str(prices.output))) / 1_000_000
    asked = questions * len(jury.judges)
    return Plan(
        rubric=spec.rubric,
        model=jury.model,
        questions=asked,
        cost_usd=cost if priced else None,
        seconds=asked * _ANSWER_S[spec.reads] / concurrency,
    )


def _questions(spec: JudgeSpec, text: JudgedText, claims: ClaimLabels | None) -> int:
    if spec.pairwise:
        return 2 * (text.other is not None)
    if spec.asks_claims:
        return 2 * len(batches(items_of(claims.by_case.get(text.case_id, ()) if claims is not None else ())))
    return spec.repeats


def _sentences(text: JudgedText) -> Sequence[tuple[str, str]]:
    if text.sentences is not None:
        return text.sentences
    return [(sentence, text.source) for sentence in split_sentences(text.text)]
