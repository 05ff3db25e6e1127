"""``doctor``: check a deployment and say what to do."""

import dataclasses
from typing import Annotated, Literal

import typer

from service.commands.output import print_json
from service.display.terminal import say


def doctor(
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print what was found.")] = "text",
) -> None:
    """Check credentials, clock, stores, keys, releases and disk, and say what to do. Exit code 1: there is a problem."""
    from service.doctor.checks import check_deployment
    from service.local.aws import with_endpoint
    from service.settings import Settings

    found = list(check_deployment(with_endpoint(Settings())))
    problems = sum(bool(one.problem) for one in found)
    if form == "json":
        print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            page = f" (docs/runbooks/{one.runbook}.md)" if one.runbook else ""
            say(f"problem  {one.part}: {one.problem}. {one.do}{page}" if one.problem else f"ok       {one.part}")
        say(f"{problems} of {len(found)} checks found a problem" if problems else f"all {len(found)} checks passed")
    if problems:
        raise typer.Exit(1)
