"""One evaluation from start to verdict: pairs and cases in, calls, scores, metrics, gate, report and MLflow runs out."""

import datetime as dt
import gc
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.cases import Case, Dataset, stratified
from eval.judges.panel import bench_of, check_panel, judge_answers, open_panel
from eval.loaders import load_dataset, load_gate
from eval.results import CaseResult, Evaluation, PairResult
from eval.run.answering import Answers, Looks
from eval.run.journal import Journal, RunRecord
from eval.run.models import RunModels
from eval.run.reply_cache import CallCache
from eval.run.runner import Runner
from eval.run.scoring import Scoring
from eval.suite import Suite
from eval.suites import load_suite
from eval.tracking.worker import TrackingWorker
from eval.verdict.must_pass import must_pass_checks
from figures.metric import Metric
from service.canonical import canonical_json, sha256_hex
from service.cards import ModelCards
from service.clock import wall_clock
from service.errors import ConfigurationError
from service.pair import Pair
from service.pair_file import load_pair
from service.settings import Settings
from service.task import Task, load_task

STAND_IN = "SmolLM2-135M-Instruct-Q4_1"  # what the local Bedrock answers with, whatever model it is asked for
# The bundled model has two slots: more calls in flight would only wait there and be counted as slow.
DEFAULT_CONCURRENCY = {"local": 2, "aws": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to evaluate. Empty ``pairs`` means every pair file of the task; ``case_count`` None means all cases.

    ``budget``: how many repeats may be added while a pair whose answers vary is undecided; None: 3.
    ``derived`` are pairs without a file, made by the caller, in place of those.
    """

    task: str
    pairs: tuple[str, ...] = ()
    derived: tuple[Pair, ...] = ()
    dataset: str | None = None
    case_count: int | None = None
    repeats: int = 1
    concurrency: int | None = None
    fresh: bool = False
    budget: int | None = None
    judge_model: str | None = None


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
        SigningError: the signing key cannot be used; no model was asked.
        RunAborted: the model server died; the same command resumes.
        RegistryError: the store refused the evidence; answers are kept, the same command repeats for free.
    """
    started = time.perf_counter()
    # This process lives for one run: collecting seldom keeps pauses out of the calls' times.
    gc.set_threshold(100_000, 50, 100)
    task = load_task(options.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pairs = list(options.derived) or load_pairs(task, cards, settings, options.pairs)
    left_out: list[Pair] = []
    if not options.pairs and not options.derived:
        pairs, left_out = split_by_stand_in(pairs, cards, settings)
    with ExitStack() as stack:
        # First of all the children, so that mlflow and the model load while this process reads and imports.
        worker = stack.enter_context(
            TrackingWorker(
                settings.registry.uri,
                log=settings.state_dir / "logs" / "tracking.log",
                trusted_keys=settings.trusted_keys_file,
            )
        )
        models = RunModels(stack, cards, settings, task)
        models.start_for(pairs)
        from eval.release.evidence import attested_run_logs
        from eval.release.signing import signer_to_evaluate  # 0.5 s, while the children start
        from eval.run.ceiling import kept_ceiling  # late: the children load meanwhile

        suite = load_suite(options.task)
        panel = open_panel(suite, settings, cards, model=options.judge_model)
        check_panel(panel, pairs)
        if options.dataset in (None, suite.gate_dataset):
            dataset = load_gate(suite, input_model=task.input_model, settings=settings)
        else:
            dataset = load_dataset(
                options.dataset or "", task=options.task, input_model=task.input_model, settings=settings
            )
        if options.case_count is not None:
            dataset = stratified(dataset, options.case_count)
        signer = signer_to_evaluate(settings)  # may make a key, which a run that cannot begin has no use for
        scoring = stack.enter_context(Scoring(options.task, (*dataset.cases, *dataset.must_pass)))
        ceiling = scoring.compute(kept_ceiling, settings.state_dir / "ceilings", suite, dataset.digest, dataset.cases)
        key = sha256_hex(
            canonical_json(
                [
                    options.task,
                    [p.digest for p in pairs],
                    dataset.digest,
                    suite.digest,
                    settings.environment,
                    options.repeats,
                    options.budget,
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
            make_ready=models.make_ready,
            server_died=models.died,
        )
        answers = Answers(runner=runner, models=models, scoring=scoring, dataset=dataset, repeats=options.repeats)
        pairs = answers.ask(pairs, lambda: worker.production(options.task))
        must_pass = answers.ask_must_pass(pairs)
        looks = Looks.plan(pairs, cards, options.budget)
        bench = bench_of(runner, models.gateway(panel.pairs) if panel.asked else runner.gateway)

        def judge_all() -> tuple[Evaluation, Suite]:
            judged = judge_answers(
                panel,
                bench,
                pairs=pairs,
                task=task,
                suite=suite,
                settings=settings,
                cases=dataset.cases,
                answers={key: item.results for key, item in answers.by_arm.items()},
                production=answers.production.pair.digest if answers.production is not None else None,
            )
            graded = answers.graded(judged.answers)
            found = _judge(
                task, judged.suite, dataset, cards, settings, pairs, graded, looks, record, started, ceiling.result()
            )
            return with_must_pass(replace(found, judges=judged.notes), suite, must_pass), judged.suite

        evaluation, judged_by = judge_all()
        while again := looks.undecided(evaluation, pairs):
            names = ", ".join(f"{pair.name} (look {looks.at(pair)} of {looks.planned[pair.digest]})" for pair in again)
            print(f"undecided, asking once more: {names}", file=sys.stderr, flush=True)
            answers.ask_again(again)
            evaluation, judged_by = judge_all()
        suite = judged_by
        report = _write(evaluation, suite, dataset, settings)
        now = wall_clock(settings.clock_file)()
        for log in attested_run_logs(
            evaluation, dataset, suite, report, signer, now=now, days=settings.release.attestation_days
        ):
            worker.log_run(evaluation.task, log)
        journal.finish(record)
    return Outcome(
        evaluation=evaluation,
        suite=suite,
        report=report,
        left_out=tuple(pair.name for pair in left_out),
        cases={case.id: case for case in dataset.cases},
    )


def with_must_pass(evaluation: Evaluation, suite: Suite, results: Mapping[str, Sequence[CaseResult]]) -> Evaluation:
    """Return ``evaluation`` with the checks of each pair's answers to the must-pass set, by pair digest."""
    pairs = []
    for pair in evaluation.pairs:
        checks = must_pass_checks(suite, results.get(pair.pair_digest, ()))
        pairs.append(replace(pair, gate=replace(pair.gate, checks=(*pair.gate.checks, *checks))))
    return replace(evaluation, pairs=tuple(pairs))


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
    if settings.environment != "local" or settings.bedrock.endpoint is not None:
        return list(pairs), []
    replaced = [pair for pair in pairs if cards.get(pair.model).runs == "provider"]
    return [pair for pair in pairs if pair not in replaced], replaced


def _judge(
    task: Task[Any],
    suite: Suite,
    dataset: Dataset,
    cards: ModelCards,
    settings: Settings,
    pairs: Sequence[Pair],
    answers: Answers,
    looks: Looks,
    record: RunRecord,
    started: float,
    ceiling: dict[str, Metric],
) -> Evaluation:
    from eval.behaviour.record import with_behaviour
    from eval.run.ceiling import pairs_like_for_like
    from eval.verdict.deltas import Timing, build_deltas
    from eval.verdict.gate import judge
    from eval.verdict.metrics import build_metrics, build_slice_metrics

    cases = {case.id: case for case in dataset.cases}
    production = answers.production
    baseline = production.pair.digest if production is not None else None
    in_process = {pair.digest for pair in pairs if cards.get(pair.model).wire == "in_process"}
    pair_results = []
    for pair in pairs:
        primary, backup = answers.results(pair), answers.results(pair, "backup")
        deadline_ms, confidence = pair.serving.deadline_ms, looks.confidence(pair)
        metrics = build_metrics(suite, cases, primary, deadline_ms=deadline_ms)
        backup_metrics = build_metrics(suite, cases, backup, deadline_ms=deadline_ms) if backup else {}
        judged, judged_backup = metrics, backup_metrics
        if looks.planned[pair.digest] > 1:  # people read 95% intervals; the gate allows for its further looks
            judged = build_metrics(suite, cases, primary, deadline_ms=deadline_ms, confidence=confidence)
            if backup:
                judged_backup = build_metrics(suite, cases, backup, deadline_ms=deadline_ms, confidence=confidence)
        deltas: dict[str, Metric] = {}
        if production is not None and baseline != pair.digest:
            no_calls = bool(in_process & {pair.digest, production.pair.digest})
            apart: Timing = "in turn" if answers.in_turn(pair, production.pair) else "apart"
            deltas = build_deltas(
                suite,
                cases,
                primary,
                answers.results(production.pair),
                timing="no calls" if no_calls else apart,
                confidence=confidence,
            )
        gate = judge(
            pair,
            suite=suite,
            dataset_digest=dataset.digest,
            cards=cards,
            today=dt.datetime.now(dt.UTC).date(),
            metrics=judged,
            backup_metrics=judged_backup,
            results=[*primary, *backup],
            deltas=deltas,
            baseline_digest=baseline,
            slice_metrics=build_slice_metrics(suite, cases, primary, confidence=confidence),
            look=looks.at(pair),
            planned_looks=looks.planned[pair.digest],
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
                seconds=answers.by_arm[pair.digest, "primary"].seconds,
            )
        )
    everything = [item for answered in answers.by_arm.values() for item in answered.results]
    return Evaluation(
        run_id=record.run_id,
        task=task.name,
        environment=settings.environment,
        started_at=record.started_at,
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
        ceiling=ceiling,
        like_for_like=pairs_like_for_like(suite, dataset.cases, {pair.digest: answers.results(pair) for pair in pairs}),
    )


def _is_call(item: CaseResult, cards: ModelCards) -> bool:
    model = item.result.model
    return model in cards and cards.get(model).wire != "in_process"


def _write(evaluation: Evaluation, suite: Suite, dataset: Dataset, settings: Settings) -> Path:
    from eval.report.page import write_report

    folder = settings.root / "reports" / "out" / "eval" / evaluation.run_id
    return write_report(evaluation, suite, {case.id: case for case in dataset.cases}, folder)


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
