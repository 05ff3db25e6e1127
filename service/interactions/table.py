"""Writes interaction histories for samples, simulated traffic and tests, blocking; on AWS another system writes them."""

from collections.abc import Iterator, Sequence
from typing import Any

from service.core.unit.interaction import Interaction
from service.interactions.items import PARTITION_KEY, SORT_KEY, sort_key, to_item
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

_BATCH = 25  # BatchWriteItem's limit
_BATCH_ATTEMPTS = 8


class InteractionTable:
    """One DynamoDB table of interactions through a boto3 client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def put_many(self, account_number: str, interactions: Sequence[Interaction]) -> None:
        """Write interactions of one customer, replacing those with the same time and id."""
        self._write([{"PutRequest": {"Item": to_item(account_number, item)}} for item in interactions])

    def replace(self, account_number: str, interactions: Sequence[Interaction]) -> None:
        """Replace the customer's whole history by ``interactions``; whoever reads meanwhile never finds it empty."""
        gone = sorted(set(self._sort_keys(account_number)) - {sort_key(item) for item in interactions})
        self.put_many(account_number, interactions)
        self._write(
            [{"DeleteRequest": {"Key": {PARTITION_KEY: {"S": account_number}, SORT_KEY: {"S": key}}}} for key in gone]
        )

    def _sort_keys(self, account_number: str) -> Iterator[str]:
        with translated(f"table {self._table!r}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="#account = :account",
                ProjectionExpression="#occurred",
                ExpressionAttributeNames={"#account": PARTITION_KEY, "#occurred": SORT_KEY},
                ExpressionAttributeValues={":account": {"S": account_number}},
            )
            for page in pages:
                yield from (item[SORT_KEY]["S"] for item in page["Items"])

    def _write(self, requests: list[dict[str, Any]]) -> None:
        for start in range(0, len(requests), _BATCH):
            left = requests[start : start + _BATCH]
            for _ in range(_BATCH_ATTEMPTS):
                with translated(f"table {self._table!r}"):
                    answer = self._client.batch_write_item(RequestItems={self._table: left})
                left = answer.get("UnprocessedItems", {}).get(self._table, [])
                if not left:
                    break
            else:
                raise StoreError(
                    f"table {self._table!r} did not accept {len(left)} writes in {_BATCH_ATTEMPTS} attempts"
                )
