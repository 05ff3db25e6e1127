"""Reads an account's recent summaries from the table's account index, for a request that may reuse one."""

import asyncio
from datetime import datetime

from service.answers_kept.items import BY_ACCOUNT, to_reusable
from service.answers_kept.record import Reusable, utc_text
from service.kit.aws.queries import TableQueries, patient_query
from service.kit.frame.errors import StoreError

_MOST = 20


class RecentSummaries:
    """Reads one table ``SummaryCache``; ``timeout_s`` bounds a read, including the wait for a connection."""

    def __init__(self, queries: TableQueries, table: str, *, timeout_s: float) -> None:
        self._queries = queries
        self._table = table
        self._timeout_s = timeout_s

    async def of_account(self, account_number: str, since: datetime) -> list[Reusable]:
        """Return the account's reusable summaries answered at ``since`` or later, newest first, at most 20.

        Raises:
            StoreError: no answer in time, or a refusal.
        """
        arguments = {
            "TableName": self._table,
            "IndexName": BY_ACCOUNT,
            "KeyConditionExpression": "account_number = :account AND generated_at >= :since",
            "ExpressionAttributeValues": {":account": {"S": account_number}, ":since": {"S": utc_text(since)}},
            "ScanIndexForward": False,
            "Limit": _MOST,
        }
        try:
            async with asyncio.timeout(self._timeout_s):
                answer, _ = await patient_query(self._queries, arguments, patience_s=self._timeout_s)
        except TimeoutError as err:
            raise StoreError(f"table {self._table!r} gave no answer within {self._timeout_s:g} s") from err
        return [found for item in answer["Items"] if (found := to_reusable(item)) is not None]
