"""Asks a jury about labelled rows, several times each, and measures its agreement with the labels."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from eval.judges.asking import Asker, JudgedScores, JudgedText
from eval.judges.calibration import Agreement, Labelled, agreement, rate
from eval.judges.contrasts import objection
from eval.judges.grading import GradingQuestion, Judge
from eval.judges.labelled_rows import CALIBRATION_SET, OwnRows, PublicRow, source_text
from eval.run.progress import count_lines
from eval.spine.cases import Case
from eval.spine.judge_spec import Grade, JudgeSpec, preference
from service.core.run.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledAsker:
    """Asks ``repeats`` times about each row; ``reasons`` collects why answers have no verdict, ``names`` what answered."""

    asker: Asker
    repeats: int
    reasons: list[str | None] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def own(self, task: Task[Any], own: OwnRows) -> Agreement:
        """Measure on the task's own calibration rows; defects of other rubrics are only counted by kind."""
        spec = self.asker.spec
        sources = {case_id: source_text(task, case) for case_id, case in own.cases.items()}
        if spec.pairwise:
            return self.pairs(CALIBRATION_SET, _own_pairs(spec, own, sources), own.digest)
        texts = own_texts(spec, task, own)
        labelled = [
            Labelled(row_id=row.id, group=row.case_id, good=row.label == "good", kind=row.kind, votes=votes)
            for row, votes in zip(own.rows, self.votes(texts, CALIBRATION_SET), strict=True)
        ]
        concerned = [row for row in labelled if row.kind is None or row.kind in spec.bad_kinds]
        others = [row for row in labelled if row not in concerned]
        return agreement(concerned, set_name=CALIBRATION_SET, set_digest=own.digest, others=others)

    def rows(self, name: str, rows: Sequence[PublicRow], digest: str) -> Agreement:
        """Measure on texts that are judged one by one."""
        texts = [JudgedText(case_id=row.row_id, text=row.summary, source=row.source) for row in rows]
        labelled = [
            Labelled(row_id=row.row_id, group=row.group, good=row.good, kind=None if row.good else "bad", votes=votes)
            for row, votes in zip(rows, self.votes(texts, name), strict=True)
        ]
        return agreement(labelled, set_name=name, set_digest=digest)

    def votes(self, texts: Sequence[JudgedText], title: str) -> list[tuple[bool | None, ...]]:
        """Return, for each text, whether the jury calls it good, ``repeats`` times; None where it gives no verdict."""
        spec = self.asker.spec
        asked = [
            JudgedText(case_id=text.case_id, text=text.text, source=text.source, repeat=repeat)
            for repeat in range(self.repeats)
            for text in texts
        ]
        line = counting(f"judge {spec.rubric} on {title}", len(asked))
        found = asyncio.run(
            Asker(
                spec=spec,
                jury=self.asker.jury,
                bench=self.asker.bench,
                claims=self.asker.claims,
                progress=lambda judged: line(judged.scores[spec.score].unscored is not None),
            ).ask(asked)
        )
        self.note(found)
        objections = [objection(item.scores[spec.score], spec) for item in found]
        good = [None if objects is None else not objects for objects in objections]
        return [tuple(good[place :: len(texts)]) for place in range(len(texts))]

    def note(self, found: Sequence[JudgedScores]) -> None:
        """Collect what answered, and why scores are missing."""
        self.reasons.extend(item.scores[self.asker.spec.score].unscored for item in found)
        self.names.update(name for item in found for name in item.answered_by)

    def pairs(self, name: str, rows: Sequence[PublicRow], digest: str) -> Agreement:
        """Compare each better text with its worse one in both orders.

        The vote is on the text that was shown as ``a``; each order is one row, so half of the labels are good and a judge
        that always prefers the first text has kappa 0.
        """
        questions = [
            GradingQuestion(values={"source": row.source, "summary_a": first, "summary_b": second})
            for row in rows
            for first, second in ((row.summary, row.other or ""), (row.other or "", row.summary))
        ]
        answers = self._grades(questions, name)
        labelled, same = [], []
        for place, row in enumerate(rows):
            orders = answers[2 * place : 2 * place + 2]
            for good, repeats in zip((True, False), orders, strict=True):
                labelled.append(
                    Labelled(
                        row_id=row.row_id,
                        group=row.group,
                        good=good,
                        kind=None if good else "worse shown first",
                        votes=tuple(_vote(grades) for grades in repeats),
                    )
                )
            judges = range(len(self.asker.jury.judges))
            scores = {preference(orders[0][0][judge], orders[1][0][judge]).value for judge in judges}
            same.append(len(scores) == 1 and scores <= {0.0, 1.0})
        return agreement(labelled, set_name=name, set_digest=digest, swap_agreement=rate(labelled[::2], same))

    def _grades(self, questions: Sequence[GradingQuestion], title: str) -> list[list[list[Grade]]]:
        """Return, for each question and each repeat, a grade per judge."""
        judges, bench = self.asker.jury.judges, self.asker.bench
        asked = [(question, repeat) for repeat in range(self.repeats) for question in questions]
        line = counting(f"judge {self.asker.spec.rubric} on {title}", len(asked) * len(judges))

        async def one(judge: Judge, question: GradingQuestion, repeat: int) -> Grade:
            grade = await bench.ask(judge, question, repeat)
            line(grade.unscored is not None)
            return grade

        grades = asyncio.run(bench.each([partial(one, judge, *item) for item in asked for judge in judges]))
        self.reasons.extend(grade.unscored for grade in grades)
        self.names.update(grade.answered_by for grade in grades if grade.answered_by)
        together = [grades[start : start + len(judges)] for start in range(0, len(grades), len(judges))]
        return [together[place :: len(questions)] for place in range(len(questions))]


def _vote(grades: Sequence[Grade]) -> bool | None:
    """Return the verdict that all judges share, None without one."""
    votes = {grade.good for grade in grades}
    return votes.pop() if len(votes) == 1 else None


def own_texts(spec: JudgeSpec, task: Task[Any], own: OwnRows) -> list[JudgedText]:
    """Return the texts of the calibration rows; for a pairwise judge each defect beside its good counterpart."""
    sources = sources_of(task, list(own.cases.values()))
    if spec.pairwise:
        return [
            JudgedText(case_id=row.row_id, text=row.summary, source=row.source, other=row.other)
            for row in _own_pairs(spec, own, sources)
        ]
    return [JudgedText(case_id=row.case_id, text=row.summary, source=sources[row.case_id]) for row in own.rows]


def _own_pairs(spec: JudgeSpec, own: OwnRows, sources: dict[str, str]) -> list[PublicRow]:
    by_id = {row.id: row for row in own.rows}
    return [
        PublicRow(
            row_id=row.id,
            group=row.case_id,
            source=sources[row.case_id],
            summary=by_id[row.pair_id].summary,
            other=row.summary,
        )
        for row in own.rows
        if row.kind in spec.bad_kinds and row.pair_id in by_id
    ]


def counting(title: str, total: int) -> Callable[[bool], None]:
    """Return a function to call after each answer, which prints on standard error how far they are."""
    missing, line = 0, count_lines(title, total)

    def count(without_verdict: bool) -> None:
        nonlocal missing
        missing += without_verdict
        line(f"{missing} unscored")

    return count


def sources_of(task: Task[Any], cases: Sequence[Case]) -> dict[str, str]:
    """Return each case's source by its id."""
    return {case.id: source_text(task, case) for case in cases}
