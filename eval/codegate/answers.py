"""Answers the gate's cases with one checkout's code: a pair's own answers, and what the service shows of scripted ones."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from eval.run.loaders import load_gate
from eval.run.models import RunModels
from eval.run.reply_cache import ReplyCache
from eval.run.runner import PATIENCE, ArmJob, Runner
from eval.run.spending import Spending
from eval.selftest.gateways import FaultyGateway, ScriptedGateway, by_document
from eval.selftest.mutant import Mutant, MutantPlan
from eval.selftest.mutants import load_plan
from eval.spine.cases import Case
from eval.spine.results import ArmName
from eval.suites import load_suite
from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.llm.model_call import Gateway
from service.core.run.task import Task, TaskContext, TaskResult, load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.core.unit.pair_file.artifacts import open_artifacts
from service.kit.settings import Settings

ANSWERS, SHOWN_GOOD, SHOWN_BAD = "answers", "good answers shown", "planted faults shown"
ABORTED = 3  # exit code of a side that ended itself, such as at the end of its budget: that says nothing of its code
_SEED = 1
_AT_A_TIME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCase:
    """One answer to one case; cases of two checkouts are the same if their inputs are."""

    case_id: str
    inputs_digest: str
    repeat: int
    result: TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SideAnswers:
    """The answers of one checkout, by part of the check, and what its live calls cost.

    ``asked`` are the cases of each part by id with their inputs' digest, also those that have no answer. ``faults`` names the
    planted faults in ``SHOWN_BAD``.
    """

    task: str
    pair: str
    parts: dict[str, list[AnsweredCase]]
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    spent_usd: Decimal = Decimal(0)


SIDE_ANSWERS: TypeAdapter[SideAnswers] = TypeAdapter(SideAnswers)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPair:
    """The task's pair to ask: the file ``name`` of each checkout, or ``content``, which is the same for both.

    ``budget_usd`` is what the pair's live calls may cost; None: no limit. ``faults`` are the planted faults by name, in the order
    in which the cases take turns with them; None: all that this checkout plants.
    """

    task: str
    name: str
    content: Mapping[str, Any] | None = None
    budget_usd: Decimal | None = None
    faults: tuple[str, ...] | None = None


ASKED_PAIR: TypeAdapter[AskedPair] = TypeAdapter(AskedPair)


def answer_cases(asked: AskedPair, settings: Settings) -> SideAnswers:
    """Answer the gate's cases with the code of this checkout.

    Besides the pair's own answers these are what the service would show of scripted ones: good answers, which its guard must
    let through, and answers with planted faults. A pair that is code never meets the guard. Of a task whose cases are played out
    there are its own answers alone: a scripted answer to one request says nothing about a conversation.

    Raises:
        PairError, CaseError, ConfigurationError: something is missing or wrong.
        RunAborted: the budget does not cover the calls.
    """
    task = load_task(asked.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    suite = load_suite(asked.task)
    cases = load_gate(suite, input_model=suite.case_model(task.input_model), settings=settings).cases
    if asked.content is None:
        pair = _read(task, asked.name, cards, settings)
    else:
        pair = open_artifacts(Pair.from_content(asked.content), settings.prompts_dir / asked.task)
    # Without a limit what is spent is not counted: a model without a price could not be asked then.
    spending = None if asked.budget_usd is None else Spending(limit_usd=asked.budget_usd, cards=cards)
    parts = _own_answers(task, pair, cards, cases, settings, spending)
    all_cases = {case.id: case.inputs_digest for case in cases}
    spent_usd = Decimal(0) if spending is None else spending.spent_usd
    if suite.episode is not None:
        asked_of = dict.fromkeys(parts, all_cases)
        return SideAnswers(task=asked.task, pair=pair.name, parts=parts, asked=asked_of, spent_usd=spent_usd)
    plan = load_plan(asked.task)
    planted = planted_faults(plan.mutants)
    names = tuple(planted) if asked.faults is None else asked.faults
    scripted = _Scripted(task, plan, replace(_read(task, plan.pairs["scripted"], cards, settings), backup=None), cards)
    parts[SHOWN_GOOD] = asyncio.run(scripted.shown(cases, ()))
    faults = [planted.get(name) for name in names]
    parts[SHOWN_BAD] = asyncio.run(scripted.shown(cases, faults))
    unknown = {case.id for number, case in enumerate(cases) if faults and faults[number % len(faults)] is None}
    met = dict.fromkeys(parts, all_cases)
    met[SHOWN_BAD] = {name: digest for name, digest in all_cases.items() if name not in unknown}
    return SideAnswers(
        task=asked.task,
        pair=pair.name,
        parts=parts,
        asked=met,
        faults=names,
        spent_usd=spent_usd,
    )


def planted_faults(mutants: Iterable[Mutant]) -> dict[str, Mutant]:
    """Return by name the faults that a scripted answer can show and only the guard stops."""
    return {
        fault.name: fault
        for fault in mutants
        if fault.doctor and "scripted" in fault.engines and not (fault.blind or fault.plant)
    }


def _read(task: Task[Any], name: str, cards: ModelCards, settings: Settings) -> Pair:
    path = settings.prompts_dir / task.name / f"{name}.prompty"
    return load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)


def _own_answers(
    task: Task[Any],
    pair: Pair,
    cards: ModelCards,
    cases: Sequence[Case],
    settings: Settings,
    spending: Spending | None,
) -> dict[str, list[AnsweredCase]]:
    arms: tuple[ArmName, ...] = ("primary", "backup") if pair.has_backup else ("primary",)
    found: dict[str, list[AnsweredCase]] = {}
    digests = {case.id: case.inputs_digest for case in cases}
    with ExitStack() as stack:
        models = RunModels(stack, cards, settings, task, spending)
        runner = Runner(
            task=task,
            gateway=models.gateway([pair]),
            cards=cards,
            cache=stack.enter_context(closing(ReplyCache(settings.state_dir / "calls"))),
            run_id="code-gate",
            concurrency=_AT_A_TIME,
            make_ready=models.make_ready,
            server_died=models.died,
            documents=KnowledgeIndexes.of(settings),
            episode=load_suite(task.name).episode,
        )
        for arm in arms:
            job = ArmJob(pair=pair, arm=arm, cases=tuple(cases), repeats=load_suite(task.name).least_repeats)
            answered = asyncio.run(runner.run(job, lambda _item, _s: None))
            found[ANSWERS if arm == "primary" else f"{ANSWERS} of the backup"] = [
                AnsweredCase(
                    case_id=item.case_id,
                    inputs_digest=digests[item.case_id],
                    repeat=item.repeat,
                    result=item.result,
                )
                for item in answered
            ]
    return found


class _Scripted:
    """Serves scripted answers the way the service does: output rules, guard, one repair, and the task's own fallback."""

    def __init__(self, task: Task[Any], plan: MutantPlan, pair: Pair, cards: ModelCards) -> None:
        self._task, self._plan, self._pair, self._cards = task, plan, pair, cards

    async def shown(self, cases: Sequence[Case], faults: Sequence[Mutant | None]) -> list[AnsweredCase]:
        """Return what is shown of each case's answer, with one of ``faults`` after the other planted in it.

        A case whose turn is None, a fault that this checkout does not know, is left out.
        """
        known = by_document(cases, cases, self._documents)
        good = ScriptedGateway(self._plan, known, seed=_SEED, answered_by="scripted")
        spoilt: list[Gateway | None] = [
            None if fault is None else FaultyGateway(good, fault, known, seed=_SEED) for fault in faults
        ]
        at_a_time = asyncio.Semaphore(_AT_A_TIME)

        async def one(gateway: Gateway, case: Case) -> AnsweredCase:
            context = TaskContext(pair=self._pair, gateway=gateway, cards=self._cards, patience=PATIENCE)
            async with at_a_time:
                result = await self._task.run(self._task.input_model.model_validate(case.inputs), context)
            return AnsweredCase(case_id=case.id, inputs_digest=case.inputs_digest, repeat=0, result=result)

        turns = [(spoilt[number % len(spoilt)] if spoilt else good, case) for number, case in enumerate(cases)]
        return list(await asyncio.gather(*(one(gateway, case) for gateway, case in turns if gateway is not None)))

    def _documents(self, case: Case) -> list[object]:
        inputs = self._task.input_model.model_validate(case.inputs)
        return [question.document for question in self._task.questions(inputs, self._pair)]
