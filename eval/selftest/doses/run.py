"""Measures a task's dose-response and keeps table, picture and record."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eval.labels.contrasts.sets import load_contrasts
from eval.report.sensitivity import path_of
from eval.selftest.doses.judging import ScriptedJudge
from eval.selftest.doses.picture import dose_picture
from eval.selftest.doses.report import dose_markdown, keep_doses, missed_bars, write_sensitivity
from eval.selftest.doses.trial import DOSES, DoseResults, DoseSetting, judge_of_meaning, run_doses
from eval.spine.errors import HarnessError
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.verdict.needed_recall import gating_spec, recall_of_alarms
from figures.stats import rate_interval
from service.kit.settings import Settings

_FALSE_ALARMS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOptions:
    """What to try: the kinds (none: all), and how many independent draws of each good system.

    ``write`` keeps the smallest doses beside the task's cases, where the reports of evaluations read them. With
    ``first_release`` nothing is in production; ``strangers`` plants the kinds by authors who knew no detector, beside
    production and at a first release, from a tenth of the answers on, which is all that is promised.
    """

    task: str = "summarize"
    dataset: str = "gate"
    kinds: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    equal_trials: int = 50
    write: bool = False
    first_release: bool = False
    strangers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOutcome:
    """The page, where it is kept, and the bars that the gate misses (empty: none)."""

    page: str
    path: Path
    missed: tuple[str, ...]


def barely_licensed(suite: Suite, settings: Settings) -> tuple[ScriptedJudge, ...]:
    """Return a scripted judge with just the recall that a licence asks for; none if the suite has no judge of meaning.

    Its floor follows from its false alarms as they would be measured on the good texts of the task's contrast sets.
    """
    spec = judge_of_meaning(suite)
    if spec is None:
        return ()
    good = load_contrasts(settings.datasets_dir, spec.measured_on or suite.task).good
    asked = len(set().union(*good.values()))
    alarms = rate_interval(_FALSE_ALARMS * asked, asked)
    needed = recall_of_alarms(alarms, spec)
    if needed is None:
        return ()
    return (
        ScriptedJudge(
            name=f"recall {needed:.2f}",
            usual_recall=needed,
            false_alarms=_FALSE_ALARMS,
            floor=gating_spec(spec, alarms).floor,
        ),
    )


def measure_doses(
    options: DoseOptions,
    settings: Settings,
    *,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> DoseOutcome:
    """Plant every kind at every dose. ``suite`` replaces the task's own, to see what a weaker gate lets through.

    Raises:
        CaseError, ConfigurationError, PairError: bad input; nothing was tried.
        HarnessError: no kind has the name that was asked for.
    """
    suite = suite or load_suite(options.task)
    releases = (False, True) if options.strangers and not options.first_release else (options.first_release,)
    results = run_doses(
        DoseSetting(
            task=options.task,
            settings=settings,
            suite=suite,
            dataset=options.dataset,
            kinds=options.kinds,
            systems=options.systems,
            judges=barely_licensed(suite, settings),
            first_release=releases,
            strangers=options.strangers,
            equal_trials=options.equal_trials,
            doses=DOSES[:-1] if options.strangers else DOSES,
        ),
        say,
    )
    if unknown := set(options.kinds) - {kind.name for kind in results.kinds}:
        raise HarnessError(f"no kind of harm {', '.join(sorted(unknown))} is planted in {options.task!r}")
    tables = {first: results.at(first_release=first) for first in releases}
    kept = [_keep(table, options, suite.digest, settings, first_release=first) for first, table in tables.items()]
    if options.write and not (options.first_release or options.strangers):
        write_sensitivity(
            results,
            path_of(options.task, settings.root),
            suite_digest=suite.digest,
            measured=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        )
    return DoseOutcome(
        page="\n".join(page for page, _ in kept),
        path=kept[0][1],
        missed=tuple(dict.fromkeys(line for table in tables.values() for line in missed_bars(table))),
    )


def _keep(
    results: DoseResults, options: DoseOptions, suite_digest: str, settings: Settings, *, first_release: bool
) -> tuple[str, Path]:
    """Write one table down; return its page and where it is kept."""
    titles = ["first release"] * first_release + ["a stranger's kinds"] * options.strangers
    page = dose_markdown(
        results, task=", ".join([options.task, *titles]), suite_digest=suite_digest, cases=results.cases
    )
    path = keep_doses(
        results,
        page,
        dose_picture(results),
        stem="-".join([suite_digest[:12], *(title.split()[-2] for title in titles), "doses"]).replace("'s", ""),
        suite_digest=suite_digest,
        out_dir=settings.root / "reports" / "out" / "selftest",
    )
    return page, path
