"""The endpoints' interface to kept answers: find a summary to reuse, keep the record of an answer, keep feedback."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from service.answers_kept.answer_record import ServedRecord
from service.answers_kept.reuse import Reuse
from service.kit.aws.queries import EventLoopTables
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.answers_kept.answer_table import AnswerTable
    from service.answers_kept.archive import Archive
    from service.answers_kept.feedback import AnswerFeedback, SummaryFeedback
    from service.answers_kept.table import SummaryTable
    from service.answers_kept.writer import AnswerOutbox, AnswerWriter


class RecordKeeper(Protocol):
    """Keeps the records of answered requests: in threads of this process, or in a separate process."""

    def start(self) -> None:
        """Start, and also write the records that an earlier process left."""
        ...

    def keep(self, record: ServedRecord, *, kept: bool = False) -> None:
        """Accept one record without waiting for a store; ``kept``: the outbox holds it already. Never raises."""
        ...

    def close(self) -> None:
        """Write the pending records; those that cannot be written within a few seconds wait on disk."""
        ...

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts since the start."""
        ...


class Summaries:
    """Kept answers of one process: reuse, outbox, writer and feedback. Without arguments it reuses nothing and keeps nothing."""

    def __init__(
        self,
        reuse: Reuse | None = None,
        writer: RecordKeeper | None = None,
        feedback: "SummaryFeedback | None" = None,
        outbox: "AnswerOutbox | None" = None,
        answer_feedback: "AnswerFeedback | None" = None,
    ) -> None:
        self.reuse = reuse or Reuse(window_s=0, recent=None, now=datetime.now, clock=lambda: 0.0)
        self.feedback = feedback
        self.answer_feedback = answer_feedback
        self._writer = writer
        self._outbox = outbox

    @property
    def keeps(self) -> bool:
        """Whether there is any store to keep a record in."""
        return self._writer is not None or self._outbox is not None

    def open(self) -> None:
        """Start the writer, which also replays the records that an earlier process left."""
        if self._writer is not None:
            self._writer.start()

    def close(self) -> None:
        """Write the pending records; those that cannot be written within a few seconds wait on disk."""
        if self._writer is not None:
            self._writer.close()

    async def keep(self, record: ServedRecord, *, patience_s: float) -> bool:
        """Keep an answered request; return whether it survives the loss of this process and its disk.

        The answer waits for the outbox, at most ``patience_s`` and its own bound; both stores follow afterwards in any case.
        """
        kept = False
        try:
            if self._outbox is not None:
                kept = await self._outbox.keep(record, patience_s=patience_s)
        finally:  # also when the client has gone
            if self._writer is not None:
                self._writer.keep(record, kept=kept)
        return kept

    def snapshot(self) -> Mapping[str, int]:
        """Return all counts since the start, for metrics: reuse and writes."""
        writes = {} if self._writer is None else self._writer.snapshot()
        return {f"reuse_{name}": count for name, count in asdict(self.reuse.counts).items()} | {
            f"write_{name}": count for name, count in writes.items()
        }


def build_summaries(
    settings: Settings,
    *,
    queries: EventLoopTables,
    dynamodb: Any,
    s3: Any,
    now: Callable[[], datetime],
    clock: Callable[[], float],
) -> Summaries:
    """Build the stores of ``settings`` from two boto3 clients and the event loop's ``queries``; contacts nothing."""
    from service.answers_kept.answer_table import RecordTables, WithoutErased
    from service.answers_kept.feedback import AnswerFeedback, SummaryFeedback
    from service.answers_kept.recent import RecentSummaries
    from service.answers_kept.writer import answer_outbox, answer_writer, open_outbox, open_spool
    from service.answers_kept.writer_process import WriterProcess
    from service.kit.records.shared_state import open_shared_state
    from service.kit.records.tombstones import Tombstones

    table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
    answers = build_answer_table(settings, dynamodb=dynamodb)
    tables = RecordTables(table, answers)
    tombstones = Tombstones(open_shared_state(settings, dynamodb))
    timeout_s = settings.stores.timeout_s
    recent = RecentSummaries(queries, settings.summaries.table, timeout_s=timeout_s)
    outbox = open_outbox(settings, dynamodb)

    def here() -> "AnswerWriter":
        return answer_writer(
            WithoutErased(tables, tombstones), WithoutErased(archive, tombstones), open_spool(settings), outbox
        )

    in_child = settings.summaries.writer_process
    return Summaries(
        reuse=Reuse(window_s=settings.summaries.reuse_window_s, recent=recent.of_account, now=now, clock=clock),
        writer=WriterProcess(settings, open_spool(settings), here) if in_child else here(),
        feedback=SummaryFeedback(table, archive, timeout_s=timeout_s, now=now),
        answer_feedback=AnswerFeedback(answers, archive, timeout_s=timeout_s, now=now),
        outbox=answer_outbox(settings, outbox, queries),
    )


def build_answer_table(settings: Settings, *, dynamodb: Any) -> "AnswerTable":
    """Return the table of the answers of all tasks; contacts nothing."""
    from service.answers_kept.answer_table import AnswerTable

    return AnswerTable(dynamodb, settings.summaries.answers_table, ttl=timedelta(days=settings.summaries.days))


def build_table_and_archive(settings: Settings, *, dynamodb: Any, s3: Any) -> "tuple[SummaryTable, Archive]":
    """Return the table of summaries, and the archive that holds the records of all tasks; contacts nothing."""
    from service.answers_kept.archive import Archive
    from service.answers_kept.table import SummaryTable

    table = SummaryTable(dynamodb, settings.summaries.table, ttl=timedelta(days=settings.summaries.days))
    return table, Archive(s3, settings.stores.archive_bucket)
