"""Conversations in one DynamoDB table, with a version against lost updates and a time to live."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from service.conversations.conversation import Conversation
from service.conversations.store import ConversationChanged, KeptConversation
from service.kit.aws.bounded import PASSING, STORE_RETRIES, ItemChanged
from service.kit.aws.queries import EventLoopTables, patient_query
from service.kit.aws.stores import CONVERSATIONS

_TEXT, _VERSION = "text", "version"
_KEY, _TTL = CONVERSATIONS.partition, CONVERSATIONS.expires


class ConversationTable:
    """See ``ConversationStore``; ``scope`` keeps stages apart that share the table. ``now`` is seconds since 1970."""

    def __init__(
        self,
        tables: EventLoopTables,
        table: str,
        *,
        scope: str,
        kept_s: float,
        timeout_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``kept_s``: how long a conversation is kept after its last change; ``timeout_s`` bounds one access with its retries."""
        self._tables = tables
        self._table = table
        self._scope = scope
        self._kept_s = kept_s
        self._timeout_s = timeout_s
        self._now = now

    async def get(self, key: str) -> KeptConversation | None:
        """See ``ConversationStore.get``."""
        asked = {
            "TableName": self._table,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": _KEY},
            "ExpressionAttributeValues": {":key": {"S": f"{self._scope}/{key}"}},
            "ConsistentRead": True,
        }
        page, _ = await patient_query(self._tables, asked, patience_s=self._timeout_s)
        for item in page["Items"]:
            # DynamoDB deletes expired items hours or days later.
            if float(item[_TTL]["N"]) > self._now():
                return KeptConversation(Conversation.model_validate_json(item[_TEXT]["S"]), int(item[_VERSION]["N"]))
        return None

    async def put(self, key: str, conversation: Conversation, *, expected: int) -> None:
        """See ``ConversationStore.put``."""
        now = self._now()
        item = {
            _KEY: {"S": f"{self._scope}/{key}"},
            _TEXT: {"S": conversation.model_dump_json()},
            _VERSION: {"N": str(expected + 1)},
            _TTL: {"N": str(int(now + self._kept_s))},
        }
        arguments: dict[str, Any] = {"TableName": self._table, "Item": item}
        if expected == 0:
            arguments["ConditionExpression"] = "attribute_not_exists(#key) OR #ttl <= :now"
            arguments["ExpressionAttributeNames"] = {"#key": _KEY, "#ttl": _TTL}
            arguments["ExpressionAttributeValues"] = {":now": {"N": str(int(now))}}
        else:
            arguments["ConditionExpression"] = "#version = :expected"
            arguments["ExpressionAttributeNames"] = {"#version": _VERSION}
            arguments["ExpressionAttributeValues"] = {":expected": {"N": str(expected)}}
        try:
            await STORE_RETRIES.run_async(partial(self._tables.put, **arguments), on=PASSING, timeout_s=self._timeout_s)
        except ItemChanged as err:
            raise ConversationChanged("the conversation was changed meanwhile") from err
