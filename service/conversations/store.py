"""The port to kept conversations, and the one that keeps them in this process's memory."""

from typing import NamedTuple, Protocol

from service.conversations.conversation import Conversation
from service.kit.frame.errors import StoreError


class ConversationChanged(StoreError):
    """Somebody else changed the conversation since it was read; read it again."""


class KeptConversation(NamedTuple):
    """A conversation with its version, which grows by one with each write."""

    conversation: Conversation
    version: int


class ConversationStore(Protocol):
    """Keeps conversations by key. Methods raise ``StoreError`` if the store does not answer."""

    async def get(self, key: str) -> KeptConversation | None:
        """Return the newest version; None if there is none or it has expired."""
        ...

    async def put(self, key: str, conversation: Conversation, *, expected: int) -> None:
        """Write a conversation as version ``expected + 1``; ``expected`` 0: there is none yet.

        Raises:
            ConversationChanged: it has another version. After a broken connection that may be the caller's own write.
        """
        ...


class ConversationsInMemory:
    """For one process without an AWS; they end with it."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, int]] = {}

    async def get(self, key: str) -> KeptConversation | None:
        """See ``ConversationStore.get``."""
        found = self._kept.get(key)
        return None if found is None else KeptConversation(Conversation.model_validate_json(found[0]), found[1])

    async def put(self, key: str, conversation: Conversation, *, expected: int) -> None:
        """See ``ConversationStore.put``."""
        _, version = self._kept.get(key, ("", 0))
        if version != expected:
            raise ConversationChanged("the conversation was changed meanwhile")
        self._kept[key] = (conversation.model_dump_json(), expected + 1)
