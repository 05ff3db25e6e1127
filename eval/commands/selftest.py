"""``selftest``: check that the gate rejects pairs with planted faults."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import TaskName, interruptible, names_of
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from eval.selftest.doses.run import DoseOptions
    from eval.selftest.run import SelftestOptions


def selftest(
    task: TaskName = "summarize",
    engine: Annotated[
        str | None,
        typer.Option(help="scripted, extractive, bundled; comma separated. Default: scripted and extractive."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=100, help="How many seeds; default 3, bundled 1.")] = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Size of a stratified sample; default: all cases, bundled 80.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the cases; default: gate.")] = None,
    mutants: Annotated[str | None, typer.Option(help="Planted faults to try, comma separated; default: all.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask the bundled model again even where answers are cached.")
    ] = False,
    doses: Annotated[
        bool, typer.Option("--doses", help="Plant each kind of harm in 100, 25, 10 and 5% of three systems' answers.")
    ] = False,
    trials: Annotated[
        int, typer.Option(min=0, help="With --doses: independent draws of each good system; they must pass.")
    ] = 50,
    first_release: Annotated[
        bool, typer.Option("--first-release", help="Doses with nothing in production: only bounds decide.")
    ] = False,
    strangers: Annotated[
        bool,
        typer.Option("--strangers", help="Doses of kinds by authors who knew no detector; also at a first release."),
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --doses: keep the result for the reports of evaluations.")
    ] = False,
    holdout: Annotated[
        bool,
        typer.Option("--holdout", help="Compare systems on calls by another author with the gate set; no verdict."),
    ] = False,
) -> None:
    """Plant faults in good systems: the gate must reject each for the right reason, and must pass the good systems.

    Exit code 1: the gate passed a fault or did not pass a good system.
    """
    from eval.selftest.conversations import has_conversations

    kinds = names_of(mutants)
    if holdout:
        _holdout(task)
    elif not strangers and has_conversations(task):
        given = {"--engine": engine, "--seeds": seeds, "--cases": cases, "--fresh": fresh, "--doses": doses}
        _conversations(task, dataset, kinds, given, first_release=first_release)
    elif doses or first_release or strangers:
        from eval.selftest.doses.run import DoseOptions

        chosen = DoseOptions(task=task, dataset=dataset or "gate", kinds=kinds, equal_trials=trials, write=write)
        _doses(replace(chosen, first_release=first_release, strangers=strangers))
    else:
        from eval.selftest.run import SelftestOptions, to_engines

        planted = SelftestOptions(
            task=task, engines=to_engines(names_of(engine)), seeds=seeds, cases=cases, fresh=fresh
        )
        _faults(replace(planted, dataset=dataset, mutants=kinds))


def _conversations(
    task: str, dataset: str | None, kinds: tuple[str, ...], given: Mapping[str, object], *, first_release: bool
) -> None:
    from eval.selftest.conversations import conversation_selftest
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import Settings
    from service.kit.telemetry.log import configure_logging

    if options := [name for name, value in given.items() if value]:
        raise ConfigurationError(
            f"task {task!r} is tried on the right runs of its conversations, all with one seed: leave {', '.join(options)} out"
        )
    configure_logging("WARNING")
    outcome = conversation_selftest(
        task, Settings(), dataset=dataset, kinds=kinds, first_release=first_release, say=_say_at_once
    )
    _print(outcome.page)
    say(f"\nTable: {outcome.path}")
    _end(len(outcome.problems))


def _faults(options: "SelftestOptions") -> None:
    from eval.selftest.run import selftest as run_selftest
    from service.kit.settings import Settings

    with interruptible("The bundled model's answers are kept; run the same command again to go on."):
        outcome = run_selftest(options, Settings(), say=_say_at_once)
    _print(outcome.page)
    say(f"\nTable: {outcome.path}")
    _end(len(outcome.problems))


def _say_at_once(line: str) -> None:
    say(line, flush=True)


def _end(problems: int) -> None:
    from figures.formatting import plural

    if problems:
        say(f"The gate is broken: {plural(problems, 'problem')}.", file=sys.stderr)
        raise typer.Exit(1)


def _doses(options: "DoseOptions") -> None:
    from eval.selftest.doses.run import measure_doses
    from figures.formatting import plural
    from service.kit.settings import Settings

    outcome = measure_doses(options, Settings(), say=_say_at_once)
    _print(outcome.page)
    say(f"\nTable: {outcome.path}\nPicture: {outcome.path.with_suffix('.svg')}")
    if outcome.missed:
        say(f"The gate misses {plural(len(outcome.missed), 'bar')}.", file=sys.stderr)
        raise typer.Exit(1)


def _holdout(task: str) -> None:
    from eval.selftest.holdout import holdout_page
    from service.kit.settings import Settings
    from service.kit.telemetry.log import configure_logging

    configure_logging("WARNING")
    _print(holdout_page(task, Settings()))


def _print(page: str) -> None:
    """Print the page with its tables' columns aligned."""
    block: list[list[str]] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        widths = [max(len(cell) for cell in column) for column in zip(*block, strict=True)] if block else []
        for row in block:
            if not all(set(cell) <= {"-"} for cell in row):
                say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        block = []
        say(line.replace("**", "").lstrip("# ") if line.startswith("#") else line.replace("**", "").replace("`", ""))
