"""Converts a record to warehouse rows: hashes account numbers with a key, redacts texts and turns lists into columns.

The rows depend only on the record, the hash key and the redactor, so an object gives the same rows whenever it is loaded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from service.loading.audit_rows import audit_texts
from service.loading.objects import BadObject, DeadReason, Record, ReleaseRecord

WarehouseRow = tuple[Any, ...]
_TASK = "summarize"  # records of summaries do not name their task
_CENT_FRACTION = Decimal("1e-10")  # the precision of the warehouse's DECIMAL(18, 10)
_MOST_USD = Decimal("1e8")
_SHORTEST_ACCOUNT = 4  # the API's minimum; a shorter text is not an account and occurs by chance in many ids


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRows:
    """The row of an answered request, and the rows of the interactions that its summary was made from."""

    summary: WarehouseRow
    interactions: tuple[WarehouseRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRows:
    """The row of an answer of any task among the summaries, and the row of what only such an answer has."""

    summary: WarehouseRow
    details: WarehouseRow


def personal_texts(record: Record) -> list[PersonalText]:
    """Return the texts of a record that may hold personal data, in the order in which the functions below take them.

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


def summary_rows(record: SummaryRecord, summary_text: str) -> SummaryRows:
    """Return the rows, with values in the column order of ``SummaryEvent`` and ``InteractionEvent``.

    ``summary_text`` is the redacted text.

    Raises:
        BadObject: a time or an amount cannot be read, or an intent cannot be redacted.
    """
    account = record.account_number
    hashed = account_hash(account)
    hide = _hider(account, hashed)
    generated = _moment("generated_at", record.generated_at)
    contact_id = hide(record.contact_id)
    seen = [
        (item.channel, _moment("interactions.timestamp", item.timestamp), item.intent) for item in record.interactions
    ]
    summary = (
        contact_id,
        hashed,
        summary_text,
        record.model_used,
        generated,
        record.latency_ms,
        record.cache_hit,
        None,
        None,
        record.request_id,
        hide(record.unique_process_id),
        hide(record.initial_contact_id),
        record.summary_id,
        _TASK,
        record.client,
        _label(hide(record.ivr_intent)),
        record.answered_by,
        record.arm,
        record.degraded,
        record.prompt_version,
        record.pair,
        record.pair_digest,
        record.registry_version,
        record.rollout_arm,
        record.environment,
        *_history_columns(record, seen),
        *_metered_columns(record),
        record.guard_findings,
        "+".join(sorted(record.guard_kinds)),
        record.repaired,
        len(record.summary.split()),
        record.schema_version,
        # The record's key instead of the object's, so that a copy under another name gives the same row.
        record.object_key,
    )
    interactions = tuple(
        (record.request_id, contact_id, hashed, generated, position, channel, moment, _label(hide(intent)))
        for position, (channel, moment, intent) in enumerate(seen)
    )
    return SummaryRows(summary=summary, interactions=interactions)


def answer_rows(record: KeptAnswer, texts: Sequence[str]) -> AnswerRows:
    """Return the rows, with values in the column order of their events; ``texts`` are the redacted ``personal_texts``.

    Raises:
        BadObject: a time or an amount cannot be read.
    """
    redacted = iter(texts)
    output = with_output_texts(record.output, redacted)
    inputs = None if record.inputs is None else json_text(with_texts(record.inputs, redacted))
    generated = _moment("generated_at", record.generated_at)
    conversation = record.conversation or record.request_id
    summary = (
        record.request_id,
        record.customer,
        output,
        record.model_used,
        generated,
        record.latency_ms,
        False,
        None,
        None,
        record.request_id,
        conversation,
        conversation,
        record.request_id,
        record.task,
        record.client,
        "",
        record.answered_by,
        record.arm,
        record.degraded,
        record.prompt_version,
        record.pair,
        record.pair_digest,
        record.registry_version,
        record.rollout_arm,
        record.environment,
        *_NO_HISTORY,
        *_metered_columns(record),
        record.guard_findings,
        "+".join(sorted(record.guard_kinds)),
        record.repaired,
        len(output.split()),
        record.schema_version,
        record.object_key,
    )
    details = (
        record.request_id,
        record.task,
        generated,
        record.conversation,
        inputs,
        json_text([call.model_dump() for call in record.tools]),
        record.schema_version,
        record.object_key,
    )
    return AnswerRows(summary=summary, details=details)


