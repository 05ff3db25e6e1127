"""One evaluation from start to verdict: pairs and cases in, calls, scores, metrics, gate, report and MLflow runs out."""

import gc
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.evaluation.assembly import Assembly, RunSetting, import_deciding_code, reference_ceiling, write_report
from eval.judges.panel import Panel, check_panel, grading_run_of, judge_answers, open_panel
from eval.judges.ragas_family import RagasFamily, add_ragas, open_ragas
from eval.report.console import console_text
from eval.run.answering import InterimLooks, RunAnswers
from eval.run.documents import check_labelled_for, open_documents
from eval.run.journal import Journal, JournalEntry
from eval.run.loaders import load_dataset, load_gate
from eval.run.models import RunModels
from eval.run.progress import working
from eval.run.reply_cache import ReplyCache
from eval.run.runner import Runner
from eval.run.scoring import Scoring
from eval.run.selection import LeftOut, check_code, left_out_lines, select_pairs
from eval.run.spending import Spending
from eval.spine.alone import working_alone
from eval.spine.cases import Case, Dataset, stratified
from eval.spine.results import Evaluation, JudgeNote
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.tracking.worker import TrackingWorker
from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.llm.servers import server_of
from service.core.run.task import Task, load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.core.unit.pair_file.artifacts import check_names
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.clock import wall_clock
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

