"""``omni optimize``: searches, measures what it found on unseen cases and on the gate's, and writes the report and the pair."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from eval.evaluation.evaluate import DEFAULT_CONCURRENCY, FinishedEvaluation, Options, evaluate
from eval.instruments.optimize.allowed import CaseTexts
from eval.instruments.optimize.asking import Asking, LimitReached, Limits
from eval.instruments.optimize.gains import MOST_FINALISTS, Finalist, finalists, gain, measured, offered
from eval.instruments.optimize.halves import Halves, load_halves
from eval.instruments.optimize.ledger import SearchLedger
from eval.instruments.optimize.offering import FinalistFile, finalist_file, write_offered
from eval.instruments.optimize.quality import MeasuredAnswer, Quality
from eval.instruments.optimize.report import OptimizeReport, write_optimize
from eval.instruments.optimize.rewriting import Rewriter
from eval.instruments.optimize.search import MOST_ROUNDS, PromptSearch, search
from eval.instruments.optimize.wording import MODEL, TEMPERATURE, PairWording
from eval.instruments.sweep.run import card_named, only_stand_in
from eval.run.journal import Journal, JournalEntry
from eval.run.models import RunModels
from eval.run.reply_cache import ReplyCache
from eval.run.runner import Runner
from eval.run.scoring import Scoring
from eval.run.spending import Spending
from eval.spine.alone import working_alone
from eval.spine.cases import Case
from eval.spine.errors import OptimizeError, RunAborted
from eval.spine.results import CaseResult
from eval.spine.suite import Suite
from eval.suites import load_suite
from figures.files import out_folder, write_whole
from figures.formatting import plural
from figures.stats import CONFIDENCE
from service.core.llm.servers import server_of
from service.core.run.task import Task, load_task
from service.core.unit.cards import ModelCards
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

# What the search may spend of the budget; unseen cases and the gate's take the rest.
SEARCH_SHARE = Decimal("0.5")
MOST_CALLS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeOptions:
    """What to search with. ``model`` words the candidates; ``models`` and ``temperatures`` are choices to try for the pair's own.

    ``budget_usd`` bounds what search, unseen cases and gate cost together, ``calls`` the answers and proposals before the gate.
    ``quality`` is one metric of the suite to search with in place of all that it bounds. ``gate``: measure on the gate's cases.
    """

    task: str
    pair: str
    model: str
    budget_usd: Decimal
    calls: int = MOST_CALLS
    rounds: int = MOST_ROUNDS
    seed: int = 0
    quality: str | None = None
    models: tuple[str, ...] = ()
    temperatures: tuple[str, ...] = ()
    concurrency: int | None = None
    gate: bool = True
    stand_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSearch:
    """A finished search: its report's page, its rows, and the pair file that was written, None if no gain was shown."""

    report: OptimizeReport
    page: Path
    written: Path | None


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What stays the same over a run."""

    options: OptimizeOptions
    settings: Settings
    task: Task[Any]
    suite: Suite
    cards: ModelCards
    wording: PairWording
    halves: Halves
    quality: Quality
    model: str
    choices: Mapping[str, Sequence[str]]


def optimize(options: OptimizeOptions, settings: Settings) -> FinishedSearch:
    """Run a search to its end; an interrupted one goes on where it was, with an equal result.

    Raises:
        OptimizeError, PairError, CaseError, ConfigurationError: bad input; no model was asked.
        AlreadyRunning: another process makes the same search; no model was asked.
        RunAborted: a model cannot be reached, or the budget is spent; the same command goes on.
    """
    setting = _setting(options, settings)
    with ExitStack() as stack:
        record = _open_record(stack, setting)
        ledger = stack.enter_context(closing(SearchLedger(settings.state_dir / "optimize" / f"{record.run_id}.jsonl")))
        found, rows = _searched(stack, setting, record, ledger)
        chosen = offered(rows)  # before the gate's cases are read
        files = [
            finalist_file(setting.wording, record.run_id, setting.model, found, row, fixed=row is chosen)
            for row in rows
        ]
        rows, gated = _gated(setting, found, rows, files, ledger) if options.gate and rows else (rows, None)
        rows = tuple(replace(row, name=file.pair.name) for row, file in zip(rows, files, strict=True))
        folder = out_folder(settings.root, "optimize") / record.run_id
        page = write_optimize(report := _report(setting, record, ledger, found, rows, gated), folder)
        for file in files:
            write_whole(folder / f"{file.pair.name}.prompty", file.text)
        written = next((write_offered(setting.wording, file) for file in files if file.fixed), None)
        Journal(settings.state_dir / "optimize").finish(record)
        return FinishedSearch(report=report, page=page, written=written)


def _setting(options: OptimizeOptions, settings: Settings) -> _Setting:
    task, suite = load_task(options.task), load_suite(options.task)
    if suite.episode is not None:
        raise OptimizeError(f"the cases of task {options.task!r} are conversations, which a search does not play yet")
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    path = settings.prompts_dir / task.name / f"{options.pair.removesuffix('.prompty')}.prompty"
    wording = PairWording.of_file(path, task, cards)
    models = tuple(dict.fromkeys(card_named(name, cards).id for name in options.models))
    choices = {MODEL: models, TEMPERATURE: options.temperatures}
    setting = _Setting(
        options=options,
        settings=settings,
        task=task,
        suite=suite,
        cards=cards,
        wording=wording,
        halves=load_halves(suite, task, settings, seed=options.seed),
        quality=Quality.of_suite(suite, options.quality),
        model=card_named(options.model, cards).id,
        choices={name: values for name, values in choices.items() if values},
    )
    setting.wording.texts()  # refuses a pair that asks no model
    _check_models(setting)
    return setting


def _check_models(setting: _Setting) -> None:
    """Refuse models whose cost nobody knows, and those for which only a stand-in would answer here."""
    cards, options = setting.cards, setting.options
    asked = dict.fromkeys((setting.model, *setting.wording.start.models, *setting.choices.get(MODEL, ())))
    for model in asked:
        if cards.get(model).prices is None:
            raise OptimizeError(f"{model} has no price, so no budget can bound its cost: add it to prompts/models.yaml")
        if only_stand_in(cards.get(model), setting.settings) and not options.stand_in:
            raise OptimizeError(
                f"only a stand-in would answer for {model} here, so the figures would not be its own; set "
                "OMNI_ENVIRONMENT=aws, or add --stand-in to try out the command"
            )


def _open_record(stack: ExitStack, setting: _Setting) -> JournalEntry:
    """Return the run's record; no other process may open it until ``stack`` ends."""
    settings, options = setting.settings, setting.options
    endpoints = settings.bedrock.model_endpoints
    models = (setting.model, *setting.wording.start.models, *setting.choices.get(MODEL, ()))
    key = sha256_hex(
        canonical_json(
            [
                setting.wording.text,
                setting.halves.digest,
                setting.suite.digest,
                setting.quality.names,
                {name: list(values) for name, values in setting.choices.items()},
                [setting.model, str(options.budget_usd), options.calls, options.rounds, options.seed],
                [server_of(setting.cards.get(model), endpoints).url for model in models],
                [settings.environment, settings.bedrock.endpoint],
            ]
        )
    )
    journal = Journal(settings.state_dir / "optimize")
    lock = stack.enter_context(working_alone(journal.lock_path(key), f"a search for task {options.task!r}"))
    record, resumed = journal.open(key)
    lock.name(f"search {record.run_id} for task {options.task!r}")
    if resumed:
        say(f"resuming search {record.run_id}, interrupted earlier: what it paid for is kept", file=sys.stderr)
    return record


