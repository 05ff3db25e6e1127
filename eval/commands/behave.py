"""``python -m eval behave``: must-behave cases and attacks against the running service, by promptfoo."""

import sys
from typing import Annotated

import typer


def behave(
    pair: Annotated[str, typer.Option(help="Pair name; its file is served as it is.")] = "",
    url: Annotated[
        str | None, typer.Option(help="A running service that serves this pair; default: start one.")
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Which task; a module in service/tasks.")] = "summarize",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Requests in flight; default 4 for code, 2 for models.")
    ] = None,
    install_only: Annotated[bool, typer.Option("--install-only", help="Install promptfoo and stop.")] = False,
    if_declared: Annotated[
        bool, typer.Option("--if-declared", help="Exit 0 where the task's suite declares no behaviour, instead of 2.")
    ] = False,
) -> None:
    """Check a pair's behaviour in the running service: challenge cases, injections plain and disguised, leaks.

    The result counts in the next evaluation's gate. Exit code 1 when a behaviour floor is missed or undecided.
    """
    from eval.behaviour.install import install
    from eval.behaviour.report import log_behaviour, render_behaviour
    from eval.behaviour.run import run_behaviour
    from eval.results import Verdict
    from eval.suites import load_suite
    from service.settings import Settings

    settings = Settings()
    if not pair and not install_only:
        print("error: name the pair: make behave PAIR=<name> [TASK=name]", file=sys.stderr)
        raise typer.Exit(2)
    if if_declared and load_suite(task).behaviour is None:
        print(f"note: the suite of {task!r} declares no behaviour; its evaluation alone decides", file=sys.stderr)
        return
    try:
        if install_only:
            print(f"promptfoo is in {install(settings)}")
            return
        outcome = run_behaviour(task, pair, settings, url=url, concurrency=concurrency)
        checks = render_behaviour(outcome)
        log_behaviour(outcome, settings)
    except KeyboardInterrupt:
        print("error: interrupted; nothing was kept. Run the same command again.", file=sys.stderr)
        raise typer.Exit(2) from None
    if any(check.verdict is not Verdict.PASS for check in checks):
        raise typer.Exit(1)
