"""Reads an object of the bucket as an answered request, a verdict or a release, or reports why it is none of them.

Answers and verdicts are of two kinds each: those on summaries, and those of ``POST /v1/<task>``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.answers_kept.answer_record import ANSWER_FEEDBACK_PREFIX, ANSWERS_PREFIX, AnswerVerdict, KeptAnswer
from service.answers_kept.archive import Archive
from service.answers_kept.record import (
    FEEDBACK_PREFIX,
    PROCESSED_PREFIX,
    RELEASES_PREFIX,
    FeedbackRecord,
    SummaryRecord,
    time_partition,
    utc_text,
)
from service.audit.record import AUDIT_PREFIX, AuditRecord
from service.kit.frame.errors import ServiceError
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash
from service.warehouse.events import SCHEMA_VERSION

PREFIXES = (PROCESSED_PREFIX, FEEDBACK_PREFIX, ANSWERS_PREFIX, ANSWER_FEEDBACK_PREFIX, AUDIT_PREFIX, RELEASES_PREFIX)
MAX_OBJECT_BYTES = 1024 * 1024  # the largest record of a valid request is about 60 kB
_SHOWN_FIELDS = 5

ObjectKind = Literal["summary", "feedback", "answer", "answer_feedback", "audit", "release", "unknown"]
KINDS: Mapping[str, ObjectKind] = {
    PROCESSED_PREFIX: "summary",
    FEEDBACK_PREFIX: "feedback",
    ANSWERS_PREFIX: "answer",
    ANSWER_FEEDBACK_PREFIX: "answer_feedback",
    AUDIT_PREFIX: "audit",
    RELEASES_PREFIX: "release",
}


class DeadReason(StrEnum):
    """The reason why an object's rows are not in the warehouse."""

    NOT_JSON = "not_json"
    WRONG_SCHEMA = "wrong_schema"
    SCHEMA_VERSION = "schema_version"
    TOO_LARGE = "too_large"
    GONE = "gone"
    REDACTION = "redaction"
    CHECK = "check"
    COLLISION = "collision"
    ERASED = "erased"


class BadObject(ServiceError):
    """An object that cannot be loaded as it is. The message names fields and sizes, but quotes no value."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ReleasePromise(BaseModel):
    """One figure of the gate attestation behind a release; ``low`` and ``high`` bound its 95% interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str = Field(min_length=1)
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


class ReleaseRecord(BaseModel):
    """One signed move of a task's production alias, with the figures of its gate attestation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(min_length=1)
    environment: Literal["local", "aws"]
    sequence: int = Field(ge=1)
    kind: str
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    released_at: AwareDatetime
    released_by: str
    why: str
    attestation_digest: str
    promises: tuple[ReleasePromise, ...] = ()
    schema_version: int = 0

    @property
    def object_key(self) -> str:
        """The record's own key in S3, in the folder of the release's hour."""
        return (
            f"{time_partition(RELEASES_PREFIX, utc_text(self.released_at))}"
            f"{self.task}-{self.environment}-{self.sequence:08d}.json"
        )


Record = SummaryRecord | FeedbackRecord | KeptAnswer | AnswerVerdict | AuditRecord | ReleaseRecord
_MODELS: Mapping[ObjectKind, type[Record]] = {
    "summary": SummaryRecord,
    "feedback": FeedbackRecord,
    "answer": KeptAnswer,
    "answer_feedback": AnswerVerdict,
    "audit": AuditRecord,
    "release": ReleaseRecord,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One object to load: its bytes, or the problem that prevented fetching them. In bulk files ``key`` is ``file#line``."""

    key: str
    etag: str
    body: bytes = b""
    problem: BadObject | None = None
    kind: ObjectKind | None = None  # None: the key's prefix decides

    @property
    def said_kind(self) -> ObjectKind:
        """The given kind, or the kind that the key's prefix implies."""
        return self.kind or kind_of(self.key)


def kind_of(key: str) -> ObjectKind:
    """Return the kind of objects under ``key``'s prefix."""
    return next((kind for prefix, kind in KINDS.items() if key.startswith(prefix)), "unknown")