def _searched(
    stack: ExitStack, setting: _Setting, record: JournalEntry, ledger: SearchLedger
) -> tuple[PromptSearch, tuple[Finalist, ...]]:
    """Return the finished search, and its finalists measured on the half that it never saw."""
    options, halves = setting.options, setting.halves
    reserved = (MOST_FINALISTS + 1) * len(halves.other)
    if options.calls < reserved + 2 * len(halves.own):
        raise OptimizeError(
            f"--calls {options.calls} is too few: {reserved} are kept for the unseen half, and a search needs "
            f"{2 * len(halves.own)} at least"
        )
    limits = Limits(usd=options.budget_usd * SEARCH_SHARE, calls=options.calls - reserved, ledger=ledger)
    asking, rewriter = _ways(stack, setting, record, limits)
    start = setting.wording.texts(choices=setting.choices)

    def tell(words: str) -> None:
        spent = f"${ledger.spent_usd:.4f} of ${options.budget_usd:.2f}, {ledger.calls:,} of {options.calls:,} calls"
        say(f"{words}; {spent}", file=sys.stderr, flush=True)

    tell(f"asking {setting.wording.start.name} on the {len(halves.own)} cases of the search's half")
    found = search(asking, rewriter, start, halves.own, seed=options.seed, rounds=options.rounds, tell=tell)
    if not found.candidates[0].own:
        raise OptimizeError(
            f"the search ended at {found.ended} before the pair that it began with was measured: raise --budget or --calls"
        )
    limits.usd, limits.calls = options.budget_usd, options.calls
    members = finalists(found)
    tell(
        f"search ended at {found.ended}: {plural(found.tried, 'candidate')} tried; asking {len(members)} on the unseen half"
    )
    if not members:
        return found, ()
    try:
        start_other = asking.answers(start, halves.other)
        other = {member.number: asking.answers(member.texts, halves.other) for member in members}
    except LimitReached as err:
        raise RunAborted(f"the unseen half could not be asked: {err} are used; raise --budget and run again") from err
    return found, measured(members, found.candidates[0].own, start_other, other)


