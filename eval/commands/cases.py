"""``python -m eval cases``: checks a task's case files."""

from typing import Annotated

import typer


def check_cases(
    task: Annotated[str, typer.Argument(help="Which task.")] = "summarize",
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Report one file alone; it is still compared with the others.")
    ] = None,
) -> None:
    """Check all case files: each case, copies between cases, balance, the judge's labels. Exit code 1: problems found."""
    from eval.casecheck.check import check_folder
    from eval.casecheck.report import render_findings
    from eval.console import open_console
    from eval.suites import load_case_rules
    from service.settings import Settings
    from service.task import load_task

    loaded = load_task(task)
    findings = check_folder(Settings().datasets_dir / task, loaded, load_case_rules(task), only=dataset)
    render_findings(findings, open_console())
    if findings.problems:
        raise typer.Exit(1)
