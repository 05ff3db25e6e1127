"""The judges of an evaluation: which can be asked in this environment, their grades, and whether they may gate."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.cases import Case
from eval.judges.grading import (
    GradingQuestion,
    GradingRun,
    Judge,
    load_judge,
    refuse_same_answerer,
    refuse_self_judging,
    rubrics,
)
from eval.judges.labelled_rows import own_digest, source_text
from eval.results import ArmName, CaseResult, JudgeNote, Score
from eval.run.runner import Runner
from eval.scorers.base import unscored
from eval.scorers.judge import JudgeSpec, combine, preference
from eval.suite import Suite
from service.cards import ModelCards
from service.llm.model_call import Gateway
from service.pair import Pair
from service.settings import Settings
from service.task import Task

AnswersByArm = dict[tuple[str, ArmName], list[CaseResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges of a run: those to ask, and a note on each other judge of the suite."""

    asked: tuple[tuple[JudgeSpec, Judge], ...] = ()
    left_out: tuple[JudgeNote, ...] = ()

    @property
    def pairs(self) -> list[Pair]:
        """The judges' pairs, so that the caller can prepare the gateway for them."""
        return [judge.pair for _, judge in self.asked]


def open_panel(suite: Suite, settings: Settings, cards: ModelCards, *, model: str | None) -> Panel:
    """Return the suite's judges whose own models answer in this environment.

    In ``local`` the stand-in would answer for a provider's model, and its grades are meaningless, so such a judge is left out
    unless ``model`` names the judge's model.

    Raises:
        PairError: a judge's file is wrong, or ``model`` has no card.
    """
    asked, left_out = [], []
    there = rubrics(settings)
    for spec in suite.judges:
        if spec.rubric not in there:
            status = f"no judge: prompts/judges/{spec.rubric}.prompty is missing"
            missing = JudgeNote(rubric=spec.rubric, digest="", model="", answered_by="", status=status, gates=False)
            left_out.append(missing)
            continue
        judge = load_judge(spec.rubric, settings=settings, cards=cards, model=model)
        stand_in = settings.environment == "local" and settings.bedrock.endpoint is None
        if model is None and stand_in and cards.get(judge.pair.model).runs == "provider":
            status = f"no judge in this environment: {cards.get(judge.pair.model).short_name} is not reachable"
            left_out.append(_note(judge, "", status, gates=False))
        else:
            asked.append((spec, judge))
    return Panel(asked=tuple(asked), left_out=tuple(left_out))


def check_panel(panel: Panel, pairs: Sequence[Pair]) -> None:
    """Refuse a judge that runs on a model under test.

    Raises:
        ConfigurationError: naming judge, model and pair.
    """
    for _, judge in panel.asked:
        refuse_self_judging(judge, pairs)


