"""Reconciliation: checks that every answered request is in both stores, waits in outbox or spool, or was logged as lost."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from service.answers_kept.answer_record import ServedRecord, read_served
from service.answers_kept.answer_table import RecordTables
from service.answers_kept.archive import Stored, request_id_of
from service.answers_kept.record import utc_text
from service.answers_kept.store import build_answer_table, build_table_and_archive
from service.answers_kept.writer import open_outbox, open_spool
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.settings import Settings
from service.kit.telemetry.log import Event

_SHOWN = 10
_MOST_BYTES = 1 << 20
# A row is dated a moment before its log line, which may fall into the next hour.
_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The request ids of one time window, by the place where they were found; ``answered`` is None without a request log.

    ``table`` and ``archive`` are lists, because an id that occurs twice is an error.
    """

    since: str
    until: str
    answered: frozenset[str] | None
    table: tuple[str, ...]
    archive: tuple[str, ...]
    outbox: frozenset[str]
    waiting: frozenset[str]
    aside: frozenset[str]
    lost: frozenset[str]

    @property
    def inputs(self) -> frozenset[str]:
        """The requests to account for: those in the request log, or without a log those in any store."""
        if self.answered is not None:
            return self.answered
        return frozenset(self.table) | frozenset(self.archive) | self.outbox | self.waiting | self.aside

    @property
    def missing(self) -> list[str]:
        """Requests that are not in both stores, wait nowhere, and are not among the logged losses."""
        kept = frozenset(self.table) & frozenset(self.archive)
        return sorted(self.inputs - kept - self.outbox - self.waiting - self.aside - self.lost)

    @property
    def without_row(self) -> list[str]:
        """Missing requests that S3 holds and the table does not: their rows can be written again."""
        return sorted((frozenset(self.archive) - frozenset(self.table)) & frozenset(self.missing))

    @property
    def doubles(self) -> list[str]:
        """Requests that a store holds more than once."""
        return sorted({name for ids in (self.table, self.archive) for name, n in Counter(ids).items() if n > 1})

    @property
    def balanced(self) -> bool:
        """True when nothing is missing and nothing is double."""
        return not self.missing and not self.doubles

    def lines(self) -> list[str]:
        """Return the report for people, line by line."""
        inputs = self.inputs
        kept = inputs & frozenset(self.table) & frozenset(self.archive)
        outbox, waiting, aside, lost = (
            inputs & ids - kept for ids in (self.outbox, self.waiting, self.aside, self.lost)
        )
        rows = [
            ("answered, by the request log" if self.answered is not None else "known to any store (no --log)", inputs),
            ("in DynamoDB and in S3", kept),
            ("waiting in the outbox, in DynamoDB", outbox),
            ("waiting in the spool of this machine alone", waiting - outbox),
            ("set aside: a store refuses them permanently", aside - waiting - outbox),
            ("logged as lost", lost - waiting - aside - outbox),
            ("missing", self.missing),
            ("double", self.doubles),
        ]
        lines = [f"from {self.since} to {self.until}"]
        lines += [f"{len(ids):>8}  {what}" for what, ids in rows]
        for what, ids in (("missing", self.missing), ("double", self.doubles)):
            if ids:
                more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
                lines.append(f"{what}: {', '.join(ids[:_SHOWN])}{more}")
        lines += self._remedy()
        lines.append("balanced" if self.balanced else "NOT balanced")
        return lines

    def _remedy(self) -> list[str]:
        if not self.without_row:
            return []
        count = len(self.without_row)
        emptied = not self.table and count > 1
        what = (
            f"the table of summaries holds none of the {count} answers that S3 holds: it was emptied or replaced."
            if emptied
            else f"{count} of the missing are in S3 and have no row in the table of summaries."
        )
        return [
            f"{what} Feedback finds no such summary, and none is reused.",
            "do: restore the table from its backup, or write the rows again from S3: omni reconcile --restore (they come back "
            "without their feedback, which S3 and the warehouse keep)",
        ]


