"""``calibrate``: measure how far judges and detectors agree with labels."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, Concurrency, TaskName, interruptible, names_of
from figures.command_line import omni
from service.commands.models import ApiBase, with_api_base
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from eval.judges.calibrate import CalibrateOptions, JudgeReport
    from service.kit.settings import Settings

_REASONS_SHOWN = 12  # each abstention of a claims judge may have a reason of its own


def calibrate(
    task: TaskName = "summarize",
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge", "--judges", help="Rubrics, comma separated; default: all of the suite. With --chances one alone."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Judge model in place of the prompt files' own; of two, comma separated, both must agree."),
    ] = None,
    api_base: ApiBase = None,
    repeats: Annotated[int, typer.Option(min=1, max=10, help="Grades per row; 2 or more measure self-agreement.")] = 3,
    sets: Annotated[
        str, typer.Option(help="Some of own, public, contrasts, comma separated.")
    ] = "own,public,contrasts",
    dev_cases: Annotated[
        int, typer.Option(min=0, help="Dev cases whose contrasts are asked about; there are 40.")
    ] = 40,
    gate_cases: Annotated[
        int, typer.Option(min=0, help="Gate cases whose contrasts are asked about; 200 is all of them.")
    ] = 200,
    concurrency: Concurrency = None,
    fresh: Annotated[bool, typer.Option(help="Ask the judge again even where answers are cached.")] = False,
    due: Annotated[
        int | None,
        typer.Option(min=1, metavar="DAYS", help="Measure nothing; tell which judges are due after so many days."),
    ] = None,
    chances: Annotated[
        bool, typer.Option("--chances", help="Ask nobody; draw how likely a licence is, by recall and false alarms.")
    ] = False,
) -> None:
    """Measure judges and detectors on labelled rows and contrast sets; only a judge that measures well enough may gate.

    It says first how many questions that takes, what they cost and how long. Exit code 0: for each kind of harm that the judges
    asked are for, one is licensed. 1: for some kind none is, no judge could be asked, or with --due one has to be measured again.
    """
    if due is not None:
        return _tell_due(task, due)
    if chances:
        return _tell_chances(task, judge)
    from eval.judges.calibrate import SETS, CalibrateOptions

    chosen = names_of(sets)
    if not chosen or set(chosen) - set(SETS):
        say(f"error: --sets is {sets!r}; use some of {', '.join(SETS)}, comma separated", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN)
    options = CalibrateOptions(
        task=task,
        rubrics=names_of(judge),
        model=model,
        repeats=repeats,
        sets=chosen,
        concurrency=concurrency,
        fresh=fresh,
        dev_cases=dev_cases,
        gate_cases=gate_cases,
    )
    return _measure(options, api_base)


def _measure(options: "CalibrateOptions", api_base: str | None) -> None:
    from eval.judges.calibrate import calibrate as measure
    from eval.judges.calibrate import missing_licences
    from eval.judges.detectors import detector_lines
    from eval.judges.guarded import reply_lines
    from eval.judges.pair_judges import calibrate_approvals
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import configure_logging

    settings = _settings(options.model, api_base)
    for line in (*detector_lines(options.task, settings), *reply_lines(options.task, settings)):
        say(line)
    with interruptible("Answers are kept; run the same command again to go on."):
        reports = measure(options, settings, say)
        configure_logging(settings.telemetry.log_level)
        with exporting(settings):
            reports += calibrate_approvals(options, settings, say)
    for report in reports:
        for line in _lines(report):
            say(line)
    missing = missing_licences(reports)
    if missing:
        say(f"no judge measured here is licensed for: {', '.join(missing)}")
    if missing or not reports:
        raise typer.Exit(1)


def _settings(model: str | None, api_base: str | None) -> "Settings":
    """Return the settings with the server that runs the judge's ``model``."""
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import Settings

    if api_base is None:
        return Settings()
    if model is None or "," in model:
        raise ConfigurationError("--api-base is the address of the server of --model; name one model, too")
    return with_api_base(Settings(), model, api_base)


def _tell_due(task: str, days: int) -> None:
    from datetime import UTC, datetime

    from eval.judges.licensing.due import judges_due
    from eval.judges.pair_judges import approvals_due
    from service.kit.settings import Settings

    settings, now = Settings(), datetime.now(UTC)
    found = [*judges_due(task, settings, days=days, now=now), *approvals_due(task, settings, days=days, now=now)]
    for item in found:
        state = f"due, {item.reason}" if item.reason else f"holds, measured {item.measured[:10]}"
        say(f"judge {item.rubric} on {item.model}: {state}")
    if any(item.reason for item in found):
        say(f"measure them: {omni('calibrate', task=task)}")
        raise typer.Exit(1)


def _tell_chances(task: str, judge: str | None) -> None:
    from eval.judges.licensing.chances import chance_lines
    from service.kit.settings import Settings

    for line in chance_lines(task, Settings(), judge):
        say(line)


def _lines(report: "JudgeReport") -> list[str]:
    from eval.judges.calibration import interval_text
    from eval.judges.contrast_table import figure_lines, judge_table

    record = report.record
    lines = [
        "",
        f"judge {record.rubric} on {record.model}, answered by {record.answered_by or 'nobody'} "
        f"({record.judge_digest[:12]}, {report.calls} answers, {record.repeats} per row)",
    ]
    for item in record.sets:
        lines.append(
            f"  {item.set_name}: n={item.n} ({item.bad_rows} bad, {item.unscored} unscored), "
            f"kappa {interval_text(item.kappa)}, accuracy {interval_text(item.accuracy)}, "
            f"self-agreement {interval_text(item.self_agreement)}"
            + (f", same in both orders {interval_text(item.swap_agreement)}" if item.swap_agreement else "")
        )
        lines.append("    called bad: " + ", ".join(f"{kind} {bad}/{n}" for kind, (bad, n) in item.flagged.items()))
    lines += [f"  {count} x unscored: {reason}" for reason, count in report.failures[:_REASONS_SHOWN]]
    if record.contrasts is not None:
        cases = ", ".join(f"{count} of {name}" for name, count in record.contrasts.cases.items())
        lines += ["", f"Contrast sets (cases: {cases})", *judge_table(record.rubric, record.contrasts)]
        lines += [f"  {line}" for line in figure_lines(record.contrasts)]
    return [*lines, *(f"  {note}" for note in report.notes), *_standing(report)]


def _standing(report: "JudgeReport") -> list[str]:
    """Return whether the judge may gate, and on which kinds of harm."""
    if report.licence is not None:
        granted = report.licence
        if granted.refused:
            return [f"  no licence, shown only: {granted.refused}"]
        lines = (
            [f"  licensed, given what each run measures on its own answers: {granted.summary}"]
            if granted.licensed
            else []
        )
        lines += [f"  no licence for {item}: {item.missing}" for item in granted.classes if not item.licensed]
        return [*lines, *(f"  warning, {warning}" for warning in granted.warnings)]
    if report.shortfall:
        return [f"  uncalibrated, shown only: {report.shortfall}"]
    if report.approves:
        return ["  calibrated: what it approves leaves; it decides no verdict of the gate"]
    if not report.spec.bounded:
        return ["  calibrated; the suite shows it without gating on it"]
    return [f"  calibrated: gates at {report.spec.floor:g}"]
