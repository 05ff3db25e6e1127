"""The weekly report's commands of ``omni``; heavy imports stay inside the functions."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from service.kit.frame.display.terminal import say

TARGET_MISSED = NO_ANSWERS = 1


def report(
    week: Annotated[str, typer.Option(help="ISO week as 2026-W47; default: the last one that is over.")] = "",
    task: Annotated[
        str, typer.Option(help="Report on this task alone; default: all with answers in the week or the one before.")
    ] = "",
    zone: Annotated[
        str, typer.Option(help="IANA time zone of the weeks and days; default: OMNI_REPORT_ZONE, else UTC.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print headline, evidence and paths as one JSON document; for scripts.")
    ] = False,
) -> None:
    """Write page, digest and numbers of one week, for all tasks together or for one.

    Exit code 1, without --json: the week holds no answers.
    """
    from reports.run import write_weekly
    from service.kit.settings import Settings

    written = write_weekly(Settings(), week=week, task=task, zone=zone)
    if as_json:
        say(json.dumps(asdict(written), indent=2, ensure_ascii=False, default=str))
        return
    say(f"{written.headline}\n{written.evidence}")
    if len(written.tasks) > 1:
        say(f"Tasks: {', '.join(written.tasks)}")
    say(f"\nReport: {written.page}\nDigest: {written.digest}\nNumbers: {written.numbers}")
    for number, action in enumerate(written.actions):
        say(f"{'Then' if number else 'Next'}: {action.do}" + (f": {action.command}" if action.command else ""))
    if written.empty:
        raise typer.Exit(NO_ANSWERS)


def feature_drift(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VIEW]...", help="services, or services@2; default: all that are served."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Compare with what was known this many days ago.")] = 7,
) -> None:
    """Compare features of all customers now and some days ago: PSI, KS distance and share of missing values, for each."""
    from reports.run import feature_drift_lines
    from service.kit.settings import Settings

    for line in feature_drift_lines(Settings(), names or [], days=days):
        say(line)


def check_approvals(
    task: Annotated[str, typer.Option(help="A task whose pairs approve their own answers.")] = "upsell",
) -> None:
    """Compare what pairs approve of their own messages with the four weeks before. Exit code 1: something is unusual.

    The alarms `approval-*` are made of what it finds. The days are UTC's, and today is left out.
    """
    from reports.run import look_at_approvals
    from service.kit.settings import Settings

    lines, found = look_at_approvals(Settings(), task)
    for line in lines:
        say(line)
    if found:
        raise typer.Exit(1)


def bench_approvals(
    years: Annotated[int, typer.Option(min=1, help="Quiet years, and as many planted faults of each kind.")] = 20,
    messages: Annotated[int, typer.Option(min=1, help="Messages a day.")] = 200,
) -> None:
    """Count the false alarms on approvals in simulated quiet years, and the days until a planted fault is found."""
    from reports.simulate.approvals import measure

    for line in measure(years=years, messages=messages):
        say(line, flush=True)


def report_power(
    seeds: Annotated[int, typer.Option(min=1, help="Whole reports without and with a planted slice.")] = 20,
    draws: Annotated[int, typer.Option(min=1, help="Tables of comparisons per number of ratings.")] = 400,
) -> None:
    """Measure how often the weekly report raises a false alarm, and how often it finds a slice that is worse."""
    from reports.simulate.power import simulate

    for line in simulate(seeds=seeds, draws=draws):
        say(line, flush=True)


def bench_months(
    months: Annotated[
        int, typer.Option(min=1, help="Months with a planted fault, and as many without a change.")
    ] = 200,
    answers: Annotated[int, typer.Option(min=100, help="Answers a week; a fifth of them are rated.")] = 4_000,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first month; others give other months.")] = 0,
) -> None:
    """Measure whether the weekly report names figure, first day and cause of planted faults. Exit code 1: a target is missed."""
    from reports.simulate.months import measure

    met = True
    for line in measure(months=months, answers=answers, first_seed=first_seed):
        if isinstance(line, str):
            say(line, flush=True)
        else:
            met = line
    if not met:
        raise typer.Exit(TARGET_MISSED)


def bench_report(
    answers: Annotated[str, typer.Option(help="Sizes, comma separated.")] = "10000,100000,1000000",
) -> None:
    """Measure the report's time and memory on invented weeks.

    Exit code 1: a target is missed; 1,000,000 answers may take 60 s and 4 GB.
    """
    from reports.simulate.scale import measure

    sizes = tuple(int(size) for size in answers.replace(",", " ").split())
    if not measure(sizes):
        raise typer.Exit(TARGET_MISSED)
