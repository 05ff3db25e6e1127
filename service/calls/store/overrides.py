"""People's overrides of verdicts on criteria, in DynamoDB beside their calls: each one an item that never changes.

Sort key ``OVERRIDE#<call>#<criterion>#<edit>`` under the tenant. An override is written once and has the next number, so two
people who both read number 3 cannot both write number 4. The index ``by_open`` holds those that the warehouse does not hold yet.
"""

from dataclasses import dataclass
from datetime import datetime

from service.core.tasks.scorecard.arithmetic import Rating
from service.core.unit.tenant import Tenant
from service.kit.aws.stores import CALLS
from service.kit.records.conditions import Changes, begins
from service.kit.records.items import Item, Key
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordChanged, RecordForm, RecordTable

_OVERRIDE = "OVERRIDE#"
# No tenant's id begins with "#": the same index holds unfinished calls by tenant.
_UNLOADED = "#overrides"


class OverrideTaken(Exception):
    """Another override already has this number; read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A person's verdict; one equal to the model's confirms it. ``edit`` counts from 1 for each criterion of a call.

    ``reason`` is redacted and kept only here, not in the warehouse. ``at`` is exact to the millisecond.
    """

    tenant: str
    call_id: str
    criterion: str
    edit: int
    form_id: str
    form_version: int
    model_verdict: Rating | None
    verdict: Rating
    reason: str
    who: str
    at: datetime
    pair_digest: str

    @property
    def agrees(self) -> bool:
        """Whether it confirms the model's verdict."""
        return self.verdict == self.model_verdict


class CallOverrides:
    """Overrides in the table of calls. Blocking; every method raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, rows: Rows) -> None:
        self._table = RecordTable(rows, _FORM)

    def put(self, override: Override) -> None:
        """Write an override, marked as not yet in the warehouse.

        Raises:
            OverrideTaken: there is already one with its number.
        """
        try:
            self._table.put_new(override)
        except RecordChanged as err:
            raise OverrideTaken(f"override {override.edit} of this criterion already exists") from err

    def of(self, tenant: str, call_id: str) -> list[Override]:
        """Return all overrides of a call by criterion, the newest last."""
        of_call = begins("sk", f"{_OVERRIDE}{call_id}#")
        return list(self._table.records(Query(partition=Tenant(tenant).partition, sort=of_call)))

    def unloaded(self) -> list[Override]:
        """Return all tenants' overrides that the warehouse does not hold yet, oldest first; the last second's may be missing."""
        return list(self._table.records(Query(partition=_UNLOADED, index=CALLS.indexes[0])))

    def loaded(self, override: Override) -> None:
        """Mark an override as loaded into the warehouse."""
        self._table.rows.update(_key(override), Changes(removes=["open"]))


def _key(override: Override) -> Key:
    # Zero-padded, so that keys sort by number.
    return (
        Tenant(override.tenant).partition,
        f"{_OVERRIDE}{override.call_id}#{override.criterion}#{override.edit:09d}",
    )


def _item(override: Override) -> Item:
    texts = {
        "form_id": override.form_id, "form_version": str(override.form_version), "model_verdict": override.model_verdict,
        "verdict": override.verdict, "reason": override.reason, "who": override.who, "updated_at": _text(override.at),
        "pair_digest": override.pair_digest,
    }  # fmt: skip
    return {name: text for name, text in texts.items() if text is not None}


def _override(item: Item) -> Override:
    _, call_id, criterion, edit = item["sk"].split("#")
    return Override(
        tenant=item["pk"].removeprefix("TENANT#"),
        call_id=call_id,
        criterion=criterion,
        edit=int(edit),
        form_id=item["form_id"],
        form_version=int(item["form_version"]),
        model_verdict=item.get("model_verdict"),
        verdict=item["verdict"],
        reason=item["reason"],
        who=item["who"],
        at=datetime.fromisoformat(item["updated_at"]),
        pair_digest=item["pair_digest"],
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


_FORM: RecordForm[Override] = RecordForm(
    noun="override", key=_key, to_item=_item, from_item=_override, version="", listed_in=lambda override: _UNLOADED
)
