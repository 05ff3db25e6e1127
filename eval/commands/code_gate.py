"""``code-gate``: judge a code change by what it changes in the answers of the pair in production."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, GATE_REJECTS, Base
from service.commands.output import AsJson, print_json
from service.display.terminal import say

if TYPE_CHECKING:
    from eval.codegate.run import CodeOutcome
    from service.settings import Settings


def code_gate(
    base: Base = "origin/main",
    task: Annotated[str | None, typer.Option("--task", help="Judge this task alone; default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run production's pair (else the floor) on BASE's code and on this code: no gated figure may get worse.

    Besides the pair's own answers it compares what the service shows of scripted good answers and of planted faults, which
    only a working guard stops. The base's scorers and margins judge both sides.

    Exit code 0: no figure is worse. 1: one is, or it cannot be told. 2: could not run, as when the base's code does not run here.
    """
    from eval.results import Verdict
    from service.settings import Settings

    try:
        outcomes = code_outcomes(base, task, Settings(), quiet=as_json)
    except KeyboardInterrupt:
        say("error: interrupted; run the same command again.", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None
    if as_json:
        print_json([plain(outcome) for outcome in outcomes])
    if any(outcome.verdict is not Verdict.PASS for outcome in outcomes):
        raise typer.Exit(GATE_REJECTS)


def code_outcomes(base: str, task: str | None, settings: "Settings", *, quiet: bool = False) -> "list[CodeOutcome]":
    """Judge one task, or all that have a floor, and print each outcome."""
    from eval.codegate.run import judged_tasks, run_code_gate
    from eval.codegate.words import lines

    outcomes = []
    for name in [task] if task is not None else judged_tasks(settings):
        outcome = run_code_gate(name, base, settings, lambda line: say(line, file=sys.stderr, flush=True))
        outcomes.append(outcome)
        if not quiet:
            say("\n".join(lines(outcome)), flush=True)
    return outcomes


def plain(outcome: "CodeOutcome") -> dict[str, object]:
    """Return an outcome as JSON values."""
    from dataclasses import asdict

    from eval.codegate.words import headline

    return {"verdict": outcome.verdict.value, "headline": headline(outcome), **asdict(outcome)}
