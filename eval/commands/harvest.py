"""``harvest``: propose cases from what went wrong in production, review them, add the accepted ones."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, TaskName, names_of, with_local_aws
from figures.command_line import omni
from service.kit.frame.display.terminal import open_console, say

if TYPE_CHECKING:
    from eval.harvest.propose import HarvestContext
    from service.kit.settings import Settings

harvest = typer.Typer(no_args_is_help=True, help="Turn what went wrong into cases: propose, review, accept.")
Week = Annotated[str | None, typer.Option(help="ISO week, e.g. 2026-W46; default: the newest full one.")]
Slice = Annotated[str | None, typer.Option("--slice", help="Only this slice, as the report names it: channel=web.")]
Most = Annotated[int, typer.Option(min=1, max=1000, help="How many proposals at most.")]
Against = Annotated[
    str, typer.Option("--against", help="Sets to compare with, comma separated; default: every set of the task.")
]


@harvest.command("propose")
def propose_cases(
    week: Week = None, part: Slice = None, most: Most = 20, against: Against = "", task: TaskName = "summarize"
) -> None:
    """Write proposals from what went wrong in a week; nothing is accepted yet.

    Of answers those that were unhelpful, edited, degraded, refused or of a new intent, of scorecards those that people overruled.
    """
    from datetime import UTC, datetime, timedelta

    from eval.harvest.candidates import week_of
    from eval.harvest.proposal import proposals_path, write_proposals
    from eval.harvest.propose import propose
    from service.kit.settings import Settings
    from service.kit.telemetry.log import configure_logging
    from service.warehouse.opening import open_warehouse

    settings = with_local_aws(Settings())
    configure_logging("WARNING")
    week = week or week_of((datetime.now(UTC) - timedelta(weeks=1)).date())
    context = _context(task, settings, against)
    path = proposals_path(task, settings)
    with _alone(path, "proposing cases"):
        earlier = context.proposals(path)
        warehouse = open_warehouse(settings, read_only=True)
        try:
            candidates = context.source.candidates(warehouse, task, week, part)
        finally:
            warehouse.close()
        found = propose(candidates, earlier, context.source.origin(settings), context, week=week, most=most)
        write_proposals(path, [*earlier, *found.new])
    say(f"{week}: {len(candidates)} candidates, {len(found.new)} proposed, {len(earlier)} there before")
    for reason, count in found.left_out.most_common():
        say(f"  left out, {reason}: {count}")
    if found.left_out["copy of dev"]:
        others = ",".join(name for name in context.set_names() if name != "dev")
        asked = ["--week", week, *(["--slice", part] if part else []), "--against", others]
        again = omni("harvest", "propose", *asked, task=task)
        say(f"  simulated traffic is made from the cases of dev; to propose from it nevertheless: {again}")
    if found.new:
        say(f"{path}\nNext: review them: {_further('review', against, task)}")


@harvest.command("review")
def review_cases(against: Against = "", task: TaskName = "summarize") -> None:
    """Show the open proposals one by one: accept, edit, drop, skip. Each decision is kept at once."""
    from rich.prompt import Prompt

    from eval.harvest.proposal import proposals_path
    from eval.harvest.review import review
    from service.kit.settings import Settings

    settings = Settings()
    if not sys.stdin.isatty():
        accept = _further("accept", against, task)
        say(f"error: no terminal: write decisions into the file and run `{accept}`", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN)
    console = open_console()
    path = proposals_path(task, settings)
    try:
        with _alone(path, "a review of proposals"):
            counts = review(path, _context(task, settings, against), console, Prompt.ask)
    except (KeyboardInterrupt, EOFError):
        say("\nstopped; every decision so far is kept")
        return
    say(", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing is open")
    if counts["accepted"]:
        _say_who_must_pass(task)


@harvest.command("accept")
def accept_decisions(against: Against = "", task: TaskName = "summarize") -> None:
    """Add every proposal with "decision": "accept" to the regression set. Exit code 1: some were refused."""
    from eval.harvest.proposal import proposals_path
    from eval.harvest.review import apply
    from service.kit.settings import Settings

    settings = Settings()
    path = proposals_path(task, settings)
    with _alone(path, "accepting proposals"):
        accepted, refused = apply(path, _context(task, settings, against))
    for name in accepted:
        say(f"accepted {name} into {settings.datasets_dir / task / 'regression.jsonl'}")
    if accepted:
        _say_who_must_pass(task)
    for line in refused:
        say(f"refused {line}")
    if not accepted and not refused:
        say('no line says "decision": "accept"')
    if refused:
        raise typer.Exit(1)


def _say_who_must_pass(task: str) -> None:
    from eval.suites import load_suite

    if not load_suite(task).must_pass:
        say(f"  the suite of {task} has no must_pass: until it names a score there, these cases decide nothing")


def _further(command: str, against: str, task: str) -> str:
    # Against other sets than these were proposed with, the same proposals would be refused as copies.
    return omni("harvest", command, *(["--against", against] if against else []), task=task)


def _alone(proposals: Path, what: str) -> AbstractContextManager[object]:
    from eval.spine.alone import working_alone

    return working_alone(proposals.with_suffix(".lock"), f"{what} in {proposals}")


def _context(task: str, settings: "Settings", against: str) -> "HarvestContext":
    from eval.harvest.propose import HarvestContext
    from eval.harvest.sources import load_case_source
    from eval.suites import load_case_rules
    from service.access.control import account_key
    from service.core.run.task import load_task

    return HarvestContext(
        task=load_task(task),
        source=load_case_source(task),
        rules=load_case_rules(task),
        folder=settings.datasets_dir / task,
        key=account_key(settings),
        against=names_of(against),
    )
