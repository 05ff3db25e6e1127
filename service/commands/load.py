"""``load-events``: the command of the warehouse's loader."""

import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from service.answers_kept.archive import Archive
    from service.kit.settings import Settings
    from service.loading.loader import Loader
    from service.loading.merging import LoadTally
    from service.loading.objects import DeadReason


def load_events(
    once: Annotated[
        bool, typer.Option("--once", help="Empty the queue, then look for objects that it missed (the default).")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Continue until stopped.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare objects with rows. Exit code 1: one is missing.")
    ] = False,
    replay: Annotated[
        str | None, typer.Option(metavar="REASON", help="Load rejected objects again: those of one reason, or `all`.")
    ] = None,
    bulk: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Load a folder of files with one JSON object per line.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Look at objects from this hour on (ISO 8601, UTC), or `all`.")
    ] = None,
) -> None:
    """Load new answers, feedback and releases from the bucket into the warehouse."""
    from service.access.control import account_key
    from service.kit.settings import Settings
    from service.kit.telemetry.fields import set_account_key

    if sum((once, follow, check, replay is not None, bulk is not None)) > 1:
        raise ConfigurationError("choose one of --once, --follow, --check, --replay and --bulk")
    settings = Settings()
    moment, everything = _since(since)
    key = account_key(settings)
    set_account_key(key)
    if bulk is not None:
        _bulk(settings, bulk, key)
        return
    settings = with_running_aws(settings)
    from service.loading.build import build_loader

    loader, archive = build_loader(settings, _Progress())
    loader.prepare_warehouse()
    if check:
        _check(settings, archive, moment)
    elif replay is not None:
        _say(loader.replay(_reason(replay)))
    elif follow:
        _follow(loader)
    else:
        tally = loader.drain()
        tally.add(loader.scan(moment, everything=everything))
        _say(tally)


def with_running_aws(settings: "Settings") -> "Settings":
    """Return ``settings`` with the endpoint of the local AWS, if none is set. Raises ``ConfigurationError``: none runs."""
    if settings.environment != "local" or settings.aws.endpoint is not None:
        return settings
    from service.local import aws
    from service.local.loopback import get_json

    endpoint = aws.endpoint(settings)
    if get_json(endpoint + aws.HEALTH_PATH) is None:
        raise ConfigurationError(
            f"no local AWS answers at {endpoint}: start it with `omni up`, or set OMNI_AWS_ENDPOINT"
        )
    return settings.model_copy(update={"aws_endpoint": endpoint})


def _check(settings: "Settings", archive: "Archive", since: datetime | None) -> None:
    from service.loading.balance import balance
    from service.warehouse import open_warehouse

    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        found = balance(archive, warehouse, since=since, now=datetime.now(UTC))
    say("\n".join(found.lines()))
    if not found.balanced:
        raise typer.Exit(1)


class _Progress:
    """Prints the loader's progress after each batch: on a terminal one line that is overwritten, else a line per batch."""

    def __init__(self) -> None:
        self._objects = 0
        self._begun = time.monotonic()

    def __call__(self, tally: "LoadTally") -> None:
        if not tally.objects:
            return
        self._objects += tally.objects
        rate = self._objects / max(time.monotonic() - self._begun, 1e-3)
        end = "\r" if sys.stderr.isatty() else "\n"
        say(f"{self._objects} objects, {rate:.0f}/s", file=sys.stderr, end=end, flush=True)


def _say(tally: "LoadTally") -> None:
    repeated = f", {tally.repeated} rows there already" if tally.repeated else ""
    say(f"{tally.loaded} objects loaded, {tally.rows} rows new or changed{repeated}; {tally.verdicts} verdicts joined")
    for count, what in (
        (tally.copies, "of them copies under another name"),
        (tally.known, "announced again and left alone"),
        (tally.foreign, "messages about nothing of ours"),
        (tally.withheld, "loaded without a text that could not be redacted (omni_loads says why)"),
    ):
        if count:
            say(f"{count} {what}")
    for reason, count in sorted(tally.dead.items()):
        say(
            f"{count} dead: {reason} (see omni-channel/dead/{reason}/; after a fix: omni load-events --replay {reason})"
        )


def _follow(loader: "Loader") -> NoReturn:
    from service.kit.frame.retries import RetryPlan

    failures, pauses = 0, RetryPlan(first_s=1.0, longest_s=60.0)
    say("loading whatever the queue names; stop with Ctrl-C", flush=True)
    while True:
        try:
            for tally in loader.follow():
                failures = 0
                if tally.objects:
                    _say(tally)
        except (
            ServiceError
        ) as err:  # a store or a reader of the warehouse in the way: nothing is lost, the messages come again
            failures += 1
            pause_s = pauses.pause_s(failures)
            say(f"error: {err}; again in {pause_s:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause_s)


def _bulk(settings: "Settings", folder: Path, key: bytes) -> None:
    from service.core.redaction.build import build_text_redactor
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.records.tombstones import open_tombstones
    from service.loading.bulk import BulkLoader, Timings
    from service.warehouse import open_warehouse

    def progress(file: Path, tally: "LoadTally", timings: Timings) -> None:
        end = "\r" if sys.stderr.isatty() else "\n"
        say(f"{file.name}: {tally.loaded} loaded, {tally.dead.total()} dead", file=sys.stderr, end=end, flush=True)

    loader = BulkLoader(
        open_warehouse=partial(open_warehouse, settings),
        account_key=key,
        redactor=partial(build_text_redactor, settings),
        tombstones=partial(open_tombstones, with_endpoint(settings)),
        report=progress,
    )
    tally, timings = loader.load(folder)
    say(
        f"{timings.lines} lines in {timings.wall_s:.1f} s: {timings.prepare_cpu_s:.1f} CPU s of preparing, "
        f"merged in {timings.merge_s:.1f} s, verdicts in {timings.verdicts_s:.1f} s"
    )
    if tally.known:
        say(f"{tally.known} files were loaded before")
        tally.known = 0
    say(f"{tally.loaded} objects loaded, {tally.rows} rows new or changed, {tally.repeated} there already")
    if tally.withheld:
        say(f"{tally.withheld} of them without a text that could not be redacted")
    for reason, count in sorted(tally.dead.items()):
        say(f"{count} dead: {reason}; omni_loads names file and line")


def _since(text: str | None) -> tuple[datetime | None, bool]:
    if text is None or text == "all":
        return None, text == "all"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ConfigurationError(
            f"--since {text!r} is not an ISO 8601 time: write 2026-11-21 or 2026-11-21T14:00, or all"
        ) from err
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), False


def _reason(text: str) -> "DeadReason | None":
    from service.loading.objects import DeadReason

    if text == "all":
        return None
    try:
        return DeadReason(text)
    except ValueError as err:
        raise ConfigurationError(
            f"--replay {text!r} is not a reason; choose from {', '.join(DeadReason)}, or all"
        ) from err