def _ways(stack: ExitStack, setting: _Setting, record: JournalEntry, limits: Limits) -> tuple[Asking, Rewriter]:
    """Return how candidates are asked and worded; both share one event loop and one limit of what live calls may cost."""
    options, settings, halves = setting.options, setting.settings, setting.halves
    ledger = limits.ledger
    spending = Spending(limit_usd=options.budget_usd, cards=setting.cards, spent_usd=ledger.paid_before_usd)
    scoring = stack.enter_context(Scoring(options.task, (*halves.own, *halves.other)))
    models = RunModels(stack, setting.cards, settings, setting.task, spending)
    asked = [setting.wording.start, replace(setting.wording.start, model=setting.model)]
    asked += [replace(setting.wording.start, model=model) for model in setting.choices.get(MODEL, ())]
    gateway = models.gateway(asked)
    loop = stack.enter_context(asyncio.Runner())
    own_service = all(setting.cards.get(model).wire == "litellm" for pair in asked for model in pair.models)
    runner = Runner(
        task=setting.task,
        gateway=gateway,
        cards=setting.cards,
        cache=stack.enter_context(closing(ReplyCache(settings.state_dir / "calls"))),
        run_id=record.run_id,
        concurrency=options.concurrency or DEFAULT_CONCURRENCY["aws" if own_service else settings.environment],
        make_ready=models.make_ready,
        server_died=models.died,
    )
    asking = Asking(
        wording=setting.wording, quality=setting.quality, scoring=scoring, limits=limits, runner=runner, loop=loop
    )
    rewriter = Rewriter(
        wording=setting.wording,
        texts=CaseTexts.of((*halves.own, *halves.other)),
        model=setting.model,
        gateway=gateway,
        limits=limits,
        loop=loop,
        choices=setting.choices,
    )
    return asking, rewriter


def _gated(
    setting: _Setting,
    searched: PromptSearch,
    rows: tuple[Finalist, ...],
    files: Sequence[FinalistFile],
    ledger: SearchLedger,
) -> tuple[tuple[Finalist, ...], FinishedEvaluation | None]:
    """Return the rows with what the gate measured: the ordinary evaluation, and the first time that its cases are read.

    The gains there hold for all candidates that were tried together.
    """
    options = setting.options
    left = options.budget_usd - ledger.spent_usd
    start = setting.wording.start
    say(
        f"measuring {plural(len(files), 'candidate')} on the gate's cases; ${left:.4f} of the budget is left",
        file=sys.stderr,
    )
    try:
        done = evaluate(
            Options(
                task=options.task,
                derived=(start, *(file.pair for file in files)),
                budget_usd=left,
                concurrency=options.concurrency,
                budget=0,
            ),
            setting.settings,
        )
    except RunAborted as err:
        say(f"the gate's cases were not measured: {err}", file=sys.stderr)
        return rows, None
    by_digest = {result.pair_digest: result for result in done.evaluation.pairs}
    before = _gate_answers(setting, by_digest[start.digest].cases, done.cases)
    found, confidence = [], 1 - (1 - CONFIDENCE) / max(searched.tried, 1)
    for row, file in zip(rows, files, strict=True):
        result = by_digest[file.pair.digest]
        ours = _gate_answers(setting, result.cases, done.cases)
        both = [name for name in before if name in ours]
        interval = gain([ours[name] for name in both], [before[name] for name in both], confidence=confidence)
        found.append(replace(row, gate=interval, gate_verdict=result.gate.verdict.value))
    return tuple(found), done


def _gate_answers(
    setting: _Setting, items: Sequence[CaseResult], cases: Mapping[str, Case]
) -> dict[str, MeasuredAnswer]:
    first = [item for item in items if item.arm == "primary" and item.repeat == 0]
    return {item.case_id: setting.quality.of(item, cases[item.case_id]) for item in first}


def _report(
    setting: _Setting,
    record: JournalEntry,
    ledger: SearchLedger,
    found: PromptSearch,
    rows: tuple[Finalist, ...],
    gated: FinishedEvaluation | None,
) -> OptimizeReport:
    options, halves = setting.options, setting.halves
    spent = ledger.spent_usd + (Decimal(0) if gated is None else gated.spent_usd)
    judges = (
        ()
        if gated is None
        else tuple(f"{note.rubric} ({note.model})" for note in gated.evaluation.judges if note.gates)
    )
    return OptimizeReport(
        run_id=record.run_id,
        task=options.task,
        start=setting.wording.start.name,
        start_model=setting.wording.start.model,
        writer=setting.model,
        seed=options.seed,
        quality=setting.quality.names,
        own=len(halves.own),
        other=len(halves.other),
        harvested=halves.harvested,
        halves_digest=halves.digest,
        search=found,
        rows=rows,
        budget_usd=options.budget_usd,
        spent_usd=spent,
        search_usd=ledger.spent_usd,
        calls=ledger.calls,
        most_calls=options.calls,
        lost_calls=ledger.lost,
        gate_run=None if gated is None else gated.evaluation.run_id,
        gate_cases=0 if gated is None else gated.evaluation.case_count,
        judges=judges,
    )
