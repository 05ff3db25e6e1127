"""Asks a jury about texts: grades, preferences in both orders, or labelled claims, and returns a score for each text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from eval.judges.grading import GradingQuestion, GradingRun, Judge
from eval.judges.jury import Jury, agreed_scores
from eval.judges.reading import SentenceRead, agreed, read_answer, score_of
from eval.labels.claims.answers import ItemAnswer, read_answers
from eval.labels.claims.labels import ClaimLabels
from eval.labels.claims.questions import ClaimItem, batches, items_of, items_text
from eval.labels.claims.verdicts import CRITICAL, STATED, scores_of, settle
from eval.spine.accounts import SentenceReading
from eval.spine.judge_spec import JudgeSpec, combine, preference
from eval.spine.results import Score
from eval.spine.scorer import unscored
from service.core.statements.grounding.sentence import split_sentences
from service.kit.frame.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedText:
    """A text about a case's ``source``. ``other`` is what a pairwise judge compares it with; ``repeat`` counts from 0.

    ``sentences`` are what a reader reads, each with its document; None: all of the text against the source.
    """

    case_id: str
    text: str
    source: str
    other: str | None = None
    repeat: int = 0
    sentences: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedScores:
    """The jury's scores of one text by name, each judge's own main score, the names of what answered, and a reader's readings."""

    scores: dict[str, Score]
    by_judge: tuple[Score, ...]
    answered_by: frozenset[str]
    readings: tuple[SentenceRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """One jury with what it needs for asking; ``claims`` are the task's, for a judge that asks about them."""

    spec: JudgeSpec
    jury: Jury
    bench: GradingRun
    claims: ClaimLabels | None = None
    progress: Callable[[JudgedScores], None] = field(default=lambda _: None)

    async def ask(self, texts: Sequence[JudgedText]) -> list[JudgedScores]:
        """Return the scores of all texts, in order."""

        async def one(text: JudgedText) -> JudgedScores:
            if self.spec.reads:
                judged = await self._sentences(text)
                self.progress(judged)
                return judged
            found, names = [], set[str]()
            for judge in self.jury.judges:
                scores, answered_by = await self._ask_one(judge, text)
                found.append(scores)
                names |= answered_by
            judged = JudgedScores(
                scores=agreed_scores(found, self.jury, self.spec),
                by_judge=tuple(scores[self.spec.score] for scores in found),
                answered_by=frozenset(names),
            )
            self.progress(judged)
            return judged

        return await self.bench.each([partial(one, text) for text in texts])

    async def _ask_one(self, judge: Judge, text: JudgedText) -> tuple[dict[str, Score], set[str]]:
        if self.spec.asks_claims:
            return await self._about_claims(judge, text)
        if self.spec.pairwise:
            return await self._in_both_orders(judge, text)
        whole = self.spec.conversations
        values = {"conversation": text.text} if whole else {"source": text.source, "summary": text.text}
        question = GradingQuestion(values=values)
        # Each repeat of a case is a separate answer; the judge's own repeats are numbered consecutively.
        first = text.repeat * self.spec.repeats
        grades = [await self.bench.ask(judge, question, first + again) for again in range(self.spec.repeats)]
        return {self.spec.score: combine(grades)}, {grade.answered_by for grade in grades if grade.answered_by}

    async def _sentences(self, text: JudgedText) -> JudgedScores:
        """Return what the jury's readers say of each sentence; the same sentence of the same source is asked about once."""
        asked = text.sentences
        if asked is None:
            asked = tuple((sentence, text.source) for sentence in split_sentences(text.text))
        by_judge, names = [], set[str]()
        for judge in self.jury.judges:
            readings = []
            for sentence, document in asked:
                question = GradingQuestion(values={"document": document, "claim": sentence})
                try:
                    reply = await self.bench.reply(judge, question)
                except ModelError as err:
                    said: tuple[SentenceReading, str] = ("undecided", f"the reader did not answer: {err.code.value}")
                else:
                    said = read_answer(reply.text)
                    names |= {reply.answered_by} - {""}
                readings.append(SentenceRead(sentence=sentence, reading=said[0], why=said[1]))
            by_judge.append(readings)
        readings = agreed(by_judge)
        limit = self.spec.max_undecided
        return JudgedScores(
            scores={self.spec.score: score_of(readings, max_undecided=limit)},
            by_judge=tuple(score_of(one, max_undecided=limit) for one in by_judge),
            answered_by=frozenset(names),
            readings=tuple(readings),
        )

    async def _in_both_orders(self, judge: Judge, text: JudgedText) -> tuple[dict[str, Score], set[str]]:
        if text.other is None:
            return unscored((self.spec.score,), "there is no other text to compare with"), set()
        grades = []
        for first, second in ((text.text, text.other), (text.other, text.text)):
            values = {"source": text.source, "summary_a": first, "summary_b": second}
            grades.append(await self.bench.ask(judge, GradingQuestion(values=values), text.repeat))
        names = {grade.answered_by for grade in grades if grade.answered_by}
        return {self.spec.score: preference(*grades)}, names

    async def _about_claims(self, judge: Judge, text: JudgedText) -> tuple[dict[str, Score], set[str]]:
        items = items_of(self.claims.by_case.get(text.case_id, ()) if self.claims is not None else ())
        if not items:
            return unscored(self.spec.scores, f"case {text.case_id} has no labelled claims"), set()
        verdicts, names = [], set[str]()
        for batch in batches(items):
            orders = []
            for swapped in (False, True):
                answers, answered_by = await self._items(judge, text, batch, swapped=swapped)
                orders.append(answers)
                names |= answered_by
            verdicts += [
                settle(item, (orders[0].get(number), orders[1].get(number)), text.text)
                for number, item in enumerate(batch, start=1)
            ]
        scores = scores_of(verdicts, score=self.spec.score, max_undecided=self.spec.max_undecided)
        return {name: scores[name] for name in (self.spec.score, STATED, CRITICAL)}, names

    async def _items(
        self, judge: Judge, text: JudgedText, batch: Sequence[ClaimItem], *, swapped: bool
    ) -> tuple[dict[int, ItemAnswer], set[str]]:
        """Return the answers to one question by item; none where the judge did not answer."""
        values = {"summary": text.text, "items": items_text(batch, swapped=swapped)}
        try:
            reply = await self.bench.reply(judge, GradingQuestion(values=values), text.repeat)
        except ModelError:
            return {}, set()
        return read_answers(reply.text, len(batch)), {reply.answered_by} - {""}
