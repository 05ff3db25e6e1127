"""One evaluation from start to verdict: pairs and cases in, calls, scores, metrics, gate, report and MLflow runs out."""

import asyncio
import datetime as dt
import gc
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.callcache import CallCache
from eval.cases import Case, Dataset, stratified
from eval.journal import Journal
from eval.loaders import load_dataset
from eval.progress import show_progress
from eval.results import ArmName, CaseResult, Evaluation, PairResult
from eval.runner import Job, Progress, Runner
from eval.scoring import Scoring
from eval.suite import Suite
from eval.suites import load_suite
from eval.tracking import Production
from eval.tracking_worker import TrackingWorker
from service.canonical import canonical_json, sha256_hex
from service.cards import ModelCards
from service.errors import ConfigurationError
from service.llm.gateway import LiteLLMGateway
from service.local.process import LocalBedrock
from service.pair import Pair
from service.pair_file import load_pair
from service.settings import Settings
from service.task import Task, load_task

STAND_IN = "SmolLM2-135M-Instruct-Q4_1"  # what the local Bedrock answers with, whatever model it is asked for
# The bundled model has two slots: more calls in flight would only wait there and be counted as slow.
DEFAULT_CONCURRENCY = {"local": 2, "aws": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to evaluate. Empty ``pairs`` means every pair file of the task; ``case_count`` None means all cases."""

    task: str
    pairs: tuple[str, ...] = ()
    dataset: str | None = None
    case_count: int | None = None
    repeats: int = 1
    concurrency: int | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished evaluation and where it was written."""

    evaluation: Evaluation
    suite: Suite
    report: Path
    left_out: tuple[str, ...]
    cases: Mapping[str, Case]


def evaluate(options: Options, settings: Settings) -> Outcome:
    """Run an evaluation to its end.

    Raises:
        PairError, CaseError, ConfigurationError: bad input; no model was asked.
        RunAborted: the model server died; the same command resumes.
        RegistryError: the store refused the evidence; answers are kept, the same command repeats for free.
    """
    started = time.perf_counter()
    # This process lives for one run: collecting seldom keeps pauses out of the calls' times.
    gc.set_threshold(100_000, 50, 100)
    task = load_task(options.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pairs = load_pairs(task, cards, settings, options.pairs)
    left_out: list[Pair] = []
    if not options.pairs:
        pairs, left_out = split_by_stand_in(pairs, cards, settings)
    with ExitStack() as stack:
        # First of all the children, so that mlflow and the model load while this process reads and imports.
        worker = stack.enter_context(
            TrackingWorker(settings.registry_uri, log=settings.state_dir / "logs" / "tracking.log")
        )
        models = _Models(stack, cards, settings, task)
        models.start_for(pairs)
        suite = load_suite(options.task)
        dataset = load_dataset(
            options.dataset or suite.gate_dataset, task=options.task, input_model=task.input_model, settings=settings
        )
        if options.case_count is not None:
            dataset = stratified(dataset, options.case_count)
        scoring = stack.enter_context(Scoring(options.task, dataset.cases))
        key = sha256_hex(
            canonical_json(
                [
                    options.task,
                    [p.digest for p in pairs],
                    dataset.digest,
                    suite.digest,
                    settings.environment,
                    options.repeats,
                ]
            )
        )
        journal = Journal(settings.state_dir / "runs")
        record, resumed = journal.open(key)
        if resumed:
            print(f"resuming run {record.run_id}, interrupted earlier: its answers are kept")
        runner = Runner(
            task=task,
            gateway=models.gateway(pairs),
            cards=cards,
            cache=stack.enter_context(closing(CallCache(settings.state_dir / "calls"))),
            run_id=record.run_id,
            concurrency=options.concurrency or DEFAULT_CONCURRENCY[settings.environment],
            fresh=options.fresh,
            server_died=models.died,
        )
        answered = _run_jobs(runner, models, scoring, _jobs(pairs, dataset, options.repeats))
        production = worker.production(options.task)
        if production is not None and production.pair.digest not in {pair.digest for pair in pairs}:
            runner = replace(runner, gateway=models.gateway([production.pair]))
            answered |= _run_jobs(runner, models, scoring, _jobs([production.pair], dataset, options.repeats))
            pairs = [*pairs, production.pair]
        evaluation = _judge(
            task,
            suite,
            dataset,
            cards,
            settings,
            pairs,
            {key: _Answered(scoring.collect(item.results), item.seconds) for key, item in answered.items()},
            production,
            record.run_id,
            record.started_at,
            started,
        )
        report = _write(evaluation, suite, dataset, settings)
        _log(worker, evaluation, dataset, suite, report)
        journal.finish(record)
    return Outcome(
        evaluation=evaluation,
        suite=suite,
        report=report,
        left_out=tuple(pair.name for pair in left_out),
        cases={case.id: case for case in dataset.cases},
    )


def load_pairs(task: Task[Any], cards: ModelCards, settings: Settings, names: Sequence[str]) -> list[Pair]:
    """Return the pairs called ``names``, or all of the task's in alphabetical order.

    Raises:
        PairError: a file is missing or wrong.
        ConfigurationError: the task has no pair file.
    """
    folder = settings.prompts_dir / task.name
    paths = [folder / f"{name.removesuffix('.prompty')}.prompty" for name in names] or sorted(folder.glob("*.prompty"))
    if not paths:
        raise ConfigurationError(f"no pair file in {folder}; write one (see docs/adding-a-task.md)")
    return [load_pair(path, cards=cards, task_variables=task.variables) for path in paths]


def split_by_stand_in(pairs: Sequence[Pair], cards: ModelCards, settings: Settings) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs that this environment can really answer, and those that only the stand-in would answer.

    A stand-in's figures say nothing about the model that was asked for, so nobody gets them without asking for them by name.
    """
    if settings.environment != "local" or settings.bedrock_endpoint is not None:
        return list(pairs), []
    replaced = [pair for pair in pairs if cards.get(pair.model).runs == "provider"]
    return [pair for pair in pairs if pair not in replaced], replaced


class _Models:
    """The gateway of this run, and the bundled model's server when a pair needs one and no endpoint is set."""

    def __init__(self, stack: ExitStack, cards: ModelCards, settings: Settings, task: Task[Any]) -> None:
        self._stack, self._cards, self._settings, self._task = stack, cards, settings, task
        self._server: LocalBedrock | None = None

    def _needed(self, pairs: Sequence[Pair]) -> bool:
        return any(self._cards.get(model).wire == "bedrock" for p in pairs for model in (p.model, p.backup) if model)

    def start_for(self, pairs: Sequence[Pair]) -> None:
        """Start the bundled model if ``pairs`` need it; it loads in its own process."""
        settings = self._settings
        if (
            self._server is None
            and settings.environment == "local"
            and not settings.bedrock_endpoint
            and self._needed(pairs)
        ):
            log = settings.state_dir / "logs" / "bedrock.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            self._server = self._stack.enter_context(LocalBedrock(("--preload",), log=log))

    def gateway(self, pairs: Sequence[Pair]) -> LiteLLMGateway:
        """Return a gateway that can answer ``pairs``."""
        self.start_for(pairs)
        settings = self._settings
        gateway = LiteLLMGateway(
            self._cards,
            region=settings.aws_region,
            endpoint=settings.bedrock_endpoint or (self._server.url if self._server else None),
            stand_in=settings.bedrock_stand_in,
            in_process=self._task.in_process,
        )
        if self._needed(pairs):
            gateway.warm_up()
        return gateway

    async def rehearse(self, gateway: LiteLLMGateway, pairs: Sequence[Pair]) -> None:
        """Take the first call's extra work, and its connection, out of everybody's latency; at a stand-in only."""
        if self._needed(pairs) and self._settings.environment == "local":
            await gateway.rehearse()

    def died(self) -> str | None:
        """Describe the end of the model's server, or return None while it lives (or none was started)."""
        if self._server is None or self._server.alive():
            return None
        return f"The local model server died ({self._server.exit_description()})."


def _jobs(pairs: Sequence[Pair], dataset: Dataset, repeats: int) -> list[Job]:
    jobs = []
    for pair in pairs:
        jobs.append(Job(pair=pair, arm="primary", cases=dataset.cases, repeats=repeats))
        if pair.backup is not None:
            jobs.append(Job(pair=pair, arm="backup", cases=dataset.cases, repeats=repeats))
    return jobs


@dataclass(frozen=True, slots=True)
class _Answered:
    results: list[CaseResult]
    seconds: float


_Answers = dict[tuple[str, ArmName], _Answered]


def _run_jobs(runner: Runner, models: "_Models", scoring: Scoring, jobs: list[Job]) -> _Answers:
    async def run_all() -> _Answers:
        answered: _Answers = {}
        if isinstance(runner.gateway, LiteLLMGateway):
            await models.rehearse(runner.gateway, [job.pair for job in jobs])
        with show_progress(jobs) as callbacks:
            for number, job in enumerate(jobs):
                began = time.perf_counter()
                shown = callbacks[number]

                def finished(item: CaseResult, shown: Progress = shown) -> None:
                    scoring.submit(item)
                    shown(item)

                results = await runner.run(job, finished)
                answered[job.pair.digest, job.arm] = _Answered(results, time.perf_counter() - began)
        return answered

    return asyncio.run(run_all())


def _judge(
    task: Task[Any],
    suite: Suite,
    dataset: Dataset,
    cards: ModelCards,
    settings: Settings,
    pairs: Sequence[Pair],
    answered: Mapping[tuple[str, ArmName], _Answered],
    production: Production | None,
    run_id: str,
    started_at: str,
    started: float,
) -> Evaluation:
    from eval.behaviour.record import with_behaviour
    from eval.gate import judge
    from eval.metrics import build_deltas, build_metrics

    cases = {case.id: case for case in dataset.cases}
    scored = {key: item.results for key, item in answered.items()}
    baseline = production.pair.digest if production is not None else None
    pair_results = []
    for pair in pairs:
        primary, backup = scored[pair.digest, "primary"], scored.get((pair.digest, "backup"), [])
        metrics = build_metrics(suite, cases, primary, deadline_ms=pair.serving.deadline_ms)
        backup_metrics = build_metrics(suite, cases, backup, deadline_ms=pair.serving.deadline_ms) if backup else {}
        deltas = (
            build_deltas(suite, cases, primary, scored[baseline, "primary"])
            if baseline and baseline != pair.digest
            else {}
        )
        gate = judge(
            pair,
            suite=suite,
            dataset_digest=dataset.digest,
            cards=cards,
            today=dt.datetime.now(dt.UTC).date(),
            metrics=metrics,
            backup_metrics=backup_metrics,
            results=[*primary, *backup],
            deltas=deltas,
            baseline_digest=baseline,
        )
        gate = with_behaviour(gate, suite, settings)
        pair_results.append(
            PairResult(
                pair_name=pair.name,
                pair_version=pair.version,
                pair_digest=pair.digest,
                model=pair.model,
                backup=pair.backup,
                answered_by=tuple(
                    sorted(
                        {i.result.answered_by for i in [*primary, *backup] if i.result.answered_by not in ("", "none")}
                    )
                ),
                is_production=pair.digest == baseline,
                cases=(*primary, *backup),
                metrics=metrics,
                gate=gate,
                backup_metrics=backup_metrics,
                deltas=deltas,
                seconds=answered[pair.digest, "primary"].seconds,
            )
        )
    everything = [item for results in scored.values() for item in results]
    return Evaluation(
        run_id=run_id,
        task=task.name,
        environment=settings.environment,
        started_at=started_at,
        dataset_name=dataset.name,
        dataset_digest=dataset.digest,
        suite_digest=suite.digest,
        code_version=code_version(settings.root),
        case_count=len(dataset.cases),
        production_name=production.pair.name if production else None,
        production_version=production.release.registry_version if production else None,
        pairs=tuple(pair_results),
        calls_live=sum(1 for item in everything if item.live and _is_call(item, cards)),
        calls_cached=sum(1 for item in everything if not item.live),
        seconds=time.perf_counter() - started,
        stand_in=STAND_IN if settings.environment == "local" else None,
    )


def _is_call(item: CaseResult, cards: ModelCards) -> bool:
    model = item.result.model
    return model in cards and cards.get(model).wire != "in_process"


def _write(evaluation: Evaluation, suite: Suite, dataset: Dataset, settings: Settings) -> Path:
    from eval.report import write_report

    folder = settings.root / "reports" / "out" / "eval" / evaluation.run_id
    return write_report(evaluation, suite, {case.id: case for case in dataset.cases}, folder)


def _log(worker: TrackingWorker, evaluation: Evaluation, dataset: Dataset, suite: Suite, report: Path) -> None:
    from eval.evidence import run_log

    for pair in evaluation.pairs:
        worker.log_run(evaluation.task, run_log(evaluation, pair, dataset, report))


def code_version(root: Path) -> str:
    """Return the commit of ``root`` with ``-dirty`` when files differ from it, or ``unknown`` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],  # noqa: S607 - git from PATH, fixed arguments
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
