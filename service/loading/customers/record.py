"""One event of a customer as a tenant's system writes it: a JSON object, alone in a record of a stream or a line of a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from service.core.unit.customer import TenantId
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ServiceError
from service.kit.telemetry.fields import account_hash
from service.warehouse.events import CustomerEvent

SCHEMA_VERSION = 1
MOST_BYTES = 64 * 1024
_SHOWN = 5
_Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class QuarantineReason(StrEnum):
    """Why an event is not in the warehouse."""

    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    SCHEMA_VERSION = "schema_version"
    WRONG_SCHEMA = "wrong_schema"
    CHECK = "check"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CONFLICT = "conflict"


class BadEvent(ServiceError):
    """An event that cannot be loaded as it is. The message names fields, and quotes no value."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class _Strict(BaseModel):
    # Strict: "3" is no number and 1 no truth, because a system that writes them so may mean something else.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Home(_Strict):
    """The home that is served; ``built`` is a year."""

    kind: Literal["house", "flat"]
    garden: bool = False
    built: int | None = None


class CustomerRecord(_Strict):
    """An event. ``recorded_at`` is when the source system wrote it down, if it says so.

    ``customer`` makes a customer known, and may tell the ``home``; ``service`` names what was done, with a mark from 1 to 5 if
    one was given; ``payment`` has an amount in the tenant's currency. An event is never changed: a correction is another event.
    """

    schema_version: Literal[1]
    tenant: TenantId
    customer_id: _Id
    event_id: _Id
    event_type: Literal["customer", "service", "payment"]
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime | None = None
    service: str | None = None
    satisfaction: int | None = None
    amount: Decimal | None = None
    home: Home | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedEvent:
    """One event on its way in, unread.

    ``source`` names it for good: stream, shard and number, or file and line. ``arrived_at`` is when it became known here; None
    for history, which counts from the moment at which its source recorded it.
    """

    source: str
    body: bytes
    arrived_at: datetime | None


def read_event(body: bytes) -> CustomerRecord:
    """Return the event in ``body``.

    Raises:
        BadEvent: it is none, with the reason.
    """
    if len(body) > MOST_BYTES:
        raise BadEvent(QuarantineReason.TOO_LARGE, f"{len(body)} bytes; at most {MOST_BYTES} are read")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadEvent(QuarantineReason.NOT_JSON, f"{len(body)} bytes that are not JSON") from None
    if not isinstance(found, dict):
        raise BadEvent(QuarantineReason.WRONG_SCHEMA, f"a JSON {type(found).__name__} instead of an object")
    version = found.get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise BadEvent(
            QuarantineReason.SCHEMA_VERSION,
            f"version {version}; this program reads {SCHEMA_VERSION}: update it, then replay",
        )
    try:
        return CustomerRecord.model_validate_json(body)
    except ValidationError as err:
        raise BadEvent(QuarantineReason.WRONG_SCHEMA, _wrong(err)) from None


def version_in(body: bytes) -> str:
    """Return the schema version that an event states; "none" if it states none, "unread" if it is no JSON object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "unread"
    version = found.get("schema_version") if isinstance(found, dict) else None
    return str(version) if isinstance(version, int) else "none"


def event_row(record: CustomerRecord, arrived: ArrivedEvent, now: datetime) -> dict[str, Any]:
    """Return the event's row of ``omni_customer_events``."""
    home: Mapping[str, Any] = {} if record.home is None else record.home.model_dump()
    person = account_hash(record.customer_id)
    recorded = record.recorded_at or record.occurred_at
    content = record.model_dump(mode="json", exclude={"customer_id"}) | {"customer": person}
    row: dict[str, Any] = {name: getattr(record, name, None) for name in CustomerEvent.model_fields}
    return row | {
        "customer": person,
        "known_at": max(recorded, arrived.arrived_at or recorded, record.occurred_at),
        **{f"home_{name}": home.get(name) for name in ("kind", "garden", "built")},
        "content": sha256_hex(canonical_json(content)),
        "loaded_at": now,
        "source": arrived.source,
    }


def _wrong(err: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) if str(part).isidentifier() else '?' for part in one['loc'])[:80]} {one['type']}"
        for one in err.errors(include_input=False, include_url=False)
    ]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
