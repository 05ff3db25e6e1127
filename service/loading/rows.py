"""Converts a record to warehouse rows: hashes account numbers with a key, redacts texts and turns lists into columns.

The rows depend only on the record, the hash key and the redactor, so an object gives the same rows whenever it is loaded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer
from service.answers_kept.record import FeedbackRecord, SummaryRecord
from service.audit.record import AuditRecord
from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.core.redaction.persons import json_text, output_texts, texts_in, with_output_texts, with_texts
from service.core.redaction.texts import PersonalText
from service.kit.telemetry.log import account_hash
from service.loading.arrow_tables import WarehouseRow, WarehouseRows, row_of
from service.loading.audit_rows import audit_rows, audit_texts
from service.loading.objects import BadObject, DeadReason, Record, ReleaseRecord
from service.warehouse.events import (
    AnswerDetailEvent,
    FeedbackEvent,
    InteractionEvent,
    PromiseEvent,
    ReleaseEvent,
    SummaryEvent,
)

_TASK = "summarize"  # records of summaries do not name their task
_CENT_FRACTION = Decimal("1e-10")  # ten decimals of a dollar
_MOST_USD = Decimal("1e8")
_SHORTEST_ACCOUNT = 4  # the API's minimum; a shorter text is not an account and occurs by chance in many ids


def personal_texts(record: Record) -> list[PersonalText]:
    """Return the texts of a record that may hold personal data, in the order in which ``warehouse_rows`` takes them.

    Those of a task's answer were redacted by the patterns before they were kept; the finder has not seen them yet.
    """
    if isinstance(record, ReleaseRecord):
        return []
    if isinstance(record, AuditRecord):
        return [PersonalText(text=text, account_number="") for text in audit_texts(record)]
    if isinstance(record, KeptAnswer):
        found = [*output_texts(record.output), *texts_in(record.inputs)]
        return [PersonalText(text=text, account_number="") for text in found]
    if isinstance(record, AnswerVerdict):
        found = [text for said in (record.comment, record.edited_output) if said for text in output_texts(said)]
        return [PersonalText(text=text, account_number="") for text in found]
    texts = [record.summary] if isinstance(record, SummaryRecord) else [record.comment, record.edited_summary]
    return [PersonalText(text=text, account_number=record.account_number) for text in texts if text is not None]


def warehouse_rows(record: Record, texts: Sequence[str]) -> WarehouseRows:
    """Return all rows of a record; ``texts`` are its redacted ``personal_texts``.

    Raises:
        BadObject: a time or an amount cannot be read, or an intent or reason cannot be redacted.
    """
    redacted = iter(texts)
    if isinstance(record, SummaryRecord):
        return _summary_rows(record, next(redacted))
    if isinstance(record, KeptAnswer):
        return _answer_rows(record, redacted)
    if isinstance(record, FeedbackRecord):
        return [(FeedbackEvent, _feedback_row(record, redacted))]
    if isinstance(record, AnswerVerdict):
        return [(FeedbackEvent, _answer_verdict_row(record, redacted))]
    if isinstance(record, AuditRecord):
        return audit_rows(record, redacted)
    return _release_rows(record)


def _summary_rows(record: SummaryRecord, summary_text: str) -> WarehouseRows:
    hashed = account_hash(record.account_number)
    hide = _hider(record.account_number, hashed)
    generated = _moment("generated_at", record.generated_at)
    seen = [
        (item.channel, _moment("interactions.timestamp", item.timestamp), item.intent) for item in record.interactions
    ]
    times = [moment for _, moment, _ in seen]
    same = {"contact_id": hide(record.contact_id), "account_number": hashed, "generation_timestamp": generated}
    summary = row_of(
        SummaryEvent,
        record,
        **same,
        **_metered(record),
        summary_text=summary_text,
        summary_words=len(record.summary.split()),
        unique_process_id=hide(record.unique_process_id),
        initial_contact_id=hide(record.initial_contact_id),
        task=_TASK,
        ivr_intent=_label(hide(record.ivr_intent)),
        history_days=(max(times) - min(times)).days if times else 0,
        channels="+".join(sorted({channel for channel, _, _ in seen})),
        last_channel=max(seen, key=lambda item: item[1])[0] if seen else None,
        channel_filter=None if record.channel_filter is None else "+".join(record.channel_filter),
    )
    interactions = [
        row_of(
            InteractionEvent,
            record,
            **same,
            position=position,
            channel=channel,
            interaction_timestamp=moment,
            intent=_label(hide(intent)),
        )
        for position, (channel, moment, intent) in enumerate(seen)
    ]
    return [(SummaryEvent, summary), *((InteractionEvent, row) for row in interactions)]


def _answer_rows(record: KeptAnswer, redacted: Iterator[str]) -> WarehouseRows:
    output = with_output_texts(record.output, redacted)
    inputs = None if record.inputs is None else json_text(with_texts(record.inputs, redacted))
    generated = _moment("generated_at", record.generated_at)
    conversation = record.conversation or record.request_id
    summary = row_of(
        SummaryEvent,
        record,
        **_NO_HISTORY,
        **_metered(record),
        contact_id=record.request_id,
        account_number=record.customer,
        summary_text=output,
        summary_words=len(output.split()),
        generation_timestamp=generated,
        cache_hit=False,
        unique_process_id=conversation,
        initial_contact_id=conversation,
        summary_id=record.request_id,
    )
    tools = json_text([call.model_dump() for call in record.tools])
    details = row_of(AnswerDetailEvent, record, generation_timestamp=generated, inputs=inputs, tools=tools)
    return [(SummaryEvent, summary), (AnswerDetailEvent, details)]


# The columns of a summary's intent and history in the row of an answer that has neither.
_NO_HISTORY: Mapping[str, Any] = {
    "ivr_intent": "", "date_range": None, "interactions_considered": 0, "history_days": 0, "channels": "",
    "last_channel": None, "max_history_days": 0, "max_interactions": 0, "channel_filter": None,
}  # fmt: skip


def _metered(record: SummaryRecord | KeptAnswer) -> dict[str, Any]:
    return {
        "cost_usd": _money(record.cost_usd),
        "guard_kinds": "+".join(sorted(record.guard_kinds)),
        "helpful_feedback": None,
        "feedback_timestamp": None,
    }


def _feedback_row(record: FeedbackRecord, redacted: Iterator[str]) -> WarehouseRow:
    hashed = account_hash(record.account_number)
    hide = _hider(record.account_number, hashed)
    return row_of(
        FeedbackEvent,
        record,
        **_verdict_times(record),
        contact_id=hide(record.contact_id),
        initial_contact_id=hide(record.initial_contact_id),
        unique_process_id=hide(record.unique_process_id),
        account_number=hashed,
        comment=None if record.comment is None else next(redacted),
        edited_summary=None if record.edited_summary is None else next(redacted),
        task=_TASK,
        reason=None,
    )


def _answer_verdict_row(record: AnswerVerdict, redacted: Iterator[str]) -> WarehouseRow:
    conversation = record.conversation or record.request_id
    comment = with_output_texts(record.comment, redacted) if record.comment else record.comment
    edited = with_output_texts(record.edited_output, redacted) if record.edited_output else record.edited_output
    return row_of(
        FeedbackEvent,
        record,
        **_verdict_times(record),
        contact_id=record.request_id,
        initial_contact_id=conversation,
        unique_process_id=conversation,
        account_number=record.customer,
        comment=comment,
        edited_summary=edited,
    )


def _verdict_times(record: FeedbackRecord | AnswerVerdict) -> dict[str, datetime]:
    return {
        "feedback_timestamp": _moment("feedback_timestamp", record.feedback_timestamp),
        "summary_timestamp": _moment("generated_at", record.generated_at),
    }


def _release_rows(record: ReleaseRecord) -> WarehouseRows:
    # Staff write the reason about pairs; redacting names would remove the names of pairs.
    release = row_of(ReleaseEvent, record, released_at=record.released_at.astimezone(UTC), why=_label(record.why))
    promises = [row_of(PromiseEvent, record, **said.model_dump()) for said in record.promises]
    return [(ReleaseEvent, release), *((PromiseEvent, row) for row in promises)]


def _hider(account: str, hashed: str) -> Callable[[str], str]:
    # Callers choose contact and process ids, which may contain the account number. It is replaced by its hash everywhere, so
    # rows still join on these ids.
    if len(account) < _SHORTEST_ACCOUNT:
        return str
    return lambda value: value.replace(account, hashed) if account in value else value


def _moment(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise BadObject(DeadReason.WRONG_SCHEMA, f"{field} has no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadObject(DeadReason.WRONG_SCHEMA, f"{field} is no ISO 8601 time") from None


def _money(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
        if amount.is_finite() and abs(amount) < _MOST_USD:
            return amount.quantize(_CENT_FRACTION)
    except InvalidOperation:
        pass
    raise BadObject(DeadReason.WRONG_SCHEMA, "cost_usd is no amount of dollars")


@lru_cache(maxsize=4096)
def _label(text: str) -> str:
    """Return a redacted intent or reason, without redacting names: capitals in them are not names.

    Cached, because a few hundred intents occur millions of times.
    """
    try:
        return redacted_text(text, names=False)
    except RedactionFailed as err:
        raise BadObject(DeadReason.REDACTION, str(err)) from None
    except Exception as err:  # fail closed: if redaction fails in any way, the text is not kept
        raise BadObject(DeadReason.REDACTION, type(err).__name__) from None
