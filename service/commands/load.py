"""``python -m service load``: what the loader is told on the command line, and what it says."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from service.loading.loader import Loader
    from service.loading.merging import Tally
    from service.loading.objects import Reason
    from service.settings import Settings
    from service.summaries.archive import Archive

_LONGEST_PAUSE_S = 60.0


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare ``load`` and its options."""
    parser = add("load", help="move new objects of the bucket into the warehouse")
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--once", action="store_true", help="empty the queue, then look for what it forgot (the default)")
    what.add_argument("--follow", action="store_true", help="go on until stopped")
    what.add_argument("--replay", nargs="?", const="", metavar="REASON", help="put dead objects through again")
    what.add_argument("--check", action="store_true", help="count objects against rows; exit 1 when one is missing")
    what.add_argument("--bulk", metavar="FOLDER", help="load files of one JSON object a line")
    parser.add_argument("--since", metavar="TIME", help="look from this hour on (ISO 8601, UTC), or `all`")


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Do what ``options`` say; return the exit code.

    Raises:
        ServiceError: bucket, queue or warehouse do not answer, or an option is wrong.
    """
    from service.access.control import account_key
    from service.telemetry.fields import set_account_key
    from service.warehouse import open_warehouse

    since, everything = _since(options.since)
    key = account_key(settings)
    set_account_key(key)
    if options.bulk is not None:
        return _bulk(settings, Path(options.bulk), key)
    if settings.environment == "local" and settings.aws.endpoint is None:
        from service.local import aws
        from service.local.loopback import get_json

        endpoint = aws.endpoint(settings)
        if get_json(endpoint + aws.HEALTH_PATH) is None:
            raise ConfigurationError(
                f"no local AWS answers at {endpoint}: start it with `make up`, or set OMNI_AWS_ENDPOINT"
            )
        settings = settings.model_copy(update={"aws_endpoint": endpoint})
    loader, archive = build_loader(settings)
    loader.prepare_warehouse()
    if options.check:
        from service.loading.balance import balance

        with closing(open_warehouse(settings, read_only=True)) as warehouse:
            found = balance(archive, warehouse, since=since, now=datetime.now(UTC))
        print("\n".join(found.lines()))
        return 0 if found.balanced else 1
    if options.replay is not None:
        return _say(loader.replay(_reason(options.replay)))
    if options.follow:
        return _follow(loader)
    tally = loader.drain()
    tally.add(loader.scan(since, everything=everything))
    return _say(tally)


def build_loader(settings: "Settings") -> "tuple[Loader, Archive]":
    """Build a loader around the clients of ``settings``; nothing is contacted yet."""
    from service.aws.clients import client
    from service.aws.event_queue import LONGEST_WAIT_S, EventQueue
    from service.loading.loader import Loader
    from service.summaries.archive import Archive
    from service.warehouse import open_warehouse

    # A long poll answers after twenty seconds: the connection must not give up before.
    patient = settings.model_copy(update={"store_timeout_s": LONGEST_WAIT_S + 10.0})
    archive = Archive(client("s3", settings), settings.stores.archive_bucket)
    queue = EventQueue(client("sqs", patient), settings.stores.events_queue, bucket=settings.stores.archive_bucket)
    opened = partial(open_warehouse, settings)
    return Loader(archive=archive, open_warehouse=opened, queue=queue, report=_Progress()), archive


class _Progress:
    """Says after each batch how far the loader is: one line that is written over on a terminal, else one a batch."""

    def __init__(self) -> None:
        self._objects = 0
        self._begun = time.monotonic()

    def __call__(self, tally: "Tally") -> None:
        if not tally.objects:
            return
        self._objects += tally.objects
        rate = self._objects / max(time.monotonic() - self._begun, 1e-3)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{self._objects} objects, {rate:.0f}/s", file=sys.stderr, end=end, flush=True)


def _say(tally: "Tally") -> int:
    repeated = f", {tally.repeated} rows there already" if tally.repeated else ""
    print(
        f"{tally.loaded} objects loaded, {tally.rows} rows new or changed{repeated}; {tally.verdicts} verdicts joined"
    )
    for count, what in (
        (tally.copies, "of them copies under another name"),
        (tally.known, "announced again and left alone"),
        (tally.foreign, "messages about nothing of ours"),
    ):
        if count:
            print(f"{count} {what}")
    for reason, count in sorted(tally.dead.items()):
        print(
            f"{count} dead: {reason} (see omni-channel/dead/{reason}/; after a fix: python -m service load --replay {reason})"
        )
    return 0


def _follow(loader: "Loader") -> int:
    pause_s = 1.0
    print("loading whatever the queue names; stop with Ctrl-C", flush=True)
    while True:
        try:
            for tally in loader.follow():
                pause_s = 1.0
                if tally.objects:
                    _say(tally)
        except (
            ServiceError
        ) as err:  # a store or a reader of the warehouse in the way: nothing is lost, the messages come again
            print(f"error: {err}; again in {pause_s:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _bulk(settings: "Settings", folder: Path, key: bytes) -> int:
    from service.loading.bulk import BulkLoader, Timings
    from service.warehouse import open_warehouse

    def progress(file: Path, tally: "Tally", timings: Timings) -> None:
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{file.name}: {tally.loaded} loaded, {tally.dead.total()} dead", file=sys.stderr, end=end, flush=True)

    loader = BulkLoader(open_warehouse=partial(open_warehouse, settings), account_key=key, report=progress)
    tally, timings = loader.load(folder)
    print(
        f"{timings.lines} lines in {timings.wall_s:.1f} s: {timings.prepare_cpu_s:.1f} CPU s of preparing, "
        f"merged in {timings.merge_s:.1f} s, verdicts in {timings.verdicts_s:.1f} s"
    )
    if tally.known:
        print(f"{tally.known} files were loaded before")
        tally.known = 0
    print(f"{tally.loaded} objects loaded, {tally.rows} rows new or changed, {tally.repeated} there already")
    for reason, count in sorted(tally.dead.items()):
        print(f"{count} dead: {reason}; omni_loads names file and line")
    return 0


def _since(text: str | None) -> tuple[datetime | None, bool]:
    if text is None or text == "all":
        return None, text == "all"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ConfigurationError(
            f"--since {text!r} is no ISO 8601 time: write 2026-11-21 or 2026-11-21T14:00, or all"
        ) from err
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), False


def _reason(text: str) -> "Reason | None":
    from service.loading.objects import Reason

    if not text:
        return None
    try:
        return Reason(text)
    except ValueError as err:
        raise ConfigurationError(f"--replay {text!r} is no reason; they are {', '.join(Reason)}") from err
