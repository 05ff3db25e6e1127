"""Opens the stores of conversations: in tables, and in this process's memory."""

import time
from collections.abc import Callable

from service.conversations.store import ConversationStore
from service.kit.aws.queries import EventLoopTables
from service.kit.aws.stores import CONVERSATIONS, MESSAGES
from service.kit.records.memory import AwaitedRows, RowsInMemory
from service.kit.settings import Settings


def conversations_in_tables(
    tables: EventLoopTables,
    settings: Settings,
    *,
    scope: str,
    kept_s: float,
    timeout_s: float,
    now: Callable[[], float] = time.time,
) -> ConversationStore:
    """Return the store in the tables of the settings; contacts nothing.

    Args:
        tables: how the tables are reached on the event loop.
        settings: they name the tables.
        scope: keeps stages apart that share the tables.
        kept_s: how long a conversation is kept after its last change.
        timeout_s: bounds one access with its retries.
        now: seconds since 1970.
    """
    from service.kit.records.dynamo import DynamoEventLoopRows

    stores = settings.stores
    return ConversationStore(
        DynamoEventLoopRows(tables, MESSAGES, stores.messages_table, timeout_s=timeout_s),
        scope=scope,
        kept_s=kept_s,
        now=now,
        former=DynamoEventLoopRows(tables, CONVERSATIONS, stores.conversations_table, timeout_s=timeout_s),
    )


def conversations_in_memory(*, kept_s: float = 86_400.0, now: Callable[[], float] = time.time) -> ConversationStore:
    """Return a store for one process without an AWS; its conversations end with the process."""
    return ConversationStore(AwaitedRows(RowsInMemory(MESSAGES)), scope="", kept_s=kept_s, now=now)
