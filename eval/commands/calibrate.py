"""``calibrate``: measure how far judges and detectors agree with labels."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, Concurrency, TaskName, names_of

if TYPE_CHECKING:
    from eval.judges.calibrate import JudgeReport


def calibrate(
    task: TaskName = "summarize",
    judge: Annotated[str | None, typer.Option(help="Rubrics, comma separated; default: all of the suite.")] = None,
    model: Annotated[str | None, typer.Option(help="Judge model in place of the prompt files' own.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=10, help="Grades per row; 2 or more measure self-agreement.")] = 3,
    sets: Annotated[str, typer.Option(help="Labelled sets: own, public, or own,public.")] = "own,public",
    concurrency: Concurrency = None,
    fresh: Annotated[bool, typer.Option(help="Ask the judge again even where answers are cached.")] = False,
) -> None:
    """Measure judges and the deterministic detectors against labelled rows; only a judge that agrees may gate.

    Exit code 0: every judge asked may gate, or the suite only shows it. 1: a judge that the suite gates on may not gate.
    """
    from eval.judges.calibrate import OWN, PUBLIC, CalibrateOptions
    from eval.judges.calibrate import calibrate as measure
    from eval.judges.detectors import detector_lines
    from service.settings import Settings

    chosen = names_of(sets)
    if not chosen or set(chosen) - {OWN, PUBLIC}:
        print(f"error: --sets is {sets!r}; use own, public, or own,public", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN)
    settings = Settings()
    for line in detector_lines(task, settings):
        print(line)
    options = CalibrateOptions(
        task=task,
        rubrics=names_of(judge),
        model=model,
        repeats=repeats,
        sets=chosen,
        concurrency=concurrency,
        fresh=fresh,
    )
    try:
        reports = measure(options, settings, print)
    except KeyboardInterrupt:
        print("error: interrupted. Answers are kept; run the same command again to go on.", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None
    for report in reports:
        for line in _lines(report):
            print(line)
    if any(report.shortfall and report.spec.floor is not None for report in reports):
        raise typer.Exit(1)


def _lines(report: "JudgeReport") -> list[str]:
    from eval.judges.calibration import interval_text

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
    lines += [f"  {count} x unscored: {reason}" for reason, count in report.failures]
    if report.shortfall:
        lines.append(f"  uncalibrated, shown only: {report.shortfall}")
    elif report.spec.floor is None:
        lines.append("  calibrated; the suite shows it without gating on it")
    else:
        lines.append(f"  calibrated: gates at {report.spec.floor:g}")
    return lines
