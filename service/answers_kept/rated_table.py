"""What the tables of summaries and of answers do alike: they note the newest feedback, and list request ids."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from service.answers_kept.feedback import Effect, FeedbackVerdict
from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

CONDITION_FAILED = "ConditionalCheckFailedException"


class RowsOfRequests:
    """Reads and writes one DynamoDB table. Blocking; every method raises ``StoreError`` when the table does not answer."""

    def __init__(self, client: Any, table: str, *, ttl: timedelta) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"
        self._ttl = ttl

    def request_ids(self, since: str, until: str) -> list[str]:
        """Return the request ids of the rows answered in ``[since, until)``. Reads the whole table: for reconciliation."""
        found: list[str] = []
        with translated(self._store):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table,
                ProjectionExpression="request_id",
                FilterExpression="generated_at >= :since AND generated_at < :until",
                ExpressionAttributeValues={":since": {"S": since}, ":until": {"S": until}},
            )
            for page in pages:
                found.extend(item["request_id"]["S"] for item in page["Items"])
        return found

    def _item(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        with translated(self._store):
            answer = self._client.get_item(TableName=self._table, Key=_texts(key), ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def _rate(self, key: Mapping[str, str], verdict: FeedbackVerdict, texts: Mapping[str, str | None]) -> Effect:
        """Write feedback and its ``texts`` (None: the attribute goes) into a row; ``late`` also when it is not that request's."""
        wanted = {
            "helpful_feedback": verdict.helpful_feedback,
            "feedback_timestamp": verdict.feedback_timestamp,
            **{name: text for name, text in texts.items() if text is not None},
        }
        # Names of attributes may be among DynamoDB's reserved words.
        sets = ", ".join(f"#{name} = :{name}" for name in wanted)
        removes = ", ".join(f"#{name}" for name in texts if name not in wanted)
        try:
            with translated(self._store):
                # The write returns the old values: of two simultaneous clicks only one is the first.
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_texts(key),
                    UpdateExpression=f"SET {sets}" + (f" REMOVE {removes}" if removes else ""),
                    ConditionExpression="request_id = :request AND "
                    "(attribute_not_exists(#feedback_timestamp) OR #feedback_timestamp < :feedback_timestamp)",
                    ExpressionAttributeNames={f"#{name}": name for name in (*wanted, *texts)},
                    ExpressionAttributeValues={
                        f":{name}": value for name, value in _texts(wanted | {"request": verdict.request_id}).items()
                    },
                    ReturnValues="UPDATED_OLD",
                )
        except StoreError as err:
            if code_of(err) == CONDITION_FAILED:
                return "late"
            raise
        before = answer.get("Attributes", {}).get("helpful_feedback", {}).get("S")
        return "first" if before is None else "same" if before == verdict.helpful_feedback else "changed"


def code_of(err: StoreError) -> str | None:
    """Return the code of DynamoDB's refusal behind an error; None if it did not answer."""
    refused = err.__cause__
    return str(refused.response.get("Error", {}).get("Code", "")) if isinstance(refused, ClientError) else None


def _texts(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"S": text} for name, text in attributes.items()}
