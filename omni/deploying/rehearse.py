"""``rehearse``: brings production up on this machine from its committed templates, uses it, breaks it, and mends it."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from omni.deploying.rehearsal.steps import RehearsalRow

_FAILED = 1
rehearse = typer.Typer(no_args_is_help=True, help="Bring production up on this machine from its committed templates.")


@rehearse.callback()
def group() -> None:
    """Bring production up on this machine from its committed templates."""


@rehearse.command("production")
def production(
    templates: Annotated[
        Path | None, typer.Option(help="Folder with prod/<stack>.json; default: infra/cdk/templates.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Name of the last step to run; default: all run.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the logs of all processes where they are.")] = False,
) -> None:
    """Rehearse production: stacks, first release, answer, rollout, rollback, restore, and what is killed. Takes minutes.

    Everything runs on this machine: the stacks in the local AWS, tasks as processes with their template's command, variables,
    secrets, names and rights, PostgreSQL in place of RDS. Exit code 1: a step got something else than it expects.
    """
    from omni.deploying.rehearsal import bring_up, broken, clients, in_use, runbooks, watched
    from omni.deploying.rehearsal.steps import rehearse as run
    from omni.deploying.rehearsal.templates import FOLDER
    from omni.deploying.rehearsal.world import LocalProduction

    given = templates or FOLDER
    if not (given / "prod").is_dir():
        raise ConfigurationError(
            f"{given} holds no folder prod: name a folder of templates, as `make infra WRITE=1` writes them"
        )
    steps = [*bring_up.STEPS, *in_use.STEPS, *clients.STEPS, *runbooks.STEPS, *broken.STEPS, *watched.STEPS]
    if until is not None:
        names = [step.name for step in steps]
        if until not in names:
            raise ConfigurationError(f"no step {until!r}; there are {', '.join(names)}")
        steps = steps[: names.index(until) + 1]
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no process is left behind
    world = LocalProduction(folder, given)
    say("| step | expected | got | seconds |\n|---|---|---|---|")
    failed = 0
    try:
        for row in run(world, steps):
            failed += row.outcome != "ok"
            say(_line(row))
    finally:
        world.close()
        if not keep and not failed:
            shutil.rmtree(folder, ignore_errors=True)
    say("\nWhat only AWS can show:\n")
    for line in only_aws():
        say(line)
    if failed:
        say(f"\n{failed} of {len(steps)} steps got something else; the logs are in {folder}")
        raise typer.Exit(_FAILED)


def _line(row: "RehearsalRow") -> str:
    got = row.got if row.outcome == "ok" else f"{row.outcome}: {row.got}".rstrip(": ")
    cells = (row.step, row.expected, got, f"{row.seconds:.0f}")
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


def only_aws() -> list[str]:
    """Return a line for each thing that the rehearsal cannot show, with AWS's rule and its source."""
    import yaml

    file = Path(__file__).with_name("rehearsal") / "only_aws.yaml"
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [f"- {one['what']}: {one['rule']} ({one['source']})" for one in found]
