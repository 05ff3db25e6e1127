"""What an object of the bucket holds: an answered request, a verdict or a release; or why it holds none of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.errors import ServiceError
from service.events import SCHEMA_VERSION
from service.summaries.record import (
    FEEDBACK_PREFIX,
    PROCESSED_PREFIX,
    RELEASES_PREFIX,
    SummaryRecord,
    time_partition,
    utc_text,
)

PREFIXES = (PROCESSED_PREFIX, FEEDBACK_PREFIX, RELEASES_PREFIX)
MAX_OBJECT_BYTES = 1024 * 1024  # the largest record of a valid request is about 60 kB
_SHOWN_FIELDS = 5

ObjectKind = Literal["summary", "feedback", "release", "unknown"]
KINDS: Mapping[str, ObjectKind] = {PROCESSED_PREFIX: "summary", FEEDBACK_PREFIX: "feedback", RELEASES_PREFIX: "release"}


class DeadReason(StrEnum):
    """Why an object's rows are not in the warehouse."""

    NOT_JSON = "not_json"
    WRONG_SCHEMA = "wrong_schema"
    SCHEMA_VERSION = "schema_version"
    TOO_LARGE = "too_large"
    GONE = "gone"
    REDACTION = "redaction"
    CHECK = "check"
    COLLISION = "collision"


class BadObject(ServiceError):
    """An object that cannot be loaded as it is. The message names fields and sizes, never a value."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FeedbackRecord(BaseModel):
    """One verdict as ``service.summaries.feedback_store`` writes it; ``generated_at`` is of the summary that it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feedback_id: str = Field(min_length=1)
    feedback_timestamp: str
    helpful_feedback: Literal["helpful", "not_helpful"]
    comment: str | None = None
    edited_summary: str | None = None
    unique_process_id: str
    request_id: str = Field(min_length=1)
    account_number: str = Field(min_length=1)
    contact_id: str = Field(min_length=1)
    initial_contact_id: str
    generated_at: str
    model_used: str
    answered_by: str
    prompt_version: str
    pair: str
    pair_digest: str
    latency_ms: int
    cache_hit: bool
    degraded: bool
    schema_version: int = 0

    @property
    def object_key(self) -> str:
        """The record's own key in S3."""
        return f"{time_partition(FEEDBACK_PREFIX, self.feedback_timestamp)}{self.feedback_id}.json"


class ReleasePromise(BaseModel):
    """One figure of the gate attestation that a release stands on; ``low`` and ``high`` bound its 95% interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str = Field(min_length=1)
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


class ReleaseRecord(BaseModel):
    """One signed move of a task's production alias, with what its gate promised."""

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
        """The record's own key in S3: by the hour of the release, as all others are."""
        return (
            f"{time_partition(RELEASES_PREFIX, utc_text(self.released_at))}"
            f"{self.task}-{self.environment}-{self.sequence:08d}.json"
        )


Record = SummaryRecord | FeedbackRecord | ReleaseRecord
_MODELS: Mapping[ObjectKind, type[Record]] = {
    "summary": SummaryRecord,
    "feedback": FeedbackRecord,
    "release": ReleaseRecord,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One object to load: its bytes, or why there are none. Bulk files give ``key`` as ``file#line``."""

    key: str
    etag: str
    body: bytes = b""
    problem: BadObject | None = None
    kind: ObjectKind | None = None  # None: by the key's prefix

    @property
    def said_kind(self) -> ObjectKind:
        """The kind that prefix or file says it is."""
        return self.kind or kind_of(self.key)


def kind_of(key: str) -> ObjectKind:
    """Return what the objects under ``key``'s prefix are."""
    return next((kind for prefix, kind in KINDS.items() if key.startswith(prefix)), "unknown")


def kind_of_line(line: bytes) -> ObjectKind:
    """Return what one JSON object of a bulk file is, by the field that only its kind has."""
    head = line[:4096]
    if b'"feedback_id"' in head:
        return "feedback"
    return "release" if b'"attestation_digest"' in head and b'"released_at"' in head else "summary"


def read_object(item: Fetched) -> Record:
    """Return the record that an object holds.

    Raises:
        BadObject: it cannot be loaded; why.
    """
    if item.problem is not None:
        raise item.problem
    model = _MODELS.get(item.said_kind)
    if model is None:
        raise BadObject(DeadReason.WRONG_SCHEMA, f"no event lives under this prefix; they are {', '.join(PREFIXES)}")
    if len(item.body) > MAX_OBJECT_BYTES:
        raise BadObject(DeadReason.TOO_LARGE, f"{len(item.body)} bytes, {MAX_OBJECT_BYTES} are the most")
    try:
        record = model.model_validate_json(item.body)
    except ValidationError as err:
        raise _why(item.body, err) from None
    if not 0 <= _version(record) <= SCHEMA_VERSION:
        raise _unknown_version(_version(record))
    return record


def _why(body: bytes, err: ValidationError) -> BadObject:
    # Only now, and only for the bad ones, a second look: what kind of wrong decides what a person does about it.
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return BadObject(DeadReason.NOT_JSON, f"{len(body)} bytes that are no JSON: cut off, or something else")
    if not isinstance(found, dict):
        return BadObject(DeadReason.WRONG_SCHEMA, f"a JSON {type(found).__name__} where an object belongs")
    version = found.get("schema_version", 0)
    if isinstance(version, int) and not 0 <= version <= SCHEMA_VERSION:
        return _unknown_version(version)
    wrong = [f"{_field(entry['loc'])} {entry['type']}" for entry in err.errors(include_input=False, include_url=False)]
    more = f" and {len(wrong) - _SHOWN_FIELDS} more" if len(wrong) > _SHOWN_FIELDS else ""
    return BadObject(DeadReason.WRONG_SCHEMA, "; ".join(wrong[:_SHOWN_FIELDS]) + more)


def _field(where: tuple[int | str, ...]) -> str:
    # An unknown field's name was written by whoever wrote the object: only what looks like a name is repeated.
    return ".".join(str(part) if str(part).isidentifier() or str(part).isdigit() else "?" for part in where)[:80]


def _version(record: Record) -> int:
    return record.schema_version


def _unknown_version(version: int) -> BadObject:
    return BadObject(
        DeadReason.SCHEMA_VERSION,
        f"version {version}; this program reads 0 to {SCHEMA_VERSION}: update it, then `omni load-events --replay all`",
    )
