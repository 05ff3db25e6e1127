"""People's overrides of verdicts on criteria, in DynamoDB beside their calls: each one an item that never changes.

Sort key ``OVERRIDE#<call>#<criterion>#<edit>`` under the tenant. An override is written once and has the next number, so two
people who both read number 3 cannot both write number 4. The index ``by_open`` holds those that the warehouse does not hold yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from service.core.tasks.scorecard.arithmetic import Rating
from service.kit.aws.bounded import translated

_OVERRIDE = "OVERRIDE#"
_BY_OPEN = "by_open"
# No tenant's id begins with "#": the same index holds unfinished calls by tenant.
_UNLOADED = "#overrides"
_LOST = "ConditionalCheckFailedException"


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

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"

    def put(self, override: Override) -> None:
        """Write an override, marked as not yet in the warehouse.

        Raises:
            OverrideTaken: there is already one with its number.
        """
        texts = {
            "form_id": override.form_id, "form_version": str(override.form_version), "model_verdict": override.model_verdict,
            "verdict": override.verdict, "reason": override.reason, "who": override.who, "updated_at": _text(override.at),
            "pair_digest": override.pair_digest, "open": _UNLOADED,
        }  # fmt: skip
        item = {name: {"S": text} for name, text in texts.items() if text is not None}
        with translated(self._store):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=_key(override) | item,
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except ClientError as err:
                if err.response.get("Error", {}).get("Code") == _LOST:
                    raise OverrideTaken(f"override {override.edit} of this criterion already exists") from err
                raise

    def of(self, tenant: str, call_id: str) -> list[Override]:
        """Return all overrides of a call by criterion, the newest last."""
        return list(
            self._query(
                KeyConditionExpression="pk = :tenant AND begins_with(sk, :call)",
                ExpressionAttributeValues={
                    ":tenant": {"S": f"TENANT#{tenant}"},
                    ":call": {"S": f"{_OVERRIDE}{call_id}#"},
                },
                ConsistentRead=True,
            )
        )

    def unloaded(self) -> list[Override]:
        """Return all tenants' overrides that the warehouse does not hold yet, oldest first; the last second's may be missing."""
        return list(
            self._query(
                IndexName=_BY_OPEN,
                KeyConditionExpression="#open = :unloaded",
                ExpressionAttributeNames={"#open": "open"},
                ExpressionAttributeValues={":unloaded": {"S": _UNLOADED}},
            )
        )

    def loaded(self, override: Override) -> None:
        """Mark an override as loaded into the warehouse."""
        with translated(self._store):
            self._client.update_item(
                TableName=self._table,
                Key=_key(override),
                UpdateExpression="REMOVE #open",
                ExpressionAttributeNames={"#open": "open"},
            )

    def _query(self, **asked: Any) -> Iterator[Override]:
        with translated(self._store):
            for page in self._client.get_paginator("query").paginate(TableName=self._table, **asked):
                for item in page["Items"]:
                    yield _override(item)


def _key(override: Override) -> dict[str, Any]:
    # Zero-padded, so that keys sort by number.
    name = f"{_OVERRIDE}{override.call_id}#{override.criterion}#{override.edit:09d}"
    return {"pk": {"S": f"TENANT#{override.tenant}"}, "sk": {"S": name}}


def _override(item: dict[str, Any]) -> Override:
    _, call_id, criterion, edit = item["sk"]["S"].split("#")
    return Override(
        tenant=item["pk"]["S"].removeprefix("TENANT#"),
        call_id=call_id,
        criterion=criterion,
        edit=int(edit),
        form_id=item["form_id"]["S"],
        form_version=int(item["form_version"]["S"]),
        model_verdict=item["model_verdict"]["S"] if "model_verdict" in item else None,
        verdict=item["verdict"]["S"],
        reason=item["reason"]["S"],
        who=item["who"]["S"],
        at=datetime.fromisoformat(item["updated_at"]["S"]),
        pair_digest=item["pair_digest"]["S"],
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