def kind_of_line(line: bytes) -> ObjectKind:
    """Return the kind of a bulk file's line, recognised by fields that only this kind has."""
    head = line[:4096]
    if b'"feedback_id"' in head:
        return "answer_feedback" if b'"reason"' in head else "feedback"
    if b'"audit_id"' in head:
        return "audit"
    if b'"persons"' in head:
        return "answer"
    return "release" if b'"attestation_digest"' in head and b'"released_at"' in head else "summary"


def read_object(item: Fetched) -> Record:
    """Return the record that an object holds.

    Raises:
        BadObject: it cannot be loaded, with the reason.
    """
    if item.problem is not None:
        raise item.problem
    model = _MODELS.get(item.said_kind)
    if model is None:
        raise BadObject(DeadReason.WRONG_SCHEMA, f"this prefix holds no events; they are under {', '.join(PREFIXES)}")
    if len(item.body) > MAX_OBJECT_BYTES:
        raise BadObject(DeadReason.TOO_LARGE, f"{len(item.body)} bytes; at most {MAX_OBJECT_BYTES} are allowed")
    try:
        record = model.model_validate_json(item.body)
    except ValidationError as err:
        raise _why(item.body, err) from None
    if not 0 <= record.schema_version <= SCHEMA_VERSION:
        raise _unknown_version(record.schema_version)
    return record


def _why(body: bytes, err: ValidationError) -> BadObject:
    # A bad object is parsed a second time to find the reason, because the reason decides how to repair it.
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return BadObject(DeadReason.NOT_JSON, f"{len(body)} bytes that are not JSON: cut off, or of another format")
    if not isinstance(found, dict):
        return BadObject(DeadReason.WRONG_SCHEMA, f"it holds a JSON {type(found).__name__} instead of an object")
    version = found.get("schema_version", 0)
    if isinstance(version, int) and not 0 <= version <= SCHEMA_VERSION:
        return _unknown_version(version)
    wrong = [f"{_field(entry['loc'])} {entry['type']}" for entry in err.errors(include_input=False, include_url=False)]
    more = f" and {len(wrong) - _SHOWN_FIELDS} more" if len(wrong) > _SHOWN_FIELDS else ""
    return BadObject(DeadReason.WRONG_SCHEMA, "; ".join(wrong[:_SHOWN_FIELDS]) + more)


def _field(where: tuple[int | str, ...]) -> str:
    # The writer of the object chose the names of unknown fields: repeat only what looks like a field name.
    return ".".join(str(part) if str(part).isidentifier() or str(part).isdigit() else "?" for part in where)[:80]


def _unknown_version(version: int) -> BadObject:
    return BadObject(
        DeadReason.SCHEMA_VERSION,
        f"version {version}; this program reads 0 to {SCHEMA_VERSION}: update it, then `omni load-events --replay all`",
    )


def hourly_prefixes(archive: Archive) -> list[str]:
    """Return the prefixes under which keys sort by time; those of tasks are the ones that have answers."""
    return [prefix for kind in PREFIXES for prefix in (archive.folders(kind) if kind == ANSWERS_PREFIX else [kind])]


def is_erased(tombstones: Tombstones, record: Record) -> bool:
    """Return whether ``record`` was made before its customer was erased: an object that comes late must not bring them back.

    Raises:
        StoreError: nobody can tell now; load it later.
    """
    if isinstance(record, ReleaseRecord):
        return False
    if isinstance(record, AuditRecord):
        names = {name for one in record.events for name in (one.session_id, one.contact_id, one.user_id) if name}
        return tombstones.covers(names, record.recorded_at)
    if isinstance(record, KeptAnswer):
        return tombstones.covers((record.customer, record.conversation, *record.persons), _moment(record.generated_at))
    if isinstance(record, AnswerVerdict):
        return tombstones.covers((record.customer, record.conversation), _moment(record.feedback_timestamp))
    made_at = record.feedback_timestamp if isinstance(record, FeedbackRecord) else record.generated_at
    return tombstones.covers((account_hash(record.account_number),), _moment(made_at))


def _moment(text: str) -> datetime:
    # A time that cannot be read makes the object dead later, with its own reason.
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.astimezone()
    return found if found.tzinfo is not None else found.astimezone()
