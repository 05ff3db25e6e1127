"""Keeps conversations: one item for each message, and one for the state of each conversation, which is written as a whole."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from service.conversations.former import from_former
from service.conversations.model import MOST_READ, KeptConversation, KeptMessage
from service.kit.aws.bounded import ItemChanged
from service.kit.aws.queries import EventLoopTables
from service.kit.aws.stores import CONVERSATIONS, MESSAGES
from service.kit.frame.errors import StoreError
from service.kit.records.conditions import between, equal
from service.kit.records.items import Item
from service.kit.records.memory import AwaitedRows, RowsInMemory
from service.kit.records.rows import EventLoopRows, Query, Write
from service.kit.records.table import EventLoopRecordTable, RecordChanged, RecordForm
from service.kit.settings import Settings

_STATE, _PLACE_DIGITS = "state", 10  # the state sorts behind every place
# Messages live this much longer than their conversation would have without a further write, so that few writes prolong them.
_SLACK = 1 / 8
_AT_ONCE = 25  # writes that prolong messages
_MOST_TOGETHER = 95  # writes of one transaction, of which DynamoDB takes 100
_READS = 5
_READ_AGAIN_S = 0.02


class ConversationChanged(StoreError):
    """Somebody else changed the conversation since it was read; read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An item: a message in its place, or the state of a conversation (``seq`` is "state"); ``text`` is its JSON.

    By ``conversation_id`` an erasure finds all that belongs to a conversation. ``version`` grows with each write of a state.
    ``lasting``, of a state: until when all of its messages are kept.
    """

    key: str
    conversation_id: str
    seq: str
    text: str
    expires_at: datetime
    lasting: datetime | None = None
    version: int = 0

    @classmethod
    def of(cls, key: str, message: KeptMessage, until: datetime) -> "Entry":
        """Return the item of a message with a place."""
        text, seq = message.model_dump_json(), _place(message.seq)
        return cls(key=key, conversation_id=message.conversation, seq=seq, text=text, expires_at=until)

    @classmethod
    def read(cls, item: Item) -> "Entry":
        """Return what an item holds."""
        lasting = item.get("lasting")
        return cls(
            key=item["conversation"],
            conversation_id=item["conversation_id"],
            seq=item["seq"],
            text=item["text"],
            expires_at=_time(item["expires_at"]),
            lasting=None if lasting is None else _time(lasting),
            version=item.get("version", 0),
        )

    def attributes(self) -> Item:
        """Return the attributes beside key, version and expiry."""
        return {"text": self.text, "conversation_id": self.conversation_id} | (
            {} if self.lasting is None else {"lasting": int(self.lasting.timestamp())}
        )


def _form(version: str) -> RecordForm[Entry]:
    return RecordForm(
        noun="conversation",
        key=lambda entry: (entry.key, entry.seq),
        to_item=Entry.attributes,
        from_item=Entry.read,
        version=version,
        expires=lambda entry: entry.expires_at,
    )


class ConversationFound(NamedTuple):
    """A conversation as it was read.

    ``version`` grows by one with each write; 0: it comes from the former table. Its messages are kept until ``lasting``.
    """

    conversation: KeptConversation
    version: int
    lasting: datetime


class TimelinePage(NamedTuple):
    """Some messages; ``next`` is the place after which the next page begins, None on the last one."""

    messages: tuple[KeptMessage, ...]
    next: int | None


class ConversationStore:
    """Keeps conversations by key until a time after their last change; no message goes before its conversation does.

    Methods raise ``StoreError`` if the table does not answer.
    """

    def __init__(
        self,
        rows: EventLoopRows,
        *,
        scope: str,
        kept_s: float,
        now: Callable[[], float],
        former: EventLoopRows | None = None,
    ) -> None:
        """Keep conversations in ``rows``; contacts nothing.

        Args:
            rows: the table of messages.
            scope: keeps stages apart that share the tables.
            kept_s: how long a conversation is kept after its last change.
            now: seconds since 1970.
            former: the table of conversations that were written as one item each; None: there are none.
        """
        self._rows = rows
        self._states = EventLoopRecordTable(rows, _form("version"), scope=scope, now=now)
        # Without a clock: messages are there as long as their conversation.
        self._messages = EventLoopRecordTable(rows, _form(""), scope=scope)
        self._kept = timedelta(seconds=kept_s)
        self._scope = scope
        self._now = now
        self._former = former

    @property
    def has_former(self) -> bool:
        """Whether there may be conversations that were written as one item each."""
        return self._former is not None

    async def get(self, key: str) -> ConversationFound | None:
        """Return a conversation with its newest messages; None if there is none or it has expired."""
        for _ in range(_READS):
            newest = Query(partition=key, newest_first=True, most=MOST_READ + 1)
            entries = (await self._messages.page(newest)).records
            if not entries or entries[0].seq != _STATE or entries[0].expires_at <= _time(self._now()):
                return await self._in_former(key)
            state = entries[0]
            conversation = KeptConversation.model_validate_json(state.text)
            said = _until(conversation.last_seq, entries[1:])
            if not _is_whole(said, conversation.last_seq):
                # Messages of an expired conversation with this id hide the newest ones.
                said = await self._newest(key, conversation.last_seq)
            if _is_whole(said, conversation.last_seq):
                lasting = state.lasting or state.expires_at
                return ConversationFound(conversation.with_newest(said), state.version, lasting)
            await asyncio.sleep(_READ_AGAIN_S)  # the read has found one half of a write
        raise StoreError("the conversation's newest messages are missing; try again")

    async def put(self, key: str, conversation: KeptConversation, *, over: ConversationFound | None) -> None:
        """Write a conversation with the messages that are new in it, all or nothing; ``over`` None: there is none yet.

        Raises:
            ConversationChanged: it is not as ``over`` any more. After a broken connection that may be the caller's own write.
        """
        until = _time(self._now()) + self._kept
        longer = until + self._kept * _SLACK
        lasting, is_former, last = longer, False, 0
        if over is not None:
            is_former = over.version == 0
            last = 0 if is_former else over.conversation.last_seq
            if not is_former and over.lasting < until:
                await self._prolong(key, over.conversation.last_seq, longer)
            elif not is_former:
                lasting = over.lasting
        state = Entry(
            key=key,
            conversation_id=conversation.id,
            seq=_STATE,
            text=conversation.model_dump_json(),
            expires_at=until,
            lasting=lasting,
            version=0 if over is None else over.version,
        )
        # The state's condition holds for them, too: nobody else has given these places.
        said = [self._messages.write(Entry.of(key, each, longer)) for each in conversation.messages if each.seq > last]
        for each in said[:-_MOST_TOGETHER]:  # of a former conversation with many messages of a person's
            await self._rows.together([each])
        said = said[-_MOST_TOGETHER:]
        try:
            await self._states.put(state, beside=said)
        except RecordChanged as err:
            raise ConversationChanged("the conversation was changed meanwhile") from err
        if is_former and await self._in_former(key) is None:  # it was erased meanwhile
            await self._forget(key, conversation)
            raise ConversationChanged("the conversation was changed meanwhile")

    async def timeline(self, key: str, found: ConversationFound, *, after: int = 0, most: int = 50) -> TimelinePage:
        """Return messages of a conversation behind the place ``after``, in their order; what waits has no place yet."""
        last = found.conversation.last_seq
        if found.version == 0:
            messages = [each for each in found.conversation.messages if each.seq > after][:most]
        elif after >= last:
            messages = []
        else:
            places = between("seq", _place(after + 1), _place(last))
            page = await self._messages.page(Query(partition=key, sort=places, most=most))
            messages = [_message(entry) for entry in page.records]
        is_last = not messages or messages[-1].seq == last
        return TimelinePage(tuple(messages), None if is_last else messages[-1].seq)

    async def _newest(self, key: str, last_seq: int) -> list[KeptMessage]:
        places = between("seq", _place(1), _place(last_seq))
        query = Query(partition=key, sort=places, newest_first=True, most=MOST_READ)
        return _until(last_seq, (await self._messages.page(query)).records)

    async def _prolong(self, key: str, last_seq: int, until: datetime) -> None:
        """Keep the messages up to a place until a time. One that was erased or replaced meanwhile is not written again.

        Behind that place may stand messages of an expired conversation with this id, which the table has not deleted yet.
        """
        if not last_seq:
            return
        places = between("seq", _place(1), _place(last_seq))
        query: Query | None = Query(partition=self._scoped(key), sort=places)
        while query is not None:
            page = await self._rows.page(query)
            for start in range(0, len(page.items), _AT_ONCE):
                part = page.items[start : start + _AT_ONCE]
                await asyncio.gather(*(self._kept_until(item, until) for item in part))
            query = None if page.next is None else replace(query, after=page.next)

    async def _kept_until(self, item: Item, until: datetime) -> None:
        with suppress(ItemChanged):
            await self._rows.put(item | {"expires_at": int(until.timestamp())}, when=equal("text", item["text"]))

    async def _forget(self, key: str, conversation: KeptConversation) -> None:
        places = [_STATE, *(_place(each.seq) for each in conversation.messages)]
        for start in range(0, len(places), _MOST_TOGETHER):
            part = places[start : start + _MOST_TOGETHER]
            await self._rows.together([Write(key=(self._scoped(key), place)) for place in part])

    async def _in_former(self, key: str) -> ConversationFound | None:
        item = None if self._former is None else await self._former.get((self._scoped(key),))
        if item is None or _time(item["expires_at"]) <= _time(self._now()):
            return None
        conversation = from_former(key, item["text"])
        return ConversationFound(conversation, 0, _time(item["expires_at"]))

    def _scoped(self, key: str) -> str:
        return f"{self._scope}/{key}" if self._scope else key


def _place(seq: int) -> str:
    return f"{seq:0{_PLACE_DIGITS}d}"


def _message(entry: Entry) -> KeptMessage:
    return KeptMessage.model_validate_json(entry.text)


def _until(last_seq: int, newest_first: Iterable[Entry]) -> list[KeptMessage]:
    """Return messages up to a place, oldest first."""
    return [_message(entry) for entry in newest_first if entry.seq <= _place(last_seq)][::-1]


def _is_whole(messages: list[KeptMessage], last_seq: int) -> bool:
    """Return whether the messages end at a place and none is missing between them: a page may show half of a write."""
    if not last_seq or not messages:
        return not last_seq
    return messages[-1].seq == last_seq and len(messages) == last_seq - messages[0].seq + 1


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


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

    ``timeout_s`` bounds one access with its retries; see ``ConversationStore`` for the others.
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
