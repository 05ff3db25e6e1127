"""``releases``: send every release to the warehouse, with the figures that the gate measured for it."""

import sys
from typing import Annotated

import typer

from eval.commands.arguments import TaskName
from figures.command_line import omni
from service.kit.frame.display.terminal import say


def releases(
    task: TaskName = "summarize",
    export: Annotated[
        bool,
        typer.Option("--export", help="Write rows into the warehouse directly instead of objects into the bucket."),
    ] = False,
) -> None:
    """Send every verified release to the warehouse, in case it was not reachable at the time. Safe to repeat."""
    from eval.release.announce import VerifiedReleases, bucket_settings, export_releases, put_releases
    from service.kit.settings import Settings

    settings = Settings()
    messages = VerifiedReleases(task, settings).all()
    for one in messages:
        if one.missing is not None:
            say(f"release {one.record.sequence} is sent without the gate's figures: {one.missing}", file=sys.stderr)
    target = None if export else bucket_settings(settings)
    promises = sum(len(one.record.promises) for one in messages)
    what = f"{len(messages)} verified releases of {task} with {promises} figures of the gate"
    if target is None:
        say(f"{what}: {export_releases(messages, settings)} rows new or changed in the warehouse")
    else:
        new = put_releases(messages, target)
        say(f"{what}: {new} new objects in bucket {target.stores.archive_bucket}; `{omni('load-events')}` loads them")
