"""``reconcile``: compares answered requests with the records in the stores."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.kit.frame.display.terminal import say


def reconcile(
    log: Annotated[
        list[Path] | None, typer.Option(help="The service's log (JSON lines); may be given several times.")
    ] = None,
    hours: Annotated[int, typer.Option(help="Number of hours to check, up to now.")] = 24,
    restore: Annotated[
        bool, typer.Option("--restore", help="First write rows that DynamoDB lacks again from S3.")
    ] = False,
) -> None:
    """Compare answered requests with DynamoDB, S3, outbox and spool. Exit code 1: one is missing."""
    from service.answers_kept.reconcile import reconcile as count
    from service.answers_kept.reconcile import restore_rows
    from service.api.insights import PATH
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.settings import Settings

    settings = with_endpoint(Settings())
    if restore:
        written, expired = restore_rows(settings, hours=hours, now=datetime.now(UTC))
        late = f"; {expired} are older than a row's life" if expired else ""
        say(f"{written} {'row was' if written == 1 else 'rows were'} written again from S3{late}")
    found = count(settings, hours=hours, logs=log or [], path=PATH, now=datetime.now(UTC))
    say("\n".join(found.lines()))
    if not found.balanced:
        raise typer.Exit(1)