# The bundled model has two slots: more calls in flight would only wait there and be counted as slow.
DEFAULT_CONCURRENCY = {"local": 2, "aws": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to evaluate. Empty ``pairs`` means what ``select_pairs`` chooses of the task's; ``case_count`` None means all cases.

    ``repeats``: answers per case; None: as many as the suite's metrics need.
    ``budget``: how many repeats may be added while a pair whose answers vary is undecided; None: 3.
    ``budget_usd``: the run ends without evidence before its live calls cost more; None: no limit.
    ``derived`` are pairs without a file, made by the caller, in place of those. ``families`` are optional judges to ask as well.
    """

    task: str
    pairs: tuple[str, ...] = ()
    derived: tuple[Pair, ...] = ()
    dataset: str | None = None
    case_count: int | None = None
    repeats: int | None = None
    concurrency: int | None = None
    fresh: bool = False
    budget: int | None = None
    budget_usd: Decimal | None = None
    judge_model: str | None = None
    customer_model: str | None = None
    families: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedEvaluation:
    """A finished evaluation, where it was written and what the console shows of it; ``spent_usd`` counts under a budget alone."""

    evaluation: Evaluation
    suite: Suite
    report: Path
    left_out: tuple[LeftOut, ...]
    cases: Mapping[str, Case]
    shown: str
    spent_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJudges:
    """The judges of a run: the suite's own, and ragas if it was asked for."""

    panel: Panel
    ragas: RagasFamily | None

    @property
    def pairs(self) -> list[Pair]:
        """The judges' pairs."""
        return [*self.panel.pairs, *(self.ragas.pairs if self.ragas is not None else ())]


def evaluate(options: Options, settings: Settings) -> FinishedEvaluation:
    """Run an evaluation to its end.

    Raises:
        AlreadyRunning: another process makes the same run; no model was asked.
        PairError, CaseError, ConfigurationError: bad input; no model was asked.
        SigningError: the signing key cannot be used; no model was asked.
        RunAborted: the model server died, or the budget is spent; the same command resumes.
        RegistryError: the store refused the evidence; answers are kept, the same command repeats for free.
    """
    started = time.perf_counter()
    gc.set_threshold(100_000, 50, 100)  # this process lives for one run: no pauses during its calls
    task = load_task(options.task)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pairs, left_out = _chosen_pairs(options, task, cards, settings)
    with ExitStack() as stack:
        worker = stack.enter_context(_tracking(settings))  # first the children: mlflow and the model load meanwhile
        spending = None if options.budget_usd is None else Spending(limit_usd=options.budget_usd, cards=cards)
        models = RunModels(stack, cards, settings, task, spending)
        models.start_for(pairs)
        from eval.release.signing import signer_to_evaluate  # late: it takes 0.5 s, and the children start meanwhile

        suite = _suite(options, models)
        documents = _open_documents(pairs, suite, settings)
        repeats = suite.repeats(options.repeats)
        judges = _open_judges(options, suite, settings, cards, pairs)
        models.start_for(judges.pairs)  # says now, and not behind the answers, that a judge cannot be asked
        cases = _load_cases(options, suite, task, settings)
        setting = RunSetting(task=task, suite=suite, dataset=cases, cards=cards, settings=settings)
        signer = signer_to_evaluate(settings)  # may make a key, which a run that cannot begin has no use for
        record = _open_record(stack, settings, _run_key(options, setting, pairs, repeats), options.task)
        answers = _open_answers(stack, options, setting, models, pairs, record, repeats, documents)
        ceiling = answers.scoring.compute(reference_ceiling, setting)
        answers.scoring.compute(import_deciding_code)
        pairs = answers.ask(pairs, lambda: worker.production(options.task, wall_clock(settings.clock_file)()))
        assembly = Assembly(
            setting=setting,
            pairs=pairs,
            must_pass=answers.ask_must_pass(pairs),
            record=record,
            ceiling=ceiling.result(),
            started=started,
        )
        evaluation, suite = _decide(assembly, judges, answers, InterimLooks.plan(pairs, cards, options.budget))
        with working("writing the report"):
            named = None if options.derived else options.pairs
            report = answers.scoring.compute(write_report, setting, evaluation, suite, named).result()
        shown = answers.scoring.compute(console_text, evaluation, suite)  # there, where numpy and scipy are
        with working("writing the evidence into the registry"):
            _keep_evidence(worker, evaluation, suite, report, signer, setting)
        Journal(settings.state_dir / "runs").finish(record)
        return FinishedEvaluation(
            evaluation=evaluation,
            suite=suite,
            report=report,
            left_out=tuple(item for item in left_out if item.pair.digest not in {pair.digest for pair in pairs}),
            cases=setting.cases,
            shown=shown.result(),
            spent_usd=Decimal(0) if spending is None else spending.spent_usd,
        )


def _chosen_pairs(
    options: Options, task: Task[Any], cards: ModelCards, settings: Settings
) -> tuple[list[Pair], tuple[LeftOut, ...]]:
    """Return the pairs that were named, or else those that can be answered well here, and which are left out then."""
    pairs = list(options.derived) or load_pairs(task, cards, settings, options.pairs)
    return (pairs, ()) if options.pairs or options.derived else choose_pairs(pairs, cards, settings, options.task)


def load_pairs(task: Task[Any], cards: ModelCards, settings: Settings, names: Sequence[str]) -> list[Pair]:
    """Return the pairs called ``names``, or all of the task's in alphabetical order."""
    folder = settings.prompts_dir / task.name
    paths = [folder / f"{name.removesuffix('.prompty')}.prompty" for name in names] or sorted(folder.glob("*.prompty"))
    if not paths:
        raise ConfigurationError(f"no pair file in {folder}; write one (see docs/guides/adding-a-task.md)")
    read = partial(load_pair, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
    check_names(pairs := [read(path) for path in paths], task.artifact_names)
    for pair in pairs:
        check_code(pair, task, cards)
    return pairs


def choose_pairs(
    pairs: Sequence[Pair], cards: ModelCards, settings: Settings, task: str
) -> tuple[list[Pair], tuple[LeftOut, ...]]:
    """Return the pairs to evaluate when nobody names any, and those left out; production joins them in any case."""
    selection = select_pairs(pairs, cards, settings)
    if not selection.pairs:
        raise ConfigurationError(" ".join(left_out_lines(selection.left_out, task, settings)))
    return list(selection.pairs), selection.left_out


def _suite(options: Options, models: RunModels) -> Suite:
    """Return the task's suite, with a model as the customer if one was named; that model's server starts."""
    suite = load_suite(options.task)
    if options.customer_model is None:
        return suite
    if suite.episode is None:
        raise ConfigurationError(f"the cases of task {options.task!r} are no conversations; leave --customer-model out")
    played = suite.episode.played_by(options.customer_model)
    assert played.customer is not None
    models.start_for([played.customer])
    return replace(suite, episode=played)


def _open_documents(pairs: Sequence[Pair], suite: Suite, settings: Settings) -> KnowledgeIndexes:
    check_labelled_for(pairs, suite.documents, suite.task)
    indexes = KnowledgeIndexes.of(settings)
    with working("opening the documents that pairs search"):
        open_documents(pairs, indexes)
    return indexes


def _open_judges(
    options: Options, suite: Suite, settings: Settings, cards: ModelCards, pairs: Sequence[Pair]
) -> RunJudges:
    if options.families and suite.episode is not None:
        named = ", ".join(options.families)
        raise ConfigurationError(f"--with {named}: the cases of {suite.task!r} are conversations; leave this out")
    panel = open_panel(suite, settings, cards, model=options.judge_model)
    check_panel(panel, pairs)
    panel = replace(panel, left_out=(*panel.left_out, *_approval_notes(suite, settings, cards, pairs)))
    return RunJudges(panel=panel, ragas=open_ragas(options.families, settings, cards, pairs, model=options.judge_model))


def _approval_notes(
    suite: Suite, settings: Settings, cards: ModelCards, pairs: Sequence[Pair]
) -> tuple[JudgeNote, ...]:
    if suite.approver is None:
        return ()
    from eval.judges.pair_judges import approval_notes  # brings scipy

    return approval_notes(suite, settings, cards, pairs)


def _tracking(settings: Settings) -> TrackingWorker:
    return TrackingWorker(
        settings.registry.uri,
        log=settings.state_dir / "logs" / "tracking.log",
        trusted_keys=settings.trusted_keys_file,
        prompts=settings.prompts_dir,
    )


def _load_cases(options: Options, suite: Suite, task: Task[Any], settings: Settings) -> Dataset:
    if options.dataset in (None, suite.gate_dataset):
        dataset = load_gate(suite, input_model=suite.case_model(task.input_model), settings=settings)
    else:
        dataset = load_dataset(
            options.dataset or "",
            task=options.task,
            input_model=suite.case_model(task.input_model),
            settings=settings,
        )
    if options.customer_model is not None:  # by another name than the gate set's, so that it is evidence for nothing
        dataset = replace(dataset, name=f"{dataset.name}, customers by {options.customer_model}")
    return dataset if options.case_count is None else stratified(dataset, options.case_count)


def _run_key(options: Options, setting: RunSetting, pairs: Sequence[Pair], repeats: int) -> str:
    """Return what an interrupted run is found again by: everything that its answers and figures depend on."""
    endpoints = setting.settings.bedrock.model_endpoints
    return sha256_hex(
        canonical_json(
            [
                options.task,
                [p.digest for p in pairs],
                setting.dataset.digest,
                setting.suite.digest,
                setting.settings.environment,
                repeats,
                options.budget,
                # With each model's server: the same pair at another address is another run.
                [server_of(setting.cards.get(model), endpoints).url for pair in pairs for model in pair.models],
                setting.settings.bedrock.endpoint,
            ]
        )
    )


def _open_record(stack: ExitStack, settings: Settings, key: str, task: str) -> JournalEntry:
    """Return the run's record; no other process may open it until ``stack`` ends."""
    journal = Journal(settings.state_dir / "runs")
    lock = stack.enter_context(working_alone(journal.lock_path(key), f"an evaluation of task {task!r}"))
    record, resumed = journal.open(key)
    lock.name(f"run {record.run_id} of task {task!r} with these pairs and cases")
    if resumed:
        say(f"resuming run {record.run_id}, interrupted earlier: its answers are kept")
    return record


def _open_answers(
    stack: ExitStack,
    options: Options,
    setting: RunSetting,
    models: RunModels,
    pairs: Sequence[Pair],
    record: JournalEntry,
    repeats: int,
    documents: KnowledgeIndexes,
) -> RunAnswers:
    """Return the run's answers, none yet; the scorers' process and the cache end with ``stack``."""
    settings, dataset = setting.settings, setting.dataset
    runner = Runner(
        task=setting.task,
        gateway=models.gateway(pairs),
        cards=setting.cards,
        cache=stack.enter_context(closing(ReplyCache(settings.state_dir / "calls"))),
        run_id=record.run_id,
        concurrency=options.concurrency or _concurrency(pairs, setting),
        fresh=options.fresh,
        make_ready=models.make_ready,
        server_died=models.died,
        episode=None if setting.suite.episode is None else setting.suite.episode.with_documents(documents),
        documents=documents,
    )
    scoring = stack.enter_context(Scoring(options.task, (*dataset.cases, *dataset.must_pass)))
    return RunAnswers(runner=runner, models=models, scoring=scoring, dataset=dataset, repeats=repeats)


def _concurrency(pairs: Sequence[Pair], setting: RunSetting) -> int:
    """Return how many calls of the candidates' models are in flight: those of providers answer many at a time."""
    cards = [setting.cards.get(model) for pair in pairs for model in pair.models]
    called = [card for card in cards if card.wire != "in_process"]
    endpoints = setting.settings.bedrock.model_endpoints
    at_providers = bool(called) and all(card.wire == "litellm" and server_of(card, endpoints).is_own for card in called)
    return DEFAULT_CONCURRENCY["aws" if at_providers else setting.settings.environment]


def _decide(
    assembly: Assembly, judges: RunJudges, answers: RunAnswers, looks: InterimLooks
) -> tuple[Evaluation, Suite]:
    """Return the evaluation with every pair's verdict, and the suite with the judges' metrics and floors.

    Undecided pairs whose answers vary are asked again, as often as ``looks`` plans.
    """
    setting = assembly.setting
    runner, models = answers.runner, answers.models
    bench = grading_run_of(runner, models.gateway(judges.pairs) if judges.pairs else runner.gateway)

    def look() -> tuple[Evaluation, Suite]:
        with working("judging the answers"):
            judged = judge_answers(
                judges.panel,
                bench,
                pairs=assembly.pairs,
                task=setting.task,
                suite=setting.suite,
                settings=setting.settings,
                cases=setting.dataset.cases,
                answers={key: item.results for key, item in answers.by_arm.items()},
                production=answers.production.pair.digest if answers.production is not None else None,
            )
            if judges.ragas is not None:
                judged = add_ragas(judges.ragas, judged, bench, task=setting.task, cases=setting.dataset.cases)
            graded = answers.graded(judged.answers)
            decided = answers.scoring.compute(Assembly.evaluation, assembly, judged.suite, graded, looks, judged.notes)
            import eval.release.evidence  # noqa: F401 - 0.2 s, while the scorers' process decides

            return decided.result(), judged.suite

    evaluation, judged_by = look()
    while again := looks.undecided(evaluation, assembly.pairs):
        names = ", ".join(f"{pair.name} (look {looks.at(pair).number} of {looks.at(pair).planned})" for pair in again)
        say(f"undecided, asking once more: {names}", file=sys.stderr, flush=True)
        answers.ask_again(again)
        evaluation, judged_by = look()
    return evaluation, judged_by


def _keep_evidence(
    worker: TrackingWorker,
    evaluation: Evaluation,
    suite: Suite,
    report: Path,
    signer: "Signer | None",
    setting: RunSetting,
) -> None:
    from eval.release.evidence import attested_run_logs, statement_stem
    from eval.release.reference import put_bundle

    settings, dataset = setting.settings, setting.dataset
    now, days = wall_clock(settings.clock_file)(), settings.release.attestation_days
    for log in attested_run_logs(evaluation, dataset, suite, report, signer, now=now, days=days):
        worker.log_run(evaluation.task, log)
    for pair in evaluation.pairs if signer is not None and settings.release.evidence_bucket else ():
        address = put_bundle(
            report.parent,
            task=evaluation.task,
            stem=statement_stem(evaluation, pair),
            evaluation_id=evaluation.run_id,
            settings=settings,
        )
        say(f"Evidence of {pair.pair_name}: {address}", file=sys.stderr)
