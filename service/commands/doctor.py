"""``doctor``: check a deployment and say what to do."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.kit.frame.display.output import print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.kit.settings import Settings
    from service.operate.doctor.checks import CheckedPart


def doctor(
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print what was found.")] = "text",
    readiness: Annotated[
        bool,
        typer.Option("--readiness", help="Fill in the checklist before production instead (infra/readiness.yaml)."),
    ] = False,
    release: Annotated[
        bool,
        typer.Option("--release", help="Show the last result of make drill instead: may this checkout be released?"),
    ] = False,
) -> None:
    """Check credentials, clock, stores, keys, releases, models and disk, and say what to do. Exit code 1: there is a problem."""
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.settings import Settings
    from service.operate.doctor.checks import check_deployment

    if release:
        from service.operate.doctor.drill import check_drill

        _say_parts([check_drill(Settings().root)], form)
        return
    settings = with_endpoint(Settings())
    found = list(check_deployment(settings))
    if readiness:
        _checklist(settings, found, form)
        return
    _say_parts(found, form)


def _say_parts(found: "list[CheckedPart]", form: str) -> None:
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


def _checklist(settings: "Settings", found: "list[CheckedPart]", form: str) -> None:
    from service.operate.doctor.readiness import check_readiness

    lines = list(check_readiness(settings, found))
    if form == "json":
        print_json([dataclasses.asdict(line) for line in lines])
    else:
        for line in lines:
            say(f"{line.state:<8}  {line.item} ({line.owner}): {line.seen}")
        say(f"{sum(line.state == 'done' for line in lines)} of {len(lines)} done")
    if any(line.state != "done" for line in lines):
        raise typer.Exit(1)
