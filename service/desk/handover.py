"""One customer who was handed over to a person: why, what the person should know, and who has taken the conversation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.core.unit.tenant import Tenant
from service.kit.aws.stores import HANDOVERS
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

# How soon a person should take a handover, by its reason; others come last. Ties are served in the order of their arrival.
URGENCY: Mapping[str, int] = {"sensitive_topic": 1, "customer_frustration": 2, "repeated_query": 3}
_LEAST_URGENT = 5
KEPT_FOR = timedelta(hours=24)  # after the last change
KNOWN_REASONS = frozenset(
    {
        "explicit_request",
        "customer_frustration",
        "repeated_query",
        "capability_limitation",
        "technical_issues",
        "complex_scenario",
        "sensitive_topic",
    }
)
# Nobody can see whether a caller still holds the line; the telephone's own queue keeps that count.
_UNSEEN_AT_MOST = timedelta(hours=1)

HandoverState = Literal["waiting", "taken", "closed"]
HandoverEnd = Literal["resolved", "callback", "abandoned"]


class HandoverSummary(BaseModel):
    """What a person reads before speaking with the customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer_query: str
    conversation_turns: int = Field(ge=0)
    topics_discussed: tuple[str, ...] = ()
    information_collected: dict[str, str] = Field(default_factory=dict)
    handover_reason: str
    timestamp: AwareDatetime


class CustomerHandover(BaseModel):
    """A handover as it is stored; times are UTC. ``summary`` and ``context`` are gone once it has ended.

    ``owner`` is whose conversation it is: ``tenant:`` or ``client:`` with a name, "" without access control. ``task`` and
    ``owner`` lead to the conversation where the service keeps it. ``taken_by`` is the agent's client. ``seen_at`` is when the
    customer's page asked last; None where the channel does not tell, as on the telephone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    handover_id: str
    conversation_id: str
    task: str = ""
    owner: str = ""
    reason: str
    summary: HandoverSummary | None
    context: dict[str, str] = Field(default_factory=dict)
    requested_at: AwareDatetime
    seen_at: AwareDatetime | None = None
    state: HandoverState = "waiting"
    taken_by: str | None = None
    taken_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    ended: HandoverEnd | None = None
    version: int = 0

    @property
    def tenant(self) -> str | None:
        """The tenant whose agents may take it; None: of agents without a tenant."""
        tenant = Tenant.of_owner(self.owner)
        return None if tenant is None else tenant.id

    @property
    def urgency(self) -> int:
        """How soon it should be taken: 1 first, 5 last."""
        return URGENCY.get(self.reason, _LEAST_URGENT)

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Its place among those that wait."""
        return self.urgency, self.requested_at, self.handover_id

    @property
    def handling(self) -> timedelta | None:
        """How long a person spoke with the customer; None if nobody has, or still does."""
        return None if self.taken_at is None or self.closed_at is None else self.closed_at - self.taken_at

    def has_left(self, now: datetime, left_after: timedelta) -> bool:
        """Return whether the customer waits no longer: their page has been silent for ``left_after``."""
        if self.state != "waiting":
            return False
        if self.seen_at is None:
            return now - self.requested_at > _UNSEEN_AT_MOST
        return now - self.seen_at > left_after

    def seen(self, now: datetime) -> Self:
        """Return the handover of a customer whose page has just asked."""
        return self.model_copy(update={"seen_at": now})

    def taken(self, agent: str, now: datetime) -> Self:
        """Return the handover taken by ``agent``.

        Raises:
            ValueError: nobody waits any more.
        """
        if self.state != "waiting":
            raise ValueError(f"handover {self.handover_id!r} is {self.state}; take one that waits")
        return self.model_copy(update={"state": "taken", "taken_by": agent, "taken_at": now})

    def closed(self, ended: HandoverEnd, now: datetime) -> Self:
        """Return the handover after its end, without what the customer has told; an ended one is returned as it is."""
        if self.state == "closed":
            return self
        changed: dict[str, object] = {
            "state": "closed",
            "ended": ended,
            "closed_at": now,
            "summary": None,
            "context": {},
        }
        return self.model_copy(update=changed)


(_BY_STATE,) = HANDOVERS.indexes


class HandoverStore(RecordTable[CustomerHandover]):
    """Handovers by id; ``scope`` keeps stages apart that share the table."""

    def __init__(self, rows: Rows, *, scope: str = "") -> None:
        super().__init__(rows, _FORM, scope=scope)

    def waiting(self) -> list[CustomerHandover]:
        """Return those that wait, by rank; may miss changes of the last second."""
        return list(self.records(Query(partition="waiting", index=_BY_STATE)))

    def latest(self, state: HandoverState, *, most: int) -> list[CustomerHandover]:
        """Return those that were taken or closed last, newest first; may miss changes of the last second."""
        return self.page(Query(partition=state, index=_BY_STATE, newest_first=True, most=most)).records


def _item(handover: CustomerHandover) -> Item:
    urgency = f"{handover.urgency}/" if handover.state == "waiting" else ""
    changed_at = _changed_at(handover).astimezone(UTC).isoformat(timespec="microseconds")
    return {
        "text": handover.model_dump_json(),
        _BY_STATE.sort: f"{urgency}{changed_at}/{handover.handover_id}",
    }


def _changed_at(handover: CustomerHandover) -> datetime:
    return handover.closed_at or handover.taken_at or handover.requested_at


_FORM: RecordForm[CustomerHandover] = RecordForm(
    noun="handover",
    key=lambda handover: (handover.handover_id,),
    to_item=_item,
    from_item=lambda item: CustomerHandover.model_validate_json(item["text"]),
    expires=lambda handover: _changed_at(handover) + KEPT_FOR,
    listed_in=lambda handover: handover.state,
)