def grading_run_of(runner: Runner, gateway: Gateway) -> GradingRun:
    """Return where the judges of ``runner``'s run are asked: through ``gateway``, into the same cache."""
    return GradingRun(
        gateway=gateway,
        cache=runner.cache,
        run_id=runner.run_id,
        concurrency=runner.concurrency,
        fresh=runner.fresh,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedAnswers:
    """Answers with the judges' scores, the suite with their metrics and floors, and a note on every judge."""

    answers: AnswersByArm
    suite: Suite
    notes: tuple[JudgeNote, ...]


def judge_answers(
    panel: Panel,
    bench: GradingRun,
    *,
    pairs: Sequence[Pair],
    task: Task[Any],
    suite: Suite,
    settings: Settings,
    cases: Sequence[Case],
    answers: AnswersByArm,
    production: str | None,
) -> GradedAnswers:
    """Have every judge grade every answer, in this process: judges need the gateway.

    ``production`` is the digest of the pair that pairwise judges compare with; without one they are not asked.

    Raises:
        ConfigurationError: a judge runs on a model of ``pairs``, or what answered as a judge also wrote answers of this run.
    """
    check_panel(panel, pairs)
    by_id = {case.id: case for case in cases}
    wrote = {item.result.answered_by for results in answers.values() for item in results}
    notes, metrics, gating = list(panel.left_out), [], []
    digest = own_digest(task.name, settings)
    for spec, judge in panel.asked:
        if spec.pairwise and production is None:
            notes.append(_note(judge, "", "not asked: no pair is in production to compare with", gates=False))
            continue
        scores, answered_by = asyncio.run(_ask(spec, judge, bench, task, by_id, answers, production))
        for name in answered_by:
            refuse_same_answerer(judge, name, wrote)
        answers = {
            key: [replace(item, scores={**item.scores, spec.score: scores[id(item)]}) for item in results]
            for key, results in answers.items()
        }
        from eval.judges.calibration import (  # brings scipy, so only where a judge was asked
            interval_text,
            load,
            shortfall,
        )

        record = load(settings.state_dir, judge.digest)
        short = shortfall(record, spec, set_digest=digest, max_unscored_rate=suite.max_unscored_rate)
        by = ", ".join(sorted(answered_by))
        if not short and record is not None and record.answered_by != by:
            short = f"calibrated on answers of {record.answered_by}, but {by or 'no model'} answered here"
        metrics.append(spec)
        if short:
            notes.append(_note(judge, by, f"uncalibrated, shown only: {short}", gates=False))
        else:
            assert record is not None
            agreed = f"kappa {interval_text(record.sets[0].kappa)} on n={record.sets[0].n}, {record.date[:10]}"
            gates = spec.floor is not None
            gating += [spec] * gates
            notes.append(_note(judge, by, f"calibrated, {agreed}; {'gates' if gates else 'shown only'}", gates=gates))
    return GradedAnswers(
        answers=answers, suite=suite.judged_by(metrics, gating) if metrics else suite, notes=tuple(notes)
    )


async def _ask(
    spec: JudgeSpec,
    judge: Judge,
    bench: GradingRun,
    task: Task[Any],
    cases: Mapping[str, Case],
    answers: AnswersByArm,
    production: str | None,
) -> tuple[dict[int, Score], set[str]]:
    """Return a score per result (by ``id``), and who answered as the judge."""
    baseline = {item.case_id: item for item in answers.get((production or "", "primary"), [])}
    scores: dict[int, Score] = {}
    asked: list[tuple[Judge, GradingQuestion, int]] = []
    wanted: list[CaseResult] = []
    for item in [item for results in answers.values() for item in results]:
        other = baseline.get(item.case_id)
        if item.result.output is None:
            code = item.result.failure.value if item.result.failure else "no output"
            scores.update({id(item): unscored((spec.score,), f"no answer: {code}")[spec.score]})
            continue
        if spec.pairwise and (other is None or other.result.output is None):
            scores[id(item)] = Score(value=None, unscored="production has no answer to compare with")
            continue
        if spec.pairwise and other is not None and other.result.output == item.result.output:
            scores[id(item)] = Score(value=0.5, rationale="tie: the same text as production's")
            continue
        wanted.append(item)
        source = source_text(task, cases[item.case_id])
        if spec.pairwise and other is not None:
            texts = (item.result.output, other.result.output or "")
            for first, second in (texts, texts[::-1]):
                values = {"source": source, "summary_a": first, "summary_b": second}
                asked.append((judge, GradingQuestion(values=values), item.repeat))
        else:
            question = GradingQuestion(values={"source": source, "summary": item.result.output})
            # Each repeat of a case is a separate answer; the judge's own repeats are numbered consecutively.
            asked += [(judge, question, item.repeat * spec.repeats + again) for again in range(spec.repeats)]
    grades = await bench.ask_all(asked, lambda grade: None)
    size = 2 if spec.pairwise else spec.repeats
    for place, item in enumerate(wanted):
        own = grades[place * size : (place + 1) * size]
        scores[id(item)] = preference(*own) if spec.pairwise else combine(own)
    return scores, {grade.answered_by for grade in grades if grade.answered_by}


def _note(judge: Judge, answered_by: str, status: str, *, gates: bool) -> JudgeNote:
    return JudgeNote(
        rubric=judge.rubric,
        digest=judge.digest,
        model=judge.pair.model,
        answered_by=answered_by,
        status=status,
        gates=gates,
    )
