"""Runs a self-test: reads task, suite, pairs and cases, tries every engine, stores the results."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.run.loaders import load_dataset
from eval.selftest.deciding import DecidingPool
from eval.selftest.mutant import Mutant, MutantPlan, SelftestEngine
from eval.selftest.mutants import load_plan
from eval.selftest.report import failure_lines, keep, markdown
from eval.selftest.trial import EngineReport, Setting, run_engine, today
from eval.spine.cases import Case, Dataset, stratified
from eval.spine.errors import HarnessError
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.verdict.gate import GateRules
from service.core.run.task import Task, load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

DEFAULT_ENGINES: tuple[SelftestEngine, ...] = ("scripted", "extractive")
# A bundled answer takes seconds: one seed, and as few answered cases as let equal answers pass a margin of 0.05 (73, by Tango).
_BUNDLED_CASES, _BUNDLED_SEEDS, _SEEDS = 80, 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestOptions:
    """What to try. None means: the plan's engines but the bundled one, 3 seeds (bundled 1), all cases (bundled 80), all faults.

    ``cases`` of the bundled model are cases that it answers; ``fresh`` asks it again, whatever earlier self-tests kept.
    """

    task: str = "summarize"
    engines: tuple[SelftestEngine, ...] = DEFAULT_ENGINES
    seeds: int | None = None
    cases: int | None = None
    dataset: str | None = None
    mutants: tuple[str, ...] = ()
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestOutcome:
    """The results; ``problems`` is empty if and only if the gate can be trusted."""

    reports: tuple[EngineReport, ...]
    problems: tuple[str, ...]
    page: str
    path: Path


def selftest(
    options: SelftestOptions,
    settings: Settings,
    *,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> SelftestOutcome:
    """Try every engine and keep the record. ``suite`` replaces the task's own, to see what a weaker gate lets through.

    Raises:
        ConfigurationError, PairError, CaseError: bad input; nothing was tried.
        HarnessError: a fault that is asked for by name does not exist.
    """
    task = load_task(options.task)
    suite = suite or load_suite(options.task)
    plan = load_plan(options.task)
    plan.check_targets(load_suite(options.task))  # the task's own: a weaker gate may lack what it should detect
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    chosen = _chosen(plan, options.mutants)
    dataset = load_dataset(
        options.dataset or suite.gate_dataset, task=options.task, input_model=task.input_model, settings=settings
    )
    engines = engines_of(plan, options)
    rules = GateRules(suite=suite, cards=cards, today=today())
    reports = []
    with DecidingPool(rules, workers=max(1, min(4, os.cpu_count() or 1))) as pool:
        for engine in engines:
            bundled = engine == "bundled"
            setting = Setting(
                engine=engine,
                plan=plan,
                task=task,
                pair=_pair(task, plan.pairs[engine], cards, settings),
                cards=cards,
                dataset=_in_turn(dataset, suite) if bundled else _part(dataset, options.cases, suite),
                answered=options.cases or _BUNDLED_CASES if bundled else None,
                fresh=options.fresh,
                mutants=tuple(mutant for mutant in chosen if engine in mutant.engines),
                log=settings.state_dir / "logs" / "bedrock-selftest.log",
                kept=settings.state_dir / "selftest" / "answers",
                region=settings.aws.region,
                say=say,
            )
            seeds = range(1, (options.seeds or (_BUNDLED_SEEDS if bundled else _SEEDS)) + 1)
            reports.append(run_engine(setting, pool, seeds))
    page = markdown(reports, plan.mutants, task=task.name, suite_digest=suite.digest)
    path = keep(
        reports,
        page,
        suite_digest=suite.digest,
        state_dir=settings.state_dir,
        out_dir=settings.root / "reports" / "out" / "selftest",
    )
    return SelftestOutcome(reports=tuple(reports), problems=tuple(failure_lines(reports)), page=page, path=path)


def _pair(task: Task[Any], name: str, cards: ModelCards, settings: Settings) -> Pair:
    path = settings.prompts_dir / task.name / f"{name}.prompty"
    return load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)


def _chosen(plan: MutantPlan, names: tuple[str, ...]) -> list[Mutant]:
    known = {mutant.name: mutant for mutant in plan.mutants}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise HarnessError(f"no planted fault {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return [known[name] for name in names or known]


def _part(dataset: Dataset, count: int | None, suite: Suite) -> Dataset:
    return dataset if count is None else stratified(dataset, count, by=suite.slices[0] if suite.slices else "")


def _in_turn(dataset: Dataset, suite: Suite) -> Dataset:
    """Return all cases in an order in which every prefix has the same shares of the suite's first slice as the whole."""
    drawn: dict[str, Case] = {}
    for count in range(1, len(dataset.cases) + 1):
        drawn |= {case.id: case for case in _part(dataset, count, suite).cases if case.id not in drawn}
    return replace(dataset, cases=tuple(drawn.values()))


def engines_of(plan: MutantPlan, options: SelftestOptions) -> tuple[SelftestEngine, ...]:
    """Return the engines asked for; by default those of the default ones that the plan names a pair for.

    Raises:
        HarnessError: the plan names no pair for an engine that was asked for.
    """
    if options.engines == DEFAULT_ENGINES:
        return tuple(name for name in DEFAULT_ENGINES if name in plan.pairs)
    if missing := [name for name in options.engines if name not in plan.pairs]:
        raise HarnessError(f"task {options.task!r} names no pair for engine {', '.join(missing)}: PLAN.pairs")
    return options.engines


def to_engines(names: tuple[str, ...]) -> tuple[SelftestEngine, ...]:
    """Return ``names`` as engines; none means the default ones.

    Raises:
        HarnessError: there is no such engine.
    """
    known: dict[str, Any] = {"scripted": "scripted", "extractive": "extractive", "bundled": "bundled"}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise HarnessError(f"no engine {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return tuple(known[name] for name in names) or DEFAULT_ENGINES
