"""``reconcile``: answered requests counted against what the stores hold."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    reconcile = add(
        "reconcile", help="count answered requests against DynamoDB, S3 and the spool; exit 1 when one is missing"
    )
    reconcile.add_argument("--log", action="append", default=[], help="the service's log (JSON lines); may be repeated")
    reconcile.add_argument("--hours", type=int, default=24, help="how far to look back (default 24)")
    reconcile.set_defaults(run=_reconcile)


def _reconcile(settings: "Settings", options: argparse.Namespace) -> int:
    from service.api.insights import PATH
    from service.summaries.reconcile import reconcile

    if settings.environment == "local" and settings.aws.endpoint is None:
        from service.local import aws

        settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    logs = [Path(name) for name in options.log]
    found = reconcile(settings, hours=options.hours, logs=logs, path=PATH, now=datetime.now(UTC))
    print("\n".join(found.lines()))
    return 0 if found.balanced else 1
