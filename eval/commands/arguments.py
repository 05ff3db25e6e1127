"""Command line arguments that several commands share, and their parsing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from figures.command_line import NO_REASON
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from eval.release.unseen import Waiver
    from service.kit.settings import Settings

GATE_REJECTS, COULD_NOT_RUN = 1, 2

PairName = Annotated[str, typer.Argument(metavar="PAIR", help="Name of the pair's file in prompts/<task>/.")]
TaskName = Annotated[str, typer.Option("--task", help="Name of the task: a folder of service/core/tasks.")]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="Dataset of the cases; default: the suite's gate set.")
]
CaseCount = Annotated[
    int | None, typer.Option("--cases", min=1, help="Evaluate a stratified sample of this many cases.")
]
Repeats = Annotated[
    int | None,
    typer.Option(
        min=1, max=20, help="Answers per case, for models with a temperature above 0; default: what the metrics need."
    ),
]
Concurrency = Annotated[int | None, typer.Option(min=1, max=256, help="Model calls in flight; default 2 local, 8 aws.")]
Base = Annotated[str, typer.Option(help="The commit to compare with.")]
BudgetUsd = Annotated[
    float | None, typer.Option("--budget-usd", min=0, help="End without evidence before the live calls cost more USD.")
]
ApprovedBy = Annotated[
    str | None,
    typer.Option(help="Who approved it. In CI, where the user is nobody: default GITHUB_ACTOR, unless that is a bot."),
]
PullRequest = Annotated[
    str | None, typer.Option(help="Number or address of the pull request; in CI default: what GitHub's event says.")
]
WithoutJudge = Annotated[
    str | None,
    typer.Option(
        metavar="WHY",
        help="Release although no licensed judge looked at some kinds of harm: why. Signed into the release with the next two.",
    ),
]
AllowedBy = Annotated[
    str | None, typer.Option(metavar="WHO", help="The person who allows --without-judge; in CI default: the approver.")
]
Until = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="Last day (UTC) on which --without-judge holds, at most 14 days ahead."),
]


def waiver(why: str | None, who: str | None, until: str | None, settings: "Settings") -> "Waiver | None":
    """Return what --without-judge, --allowed-by and --until ask for; at a terminal what is missing is asked."""
    from eval.release.unseen import Waiver
    from service.kit.frame.clock import wall_clock

    if (why or "").strip() and sys.stdin.isatty():
        who = who or typer.prompt("Who allows the release without a licensed judge")
        until = until or typer.prompt("Until when (YYYY-MM-DD, at most 14 days ahead)")
    return Waiver.asked_for(why, who, until, wall_clock(settings.clock_file)().date())


def _own_words(why: str) -> str:
    # Signed with the release and read by whoever asks later why it was made.
    if not why.strip() or why.strip() == NO_REASON:
        raise typer.BadParameter(
            f"write the reason in your own words in place of {why!r}: it is signed with the release"
        )
    return why


Why = Annotated[str, typer.Option(help="Reason, kept in the release history.", callback=_own_words)]


@contextmanager
def interruptible(kept: str = "What was answered is kept; run the same command again to go on.") -> Iterator[None]:
    """On Ctrl-C, print what is ``kept`` and exit with code 2."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"error: interrupted. {kept}", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None


def with_local_aws(settings: "Settings") -> "Settings":
    """Return ``settings`` with the local AWS where no other endpoint is set."""
    from service.kit.aws.endpoint import with_endpoint

    return with_endpoint(settings)


def names_of(text: str | None) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas or spaces."""
    return tuple((text or "").replace(",", " ").split())


def usd_of(amount: float | None) -> Decimal | None:
    """Return a typed amount of USD as it was typed."""
    return None if amount is None else Decimal(str(amount))