def reconcile(settings: Settings, *, hours: int, logs: Sequence[Path], path: str, now: datetime) -> Reconciliation:
    """Compare the stores over the last ``hours`` hours up to ``now``; ``path`` selects the summaries' requests in the log.

    Raises:
        StoreError: a store does not answer.
        ConfigurationError: a log cannot be read, or ``hours`` is below 1.
    """
    from service.kit.aws.clients import client

    if hours < 1:
        raise ConfigurationError(f"--hours must be 1 or more, not {hours}")
    since, until = now - timedelta(hours=hours), now
    if not logs:
        since = since.replace(minute=0, second=0, microsecond=0)  # the archive's folders are hours
    answered, lost = read_logs(logs, path, since, until)
    # The waiting first: a record that moves into the stores meanwhile is then seen twice instead of never.
    waiting, aside = open_spool(settings).ids()
    margin = _MARGIN if logs else timedelta()
    window = utc_text(since - margin), utc_text(until + _MARGIN)
    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    try:
        outbox, refused = open_outbox(settings, dynamodb).ids()
        table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
        answers = build_answer_table(settings, dynamodb=dynamodb)
        rows = [*table.request_ids(*window), *answers.request_ids(*window)]
        objects = archive.request_ids(*window)
    finally:
        dynamodb.close()
        s3.close()
    return Reconciliation(
        since=utc_text(since),
        until=utc_text(until),
        answered=frozenset(answered) if logs else None,
        table=tuple(rows),
        archive=tuple(objects),
        outbox=frozenset(outbox),
        waiting=frozenset(waiting),
        aside=frozenset(aside | refused),
        lost=frozenset(lost),
    )


def restore_rows(settings: Settings, *, hours: int, now: datetime) -> tuple[int, int]:
    """Write the rows of the last ``hours`` hours again from S3's objects; return how many were missing, and how many expired.

    A row that is there stays as it is. Objects that are older than a row's life are left out.

    Raises:
        StoreError: a store does not answer; what was written stays.
        ConfigurationError: ``hours`` is below 1.
    """
    from service.kit.aws.clients import client

    if hours < 1:
        raise ConfigurationError(f"--hours must be 1 or more, not {hours}")
    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    oldest = now - timedelta(days=settings.summaries.days)
    written = expired = 0
    try:
        table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
        answers = build_answer_table(settings, dynamodb=dynamodb)
        tables = RecordTables(table, answers)
        window = utc_text(now - timedelta(hours=hours)), utc_text(now + _MARGIN)
        present = frozenset([*table.request_ids(*window), *answers.request_ids(*window)])
        for key in archive.record_keys(*window):
            if request_id_of(key) in present or (found := archive.read(key, most_bytes=_MOST_BYTES)) is None:
                continue
            record = _record_of(key, found)
            if datetime.fromisoformat(record.generated_at) < oldest:
                expired += 1
            else:
                written += tables.put(record) != "already"
    finally:
        dynamodb.close()
        s3.close()
    return written, expired


def _record_of(key: str, found: Stored) -> ServedRecord:
    try:
        if found.body is not None:
            return read_served(found.body)
    except ValidationError:
        pass
    raise StoreError(f"object {key} is no answer of this service: remove it, and run this again")


def read_logs(logs: Sequence[Path], path: str, since: datetime, until: datetime) -> tuple[set[str], set[str]]:
    """Return the requests that the logs report as answered in the window, and those reported as lost.

    Answered are those on ``path``, and those of a task whose answers are kept. Ignores lines that are not ours: other libraries
    also write to standard output.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    answered: set[str] = set()
    lost: set[str] = set()
    first, last = utc_text(since), utc_text(until)
    for log in logs:
        try:
            with log.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    entry = _entry(line)
                    event, request_id = entry.get("event"), str(entry.get("request_id"))
                    if event == Event.SUMMARY_LOST:
                        lost.add(request_id)
                    elif event == Event.REQUEST_COMPLETED and (entry.get("path") == path or "kept" in entry):
                        answered |= {request_id} if first <= str(entry.get("timestamp")) < last else set()
        except OSError as err:
            raise ConfigurationError(f"log {log} cannot be read: {err.strerror}") from err
    return answered, lost


def _entry(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
