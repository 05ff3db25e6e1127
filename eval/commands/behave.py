"""``behave``: run must-behave cases and attacks against the running service, with promptfoo."""

import sys
from typing import Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, GATE_REJECTS, TaskName, interruptible
from figures.command_line import omni
from service.kit.frame.display.terminal import say


def behave(
    pair: Annotated[str, typer.Argument(metavar="PAIR", help="Name of the pair; its file is served unchanged.")] = "",
    url: Annotated[
        str | None, typer.Option(help="A running service that serves this pair; default: start one.")
    ] = None,
    task: TaskName = "summarize",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Requests in flight; default 4 for code, 2 for models.")
    ] = None,
    install_only: Annotated[
        bool, typer.Option("--install-only", help="Install promptfoo as locked (281 MB) and stop.")
    ] = False,
    if_declared: Annotated[
        bool, typer.Option("--if-declared", help="Exit 0 instead of 2 when the task's suite declares no behaviour.")
    ] = False,
) -> None:
    """Check a pair's behaviour in the running service: challenge cases, plain and disguised injections, leaks.

    The next evaluation's gate counts the result. Exit code 1: a behaviour floor is missed or undecided.
    """
    if install_only:
        from eval.behaviour.install import install
        from service.kit.settings import Settings

        say(f"promptfoo is in {install(Settings())}")
        return
    if not pair:
        say(f"error: name the pair: {omni('behave', 'PAIR', task=task)}", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN)
    if not measure_behaviour(task, pair, url=url, concurrency=concurrency, if_declared=if_declared):
        raise typer.Exit(GATE_REJECTS)


def measure_behaviour(task: str, pair: str, *, url: str | None, concurrency: int | None, if_declared: bool) -> bool:
    """Measure, print and record a pair's behaviour; return True if it passes or the suite declares none."""
    from eval.behaviour.report import log_behaviour, render_behaviour
    from eval.behaviour.run import run_behaviour
    from eval.spine.results import Verdict
    from eval.suites import load_suite
    from service.kit.settings import Settings

    if if_declared and load_suite(task).behaviour is None:
        say(f"note: the suite of {task!r} declares no behaviour; its evaluation alone decides", file=sys.stderr)
        return True
    settings = Settings()
    with interruptible("Nothing was kept; run the same command again."):
        outcome = run_behaviour(task, pair, settings, url=url, concurrency=concurrency)
        checks = render_behaviour(outcome)
        log_behaviour(outcome, settings)
    return all(check.verdict is Verdict.PASS for check in checks)
