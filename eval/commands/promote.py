"""``register``, ``promote`` and ``rollback``: change which pair production serves."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands import arguments
from figures.command_line import as_typed_here, omni
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.core.release.release import Release


def register(pair: arguments.PairName, task: arguments.TaskName = "summarize") -> None:
    """Write a pair as one prompt version, read it back and compare the digest. Does not release it."""
    from eval.release.promotion import register_pair
    from service.kit.settings import Settings

    registered, version = register_pair(task, pair, Settings())
    say(f"{task}/{pair} {registered.digest[:12]} is version {version} in the registry; read back and equal")
    say(f"Next: evaluate it: {omni('eval', '--pairs', pair, task=task)}")


def promote(
    pair: arguments.PairName,
    why: arguments.Why,
    task: arguments.TaskName = "summarize",
    evidence: Annotated[
        str | None,
        typer.Option(metavar="FILE|S3", help="Evidence of another stage: a <pair>.evidence.json or s3://bucket/key."),
    ] = None,
    approved_by: arguments.ApprovedBy = None,
    pull_request: arguments.PullRequest = None,
    without_judge: arguments.WithoutJudge = None,
    allowed_by: arguments.AllowedBy = None,
    until: arguments.Until = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Before the gate: refuse what no measurement could allow, and release nothing."),
    ] = False,
) -> None:
    """Release a pair that passed the gate with the present pair file, dataset, suite and production.

    --evidence takes the attestation that another stage's evaluation made, by reference: it is verified with the trusted keys and
    must be about this pair, dataset, suite, and the same pair in production.
    """
    from eval.release.preflight import check_release
    from eval.release.promotion import promote_pair
    from eval.release.releaser import Releaser
    from service.kit.settings import Settings

    with refusals():
        by = Releaser.of(os.environ, approved_by=approved_by, pull_request=pull_request)
        settings = Settings()
        allowed = arguments.waiver(without_judge, allowed_by or by.approved_by, until, settings)
        if check:
            lines = check_release(task, pair, settings, without_judge=allowed)
            say("\n".join([*lines, f"{by.who} releases; nothing was released yet"]))
            return
        release = promote_pair(task, pair, why, settings, by=by, without_judge=allowed, evidence_from=evidence)
    say(
        f"release {release.sequence}: {task} now serves {release.pair_name} {release.pair_digest[:12]} "
        f"(registry version {release.registry_version}), was {(release.from_digest or 'nothing')[:12]}"
    )
    _announce(release)
    say(f"Next: serve it: {omni('serve')}")


def rollback(
    why: arguments.Why,
    to: Annotated[
        int | None, typer.Option(help="Release number to return to; default: the newest of another pair.")
    ] = None,
    task: arguments.TaskName = "summarize",
    approved_by: arguments.ApprovedBy = None,
    pull_request: arguments.PullRequest = None,
    without_judge: arguments.WithoutJudge = None,
    allowed_by: arguments.AllowedBy = None,
    until: arguments.Until = None,
) -> None:
    """Return production to an earlier release. The rollback is a new release with a higher number."""
    from eval.release.promotion import roll_back
    from eval.release.releaser import Releaser
    from service.kit.settings import Settings

    with refusals():
        by = Releaser.of(os.environ, approved_by=approved_by, pull_request=pull_request)
        settings = Settings()
        allowed = arguments.waiver(without_judge, allowed_by or by.approved_by, until, settings)
        release = roll_back(task, why, to, settings, by=by, without_judge=allowed)
    say(
        f"release {release.sequence}: {task} serves {release.pair_name} {release.pair_digest[:12]} "
        f"(registry version {release.registry_version}) again"
    )
    _announce(release)
    say(f"Next: check everything behind it: {omni('verify', task=task)}")


@contextmanager
def refusals() -> Iterator[None]:
    """Print why the gate's evidence does not allow the release, and exit with code 1."""
    from eval.spine.errors import Refused

    try:
        yield
    except Refused as err:
        say(as_typed_here(f"error: {err}").replace("\n", "\n  "), file=sys.stderr)
        raise typer.Exit(arguments.GATE_REJECTS) from err


def _announce(release: "Release") -> None:
    from eval.release.announce import announce
    from service.core.release.release_copies import release_partition
    from service.kit.settings import Settings

    if (note := announce(release, Settings())) is not None:
        say(f"note: {note}", file=sys.stderr)
    tell(release_partition(release.task))


def tell(partition: str) -> None:
    """Let the running services look at once; print a note if they cannot be told."""
    from eval.release.services import tell_services
    from service.kit.settings import Settings

    if (note := tell_services(partition, Settings())) is not None:
        say(f"note: {note}", file=sys.stderr)