_NO_HISTORY: WarehouseRow = (None, 0, 0, "", None, 0, 0, None)


def _history_columns(record: SummaryRecord, seen: Sequence[tuple[str, datetime, str]]) -> WarehouseRow:
    """Return the columns from ``date_range`` to ``channel_filter``: the requested and the considered history."""
    times = [moment for _, moment, _ in seen]
    return (
        record.date_range,
        record.interactions_considered,
        (max(times) - min(times)).days if times else 0,
        "+".join(sorted({channel for channel, _, _ in seen})),
        max(seen, key=lambda item: item[1])[0] if seen else None,
        record.max_history_days,
        record.max_interactions,
        None if record.channel_filter is None else "+".join(record.channel_filter),
    )


def _metered_columns(record: SummaryRecord | KeptAnswer) -> WarehouseRow:
    """Return the columns from ``input_tokens`` to ``cost_usd``."""
    return (
        record.input_tokens,
        record.output_tokens,
        record.prompt_cache_read_tokens,
        record.prompt_cache_write_tokens,
        _money(record.cost_usd),
    )


def feedback_row(record: FeedbackRecord, texts: Sequence[str]) -> WarehouseRow:
    """Return the row, with values in the column order of ``FeedbackEvent``; ``texts`` are its redacted ``personal_texts``.

    Raises:
        BadObject: a time cannot be read.
    """
    redacted = iter(texts)
    account = record.account_number
    hashed = account_hash(account)
    hide = _hider(account, hashed)
    return (
        record.feedback_id,
        record.request_id,
        hide(record.contact_id),
        hide(record.initial_contact_id),
        hide(record.unique_process_id),
        hashed,
        record.helpful_feedback,
        _moment("feedback_timestamp", record.feedback_timestamp),
        None if record.comment is None else next(redacted),
        None if record.edited_summary is None else next(redacted),
        _moment("generated_at", record.generated_at),
        record.pair,
        record.pair_digest,
        record.prompt_version,
        record.model_used,
        record.schema_version,
        record.object_key,
        _TASK,
        None,
    )


def answer_verdict_row(record: AnswerVerdict, texts: Sequence[str]) -> WarehouseRow:
    """Return the row, with values in the column order of ``FeedbackEvent``; ``texts`` are its redacted ``personal_texts``.

    Raises:
        BadObject: a time cannot be read.
    """
    redacted = iter(texts)
    conversation = record.conversation or record.request_id
    return (
        record.feedback_id,
        record.request_id,
        record.request_id,
        conversation,
        conversation,
        record.customer,
        record.helpful_feedback,
        _moment("feedback_timestamp", record.feedback_timestamp),
        with_output_texts(record.comment, redacted) if record.comment else record.comment,
        with_output_texts(record.edited_output, redacted) if record.edited_output else record.edited_output,
        _moment("generated_at", record.generated_at),
        record.pair,
        record.pair_digest,
        record.prompt_version,
        record.model_used,
        record.schema_version,
        record.object_key,
        record.task,
        record.reason,
    )


def release_rows(record: ReleaseRecord) -> tuple[WarehouseRow, tuple[WarehouseRow, ...]]:
    """Return the row of the release and the rows of its promises, with values in the events' column order.

    Raises:
        BadObject: the reason cannot be redacted.
    """
    same = (record.task, record.environment, record.sequence)
    release = (
        *same,
        record.kind,
        record.pair,
        record.pair_digest,
        record.prompt_version,
        record.registry_version,
        record.released_at.astimezone(UTC),
        record.released_by,
        # Staff write this text about pairs; redacting names would remove the names of pairs.
        _label(record.why),
        record.attestation_digest,
    )
    promises = tuple(
        (*same, record.pair_digest, said.metric, said.value, said.low, said.high, said.n, said.unit)
        for said in record.promises
    )
    return release, promises


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
