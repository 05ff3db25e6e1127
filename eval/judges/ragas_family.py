"""Ragas as a family of judges (``omni eval --with ragas``): asks its metrics about every answer, shows them, never gates."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from eval.judges.grading import GradingRun, Judge, load_judge, refuse_same_answerer, refuse_self_judging
from eval.judges.labelled_rows import source_text
from eval.judges.panel import GradedAnswers
from eval.run.reply_cache import CachingGateway
from eval.scorers.ragas import RagasJudge, RagasTextScorer, require_ragas
from eval.spine.cases import Case
from eval.spine.results import CaseResult, JudgeNote, Score
from eval.spine.scorer import ScorerContext, safe_score, unscored
from eval.spine.suite import MetricSpec
from eval.suites import load_case_rules
from figures.metric import Unit
from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

NAME = "ragas"
_RUBRIC = "faithfulness"  # whose model is asked unless --judge-model names another
_QUESTION = "What has happened in this customer's matter, and what is still open?"
_BY_MODEL = ("ragas_faithfulness", "ragas_factual_correctness", "ragas_context_precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class RagasFamily:
    """Ragas' metrics for one run; without ``judge`` those that ask a model are left out, and ``why_not`` says why."""

    judge: Judge | None
    why_not: str = ""

    @property
    def pairs(self) -> list[Pair]:
        """The judge's pair, so that the caller can prepare the gateway for it."""
        return [] if self.judge is None else [self.judge.pair]


def open_ragas(
    families: Sequence[str], settings: Settings, cards: ModelCards, pairs: Sequence[Pair], *, model: str | None
) -> RagasFamily | None:
    """Return the family if ``families`` names it.

    In ``local`` the stand-in would answer for a provider's model, so only ``model`` makes it ask one there, as for all judges.

    Raises:
        ConfigurationError: an unknown family, ragas is not installed, or its model is one of ``pairs``.
        PairError: ``model`` has no card.
    """
    unknown = sorted(set(families) - {NAME})
    if unknown:
        raise ConfigurationError(f"--with {', '.join(unknown)}: no such family of judges; there is {NAME}")
    if NAME not in families:
        return None
    require_ragas()
    first = model.split(",")[0].strip() if model else None  # a jury of two is the suite's own judges' affair
    judge = load_judge(_RUBRIC, settings=settings, cards=cards, model=first)
    judge = replace(judge, pair=replace(judge.pair, name=NAME))
    card = cards.get(judge.pair.model)
    stand_in = settings.environment == "local" and settings.bedrock.endpoint is None
    if model is None and stand_in and card.replaced_locally:
        return RagasFamily(judge=None, why_not=f"{card.short_name} is not reachable in this environment")
    refuse_self_judging(judge, pairs)
    return RagasFamily(judge=judge)


def add_ragas(
    family: RagasFamily, graded: GradedAnswers, bench: GradingRun, *, task: Task[Any], cases: Sequence[Case]
) -> GradedAnswers:
    """Return ``graded`` with ragas' scores of every answer, their metrics in the suite, and a note; nothing gates on them.

    Raises:
        ConfigurationError: what answered as ragas' model also wrote answers of this run.
    """
    by_id = {case.id: case for case in cases}
    items = [item for results in graded.answers.values() for item in results]
    scores = {id(item): _text_scores(item, by_id[item.case_id], task) for item in items}
    answered_by: set[str] = set()
    if family.judge is not None:
        asked = asyncio.run(_ask_all(family.judge, items, by_id, task, bench, answered_by))
        for item, found in zip(items, asked, strict=True):
            scores[id(item)] |= found
        wrote = {name for item in items for name in item.result.answerers}
        for name in answered_by:
            refuse_same_answerer(family.judge, name, wrote)
    names = [*RagasTextScorer.scores, *(_BY_MODEL if family.judge is not None else ())]
    metrics = tuple(
        MetricSpec(name=name, kind="judge" if name in _BY_MODEL else "mean", score=name, unit=Unit.RATE)
        for name in names
    )
    suite = graded.suite
    return GradedAnswers(
        answers={
            key: [replace(item, scores={**item.scores, **scores[id(item)]}) for item in results]
            for key, results in graded.answers.items()
        },
        suite=replace(
            suite, metrics=suite.metrics + metrics, table=(*suite.table, *names), declared_digest=suite.digest
        ),
        notes=(*graded.notes, _note(family, answered_by)),
    )


def _text_scores(item: CaseResult, case: Case, task: Task[Any]) -> dict[str, Score]:
    context = ScorerContext(
        case=case,
        inputs=task.input_model.model_validate(case.inputs),
        result=item.result,
        output=item.result.output or "",
    )
    return safe_score(_text_scorer(), context)


_made: list[RagasTextScorer] = []


def _text_scorer() -> RagasTextScorer:
    if not _made:  # importing ragas takes seconds
        _made.append(RagasTextScorer())
    return _made[0]


async def _ask_all(
    judge: Judge,
    items: Sequence[CaseResult],
    cases: dict[str, Case],
    task: Task[Any],
    bench: GradingRun,
    answered_by: set[str],
) -> list[dict[str, Score]]:
    limit = asyncio.Semaphore(bench.concurrency)
    passages = load_case_rules(task.name).passages

    async def one(item: CaseResult) -> dict[str, Score]:
        if item.result.output is None:
            code = item.result.failure.value if item.result.failure else "no output"
            return unscored(_BY_MODEL, f"no answer: {code}")
        case, output = cases[item.case_id], item.result.output
        cached = CachingGateway(
            bench.gateway,
            bench.cache,
            bench.run_id,
            f"{NAME}-{version(NAME)}",
            case.inputs_digest,
            item.repeat,
            bench.fresh,
        )
        ragas = RagasJudge(_Heard(cached, answered_by), judge.pair.model)
        reference = next(iter(case.expectations.references), None)
        seen = passages(task.input_model.model_validate(case.inputs))
        async with limit:
            return {
                "ragas_faithfulness": await ragas.faithfulness(
                    question=_QUESTION, output=output, source=source_text(task, case)
                ),
                "ragas_factual_correctness": Score(value=None, unscored="the case has no references")
                if reference is None
                else await ragas.factual_correctness(output=output, reference=reference),
                "ragas_context_precision": await ragas.context_precision(
                    question=_QUESTION,
                    output=output,
                    contexts=[passage.text for passage in seen if passage.visible],
                    reference=reference,
                ),
            }

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True)
class _Heard:
    """A gateway that notes who answered."""

    inner: Gateway
    answered_by: set[str]

    async def complete(self, call: ModelCall) -> ModelReply:
        reply = await self.inner.complete(call)
        self.answered_by.add(reply.answered_by)
        return reply


def _note(family: RagasFamily, answered_by: set[str]) -> JudgeNote:
    status = f"ragas {version(NAME)}, shown only: no labels say how far its grades can be trusted"
    if family.judge is None:
        status = f"ragas {version(NAME)}, overlap only: {family.why_not}"
    return JudgeNote(
        rubric=NAME,
        digest="" if family.judge is None else family.judge.digest,
        model="" if family.judge is None else family.judge.pair.model,
        answered_by=", ".join(sorted(answered_by)),
        status=status,
        gates=False,
    )
