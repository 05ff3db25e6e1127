"""Fetches the inputs of a candidate's summary from the stores (operator rights needed) and pseudonymizes them."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from eval.casecheck.case import full_numbers
from eval.errors import HarvestError
from service.errors import StoreError
from service.interactions.interaction import HistoryFilter, Interaction
from service.redaction.free_text import RedactionFailed, redacted_text
from service.settings import Settings
from service.tasks.summarize import SummarizeInputs

_RECORD_FIELDS = (
    "account_number",
    "contact_id",
    "ivr_intent",
    "max_history_days",
    "max_interactions",
    "channel_filter",
)
_ACCOUNT_DIGITS = 10


class Origin(Protocol):
    """A source of the inputs of past requests."""

    def inputs(self, source_key: str, generated_at: datetime) -> SummarizeInputs | None:
        """Return the inputs of the request whose record is at ``source_key``, or None if they no longer exist.

        Raises:
            StoreError: a store does not answer.
        """
        ...


class Stores:
    """Fetches requests from the archive bucket and interactions from the history table."""

    def __init__(
        self, s3: Any, bucket: str, history: Callable[[str, HistoryFilter, datetime], tuple[Interaction, ...]]
    ) -> None:
        self._s3, self._bucket, self._history = s3, bucket, history

    def inputs(self, source_key: str, generated_at: datetime) -> SummarizeInputs | None:
        """See ``Origin.inputs``; None also if the history has lost interactions that the summary was made from."""
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=source_key)["Body"].read()
        except ClientError as err:
            if err.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                return None
            raise StoreError(f"bucket {self._bucket!r} refuses the request: {type(err).__name__}") from err
        except BotoCoreError as err:
            raise StoreError(f"bucket {self._bucket!r} cannot be reached: {type(err).__name__}") from err
        record = json.loads(body)
        asked = HistoryFilter.model_validate({name: record[name] for name in HistoryFilter.model_fields})
        interactions = self._history(record["account_number"], asked, generated_at)
        if len(interactions) < record["interactions_considered"]:
            return None
        return SummarizeInputs(
            as_of=generated_at, interactions=interactions, **{name: record[name] for name in _RECORD_FIELDS}
        )


def open_stores(settings: Settings) -> Stores:
    """Return the stores of ``settings``; reading them needs operator rights on bucket and table."""
    import asyncio

    from service.aws.clients import client
    from service.aws.queries import DynamoQueries
    from service.interactions.reader import InteractionPage, InteractionStore

    dynamodb = client("dynamodb", settings)

    async def read(account: str, asked: HistoryFilter, as_of: datetime) -> InteractionPage:
        async with DynamoQueries.beside(dynamodb, settings) as queries:
            store = InteractionStore(queries, settings.stores.interactions_table, timeout_s=settings.stores.timeout_s)
            return await store.history(account, asked, as_of)

    def history(account: str, asked: HistoryFilter, as_of: datetime) -> tuple[Interaction, ...]:
        return asyncio.run(read(account, asked, as_of)).interactions

    return Stores(client("s3", settings), settings.stores.archive_bucket, history)


def pseudonymized(inputs: SummarizeInputs, key: bytes) -> SummarizeInputs:
    """Return the inputs with pseudonymous ids and redacted texts; the same customer gets the same ids with the same key.

    Raises:
        HarvestError: a text cannot be redacted, or a full number is left in it; the message does not quote it.
    """
    account = inputs.account_number

    def digits(value: str) -> str:
        number = int.from_bytes(hmac.new(key, value.encode(), hashlib.sha256).digest()[:8], "big")
        return str(number % 10**_ACCOUNT_DIGITS).zfill(_ACCOUNT_DIGITS)

    def text(value: str) -> str:
        try:
            return redacted_text(value, account_number=account)
        except RedactionFailed as err:
            raise HarvestError(f"an interaction cannot be redacted: {err}") from None

    interactions = tuple(
        item.model_copy(
            update={
                "interaction_id": f"i{number}",
                "text": text(item.text),
                "intent": text(item.intent)[:120],
                "outcome": None if item.outcome is None else text(item.outcome)[:200],
            }
        )
        for number, item in enumerate(inputs.visible(), start=1)
    )
    left = [number for item in interactions for number in full_numbers(f"{item.text}\n{item.outcome or ''}")]
    if left:
        raise HarvestError(f"{len(left)} full numbers are left after redaction; this candidate is not proposed")
    return SummarizeInputs(
        as_of=inputs.as_of,
        account_number=digits(account),
        contact_id=f"c-{digits(inputs.contact_id)[:6]}",
        ivr_intent=re.sub(r"\s+", " ", text(inputs.ivr_intent))[:120],
        max_history_days=inputs.max_history_days,
        max_interactions=inputs.max_interactions,
        channel_filter=inputs.channel_filter,
        interactions=interactions,
    )
