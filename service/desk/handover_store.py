"""Keeps handovers, with a version against two agents, and an index by state and rank."""

from datetime import UTC, datetime

from service.desk.handover import KEPT_FOR, CustomerHandover, HandoverState
from service.kit.aws.stores import HANDOVERS
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

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
