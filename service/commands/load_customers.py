"""``load-customers``: events of customers from files and from a stream, and what was quarantined."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.kit.settings import Settings
    from service.loading.customers.intake import CustomerIntake
    from service.loading.customers.quality import QualityReport
    from service.loading.customers.record import ArrivedEvent, QuarantineReason


def load_customers(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files with one JSON object per line.")
    ] = None,
    history: Annotated[
        bool,
        typer.Option(
            "--history", help="The files are history: an event counts from when its source recorded it, not from now."
        ),
    ] = False,
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Read what waits in this Kinesis stream.")] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="REASON", help="Load quarantined events again: those of one reason, or `all`.")
    ] = None,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Count what is in quarantine, by reason.")] = False,
) -> None:
    """Load events of customers into the warehouse, with a report on their quality. Exit code 1: some went into quarantine."""
    if sum((bool(files), stream is not None, replay is not None, quarantine)) != 1:
        raise ConfigurationError("name files, or one of --stream, --replay and --quarantine")
    if history and not files:
        raise ConfigurationError("--history is about files: name them")
    settings = _settings()
    intake = _intake(settings)
    if quarantine:
        _say_quarantine(intake)
        return
    aside = 0
    for report in _reports(settings, intake, files or [], history, stream, replay):
        say("\n".join(report.lines()))
        aside += report.quarantined.total()
    if aside:
        say("after a fix: omni load-customers --replay REASON", file=sys.stderr)
        raise typer.Exit(1)


def _reports(
    settings: "Settings",
    intake: "CustomerIntake",
    files: list[Path],
    history: bool,
    stream: str | None,
    replay: str | None,
) -> "Iterator[QualityReport]":
    from service.loading.customers.intake import batches

    if replay is not None:
        yield from intake.replay(_reason(replay))
    elif stream is not None:
        yield from _stream(settings, intake, stream)
    for file in files:
        arrived_at = None if history else datetime.now(UTC)
        for number, batch in enumerate(batches(_lines(file, arrived_at)), 1):
            yield intake.take(batch, f"{file.name} batch {number}")


def _stream(settings: "Settings", intake: "CustomerIntake", name: str) -> "Iterator[QualityReport]":
    from service.kit.aws.clients import client
    from service.kit.records.shared_state import open_shared_state
    from service.loading.customers.stream import CustomerStream

    shared = open_shared_state(settings)
    if shared is None:
        raise ConfigurationError("no AWS to read a stream from: run `omni up`, or set OMNI_AWS_ENDPOINT")
    return CustomerStream(client=client("kinesis", settings), name=name, intake=intake, shared=shared).drain()


def _lines(file: Path, arrived_at: datetime | None) -> "Iterator[ArrivedEvent]":
    from service.loading.customers.record import ArrivedEvent

    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield ArrivedEvent(source=f"{file.name}#{number}", body=line.strip(), arrived_at=arrived_at)
    except OSError as err:
        raise ConfigurationError(f"{file} cannot be read: {err.strerror}") from err


def _settings() -> "Settings":
    from service.access.control import account_key
    from service.commands.load import with_running_aws
    from service.kit.settings import Settings
    from service.kit.telemetry.fields import set_account_key

    settings = with_running_aws(Settings())
    set_account_key(account_key(settings))
    return settings


def _intake(settings: "Settings") -> "CustomerIntake":
    from contextlib import closing

    from service.answers_kept.archive import Archive
    from service.kit.aws.clients import client
    from service.kit.records.tombstones import open_tombstones
    from service.loading.customers.intake import CustomerIntake
    from service.warehouse import open_warehouse

    opened = partial(open_warehouse, settings)
    with closing(opened()) as warehouse:
        warehouse.migrate()
    return CustomerIntake(
        archive=Archive(client("s3", settings), settings.stores.archive_bucket),
        open_warehouse=opened,
        tombstones=open_tombstones(settings),
    )


def _reason(text: str) -> "QuarantineReason | None":
    from service.loading.customers.record import QuarantineReason

    if text == "all":
        return None
    try:
        return QuarantineReason(text)
    except ValueError as err:
        raise ConfigurationError(
            f"--replay {text!r} is not a reason; choose from {', '.join(QuarantineReason)}, or all"
        ) from err


def _say_quarantine(intake: "CustomerIntake") -> None:
    from collections import Counter

    found = Counter(letter.reason for letter in intake.letters().waiting())
    for reason, count in sorted(found.items()):
        say(f"{count} {reason}")
    if not found:
        say("nothing is in quarantine")
