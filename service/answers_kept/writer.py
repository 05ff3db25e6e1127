"""The delivery of answers: what spool, outbox and writer know of the record of an answered request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.answers_kept.answer_record import ServedRecord, read_served
from service.kit.aws.queries import TablePuts
from service.kit.aws.stores import OUTBOX
from service.kit.delivery.outbox import LeftBehind, Outbox, Sweep
from service.kit.delivery.outbox_table import OutboxTable
from service.kit.delivery.shape import DeliveryOutcome, Shape
from service.kit.delivery.spool import Spool
from service.kit.delivery.writer import SpooledWriter, Store
from service.kit.settings import Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, log

_EVENTS: Mapping[DeliveryOutcome, Event] = {
    DeliveryOutcome.UNSPOOLED: Event.SUMMARY_SPOOL_FAILURE,
    DeliveryOutcome.FAILED: Event.SUMMARY_WRITE_FAILURE,
    DeliveryOutcome.REFUSED: Event.SUMMARY_REFUSED,
    DeliveryOutcome.REPLAYED: Event.SUMMARY_REPLAYED,
    DeliveryOutcome.LOST: Event.SUMMARY_LOST,
}

AnswerWriter = SpooledWriter[ServedRecord]
AnswerSpool = Spool[ServedRecord]
AnswerOutbox = Outbox[ServedRecord]


def _tell(told: DeliveryOutcome, request_id: str, why: str) -> None:
    if told is DeliveryOutcome.WAITING:
        metrics.count(metrics.SPOOLED)
    elif told is DeliveryOutcome.UNKEPT:
        log(Event.SUMMARY_UNKEPT, reason=why)
    else:
        about = ({"request_id": request_id} if request_id else {}) | ({"error": why} if why else {})
        log(_EVENTS[told], **about)


def _id_in(stem: str) -> str:
    """Return the request id in a file's name; a file that somebody else put there counts under its whole name."""
    _, found, rest = stem.partition("-req-")
    return f"req-{rest}" if found else stem


ANSWERS: Shape[ServedRecord] = Shape(
    id_of=lambda record: record.request_id,
    to_json=lambda record: record.to_json(),
    read=read_served,
    stem_of=lambda record: f"{record.generated_at.replace(':', '')}-{record.request_id}",
    id_in=_id_in,
    tell=_tell,
)


def answer_spool(folder: Path, *, max_bytes: int) -> AnswerSpool:
    """Return the spool in ``folder``."""
    return Spool(folder, ANSWERS, max_bytes=max_bytes)


def open_spool(settings: Settings) -> AnswerSpool:
    """Return the spool of ``settings``."""
    return answer_spool(settings.spool_folder, max_bytes=settings.summaries.spool_max_mb * 1024 * 1024)


def open_outbox(settings: Settings, dynamodb: Any) -> OutboxTable[ServedRecord]:
    """Return the outbox's table of ``settings``; contacts nothing."""
    return OutboxTable(dynamodb, settings.summaries.outbox_table, OUTBOX.partition, ANSWERS)


def answer_outbox(settings: Settings, table: OutboxTable[ServedRecord], puts: TablePuts) -> AnswerOutbox:
    """Return what keeps an answer in ``table`` before it is sent."""
    wait_s = settings.summaries.keep_wait_ms / 1000
    return Outbox(table.put_by(puts), ANSWERS, wait_s=wait_s, why_off="OMNI_KEEP_WAIT_MS is 0")


def answer_writer(
    table: Store[ServedRecord],
    archive: Store[ServedRecord],
    spool: AnswerSpool,
    outbox: LeftBehind[ServedRecord] | None = None,
    **more: Any,
) -> AnswerWriter:
    """Return the writer of both stores; with ``outbox`` it also clears and sweeps that. ``more`` is of ``SpooledWriter``."""
    sweep = None if outbox is None else Sweep(outbox, ANSWERS)
    return SpooledWriter({"summary-table": table, "summary-object": archive}, spool, sweep=sweep, **more)
