"""The child process of ``service.answers_kept.writer_process``: reads names of spooled files, writes them, reports its counts."""

import json
import os
import signal
import sys
import threading
from datetime import timedelta

from service.answers_kept.answer_table import AnswerTable, RecordTables, WithoutErased
from service.answers_kept.archive import Archive
from service.answers_kept.table import SummaryTable
from service.answers_kept.writer import AnswerWriter, answer_writer, open_outbox, open_spool
from service.kit.aws.clients import client
from service.kit.records.shared_state import open_shared_state
from service.kit.records.tombstones import Tombstones
from service.kit.settings import Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.fields import set_account_key
from service.kit.telemetry.log import configure_logging, flush_log

_REPORT_EVERY_S = 0.25
_DRAIN_S = 5.0


def main() -> int:
    """Write records until the parent closes our standard input, then the pending ones; return the exit code."""
    # Ctrl-C reaches the whole process group: ignore it, because the parent decides when to end, by closing our standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reports = int(sys.argv[1])
    settings = Settings(**json.loads(sys.stdin.buffer.readline()))
    set_account_key(bytes.fromhex(sys.stdin.buffer.readline().decode()))
    configure_logging(settings.telemetry.log_level)
    dynamodb, s3 = (client(name, settings, attempts=1) for name in ("dynamodb", "s3"))
    ttl = timedelta(days=settings.summaries.days)
    tombstones = Tombstones(open_shared_state(settings, dynamodb))
    tables = RecordTables(
        SummaryTable(dynamodb, settings.summaries.table, ttl=ttl),
        AnswerTable(dynamodb, settings.summaries.answers_table, ttl=ttl),
    )
    writer = answer_writer(
        WithoutErased(tables, tombstones),
        WithoutErased(Archive(s3, settings.stores.archive_bucket), tombstones),
        open_spool(settings),
        open_outbox(settings, dynamodb),
    )
    writer.start()
    ended = threading.Event()
    reporter = threading.Thread(target=_report, args=(writer, reports, ended), name="reports", daemon=True)
    reporter.start()
    for name in sys.stdin.buffer:
        writer.take(settings.spool_folder / name.decode().strip())
    writer.close(drain_s=_DRAIN_S)
    ended.set()
    reporter.join(timeout=1.0)
    flush_log()
    return 0


def _report(writer: AnswerWriter, descriptor: int, ended: threading.Event) -> None:
    before: dict[str, int] = {}
    while True:
        last = ended.wait(_REPORT_EVERY_S)
        counts = {**writer.snapshot(), "spooled": int(metrics.total(metrics.SPOOLED))}
        if counts != before:
            before = counts
            try:
                os.write(descriptor, f"{json.dumps(counts)}\n".encode())
            except OSError:  # the parent is gone; the pending records are still written
                return
        if last:
            return


if __name__ == "__main__":
    sys.exit(main())
