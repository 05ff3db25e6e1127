"""``shadow report``: judge a candidate by the answers that it gave unseen."""

from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import GATE_REJECTS, TaskName, with_local_aws
from service.kit.frame.display.output import AsJson, human_text, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.kit.settings import Settings

shadow = typer.Typer(no_args_is_help=True, help="Judge a candidate by its shadow answers to real requests.")


@shadow.callback()
def _group() -> None:
    # A group with one command: without this, typer would make the command the group.
    pass


@shadow.command("report")
def report_shadows(
    task: TaskName = "summarize",
    candidate: Annotated[
        str | None, typer.Option(help="Beginning of the candidate's digest; default: the newest answer's candidate.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="How many records to read, the newest.")] = 2000,
    as_json: AsJson = False,
) -> None:
    """Compare a candidate's shadow answers with what production answered, by the gate's figures that need no labels.

    Exit code 0: pass, 1: fail or inconclusive, 2: nothing could be judged. Meaning is not looked at.
    """
    from eval.shadow.report import console_lines, to_json
    from eval.shadow.run import shadow_report
    from eval.spine.results import Verdict
    from service.kit.settings import Settings

    with human_text(as_json=as_json):
        report, page = shadow_report(task, _with_local_aws(Settings()), candidate=candidate, most=most)
        say("\n".join([*console_lines(report), f"Report: {page}"]))
    if as_json:
        print_json({**to_json(report), "report": str(page)})
    if report.result.gate.verdict is not Verdict.PASS:
        raise typer.Exit(GATE_REJECTS)


def _with_local_aws(settings: "Settings") -> "Settings":
    """Return ``settings`` with the local AWS where it runs; without it only the file of this machine is read."""
    if settings.environment != "local":
        return settings
    from service.local import aws  # in no image

    return with_local_aws(settings) if aws.ministack(settings).pid() is not None else settings
