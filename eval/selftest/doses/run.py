"""Measures a task's dose-response and keeps table, picture and record."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eval.errors import HarnessError
from eval.selftest.doses.judging import ScriptedJudge
from eval.selftest.doses.picture import dose_picture
from eval.selftest.doses.report import dose_markdown, keep_doses, missed_bars
from eval.selftest.doses.trial import DoseSetting, run_doses
from eval.suite import Suite
from eval.suites import load_suite
from service.settings import Settings

# A judge that just earns a licence at 200 cases (``omni simulate`` prints the table that it comes from).
LICENSED = ScriptedJudge(name="licensed", usual_recall=0.80, false_alarms=0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOptions:
    """What to try: the kinds (none: all), and how many independent draws of each good system."""

    task: str = "summarize"
    dataset: str = "gate"
    kinds: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    judges: tuple[ScriptedJudge, ...] = (LICENSED,)
    equal_trials: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOutcome:
    """The page, where it is kept, and the bars that the gate misses (empty: none)."""

    page: str
    path: Path
    missed: tuple[str, ...]


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
    results = run_doses(
        DoseSetting(
            task=options.task,
            settings=settings,
            suite=suite,
            dataset=options.dataset,
            kinds=options.kinds,
            systems=options.systems,
            judges=options.judges,
            equal_trials=options.equal_trials,
        ),
        say,
    )
    if unknown := set(options.kinds) - {kind.name for kind in results.kinds}:
        raise HarnessError(f"no kind of harm {', '.join(sorted(unknown))} is planted in {options.task!r}")
    page = dose_markdown(results, task=options.task, suite_digest=suite.digest, cases=results.cases)
    path = keep_doses(
        results,
        page,
        dose_picture(results),
        suite_digest=suite.digest,
        out_dir=settings.root / "reports" / "out" / "selftest",
    )
    return DoseOutcome(page=page, path=path, missed=tuple(missed_bars(results)))
