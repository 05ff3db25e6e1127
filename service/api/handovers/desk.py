"""What an agent does with handovers: sees who waits, takes one, answers the customer, and ends it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

import anyio.to_thread

from service.access.tokens import Caller
from service.api.handovers.models import CloseRequest
from service.conversations.model import KeptConversation, conversation_key
from service.conversations.service import ConversationMissing
from service.core.tools.port import ToolError, ToolsDown, ToolUndecided
from service.desk.handover import CustomerHandover
from service.desk.queue import HandoverQueue
from service.desk.tool import TOOL as REQUEST_CALLBACK
from service.kit.frame.errors import ServiceError, StoreError
from service.runtime import Runtime

_TAKEN_WITHIN = timedelta(days=1)
_MOST_TAKEN = 500
_T = TypeVar("_T")


class HandoverMissing(ServiceError):
    """There is no such handover for this agent; answered with 404."""

    status = 404


class HandoverNotTaken(ServiceError):
    """The agent has not taken it, or it has ended; answered with 409."""

    status = 409


class CallbackRefused(ServiceError):
    """The callback was not arranged, for the reason that the message gives; answered with 422."""

    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDesk:
    """The desk of one agent: the client of ``caller``, who sees the handovers of its own tenant only.

    ``caller`` is None in a runtime without access control. Every method raises ``HandoverMissing`` where nobody waits at all.
    """

    runtime: Runtime
    caller: Caller | None

    @property
    def agent(self) -> str:
        """The agent's name in the queue: the client's id."""
        return "agent" if self.caller is None else self.caller.client_id

    @property
    def tenant(self) -> str | None:
        """Whose customers the agent sees; None: those of no tenant."""
        return None if self.caller is None else self.caller.tenant

    @property
    def queue(self) -> HandoverQueue:
        """The queue of this service."""
        if self.runtime.conversing.handovers is None:
            raise HandoverMissing("this service has no queue of handovers")
        return self.runtime.conversing.handovers

    async def listed(self) -> tuple[list[CustomerHandover], list[CustomerHandover]]:
        """Return those who wait, by rank, and those whom this agent has taken, newest first."""
        waiting = await _blocking(self.queue.look)
        taken = await _blocking(lambda: self.queue.store.latest("taken", most=_MOST_TAKEN))
        since = self.queue.now() - _TAKEN_WITHIN
        mine = [
            one for one in taken if one.taken_by == self.agent and one.taken_at is not None and one.taken_at >= since
        ]
        return [one for one in waiting if one.tenant == self.tenant], [one for one in mine if one.tenant == self.tenant]

    async def take(self, handover_id: str, name: str) -> tuple[CustomerHandover, KeptConversation | None]:
        """Take a waiting customer, who sees ``name`` from now on. Safe to repeat.

        Raises:
            RecordChanged: another agent was faster, or the customer has left.
            HandoverMissing: there is no such handover.
        """
        await self._found(handover_id)
        taken = await _blocking(partial(self.queue.take, handover_id, self.agent))
        conversation = await self._changed(taken, lambda found: found.taken_over(name))
        return taken, conversation

    async def read(self, handover_id: str) -> tuple[CustomerHandover, KeptConversation | None]:
        """Return a handover that this agent has taken, with the conversation; None if this service does not keep that."""
        found = await self._own(handover_id)
        try:
            return found, await self.runtime.conversing.turns.find(_key(found))
        except ConversationMissing:
            return found, None

    async def say(
        self, handover_id: str, message_id: str, text: str
    ) -> tuple[CustomerHandover, KeptConversation | None]:
        """Say something to the customer, once for each ``message_id``.

        Raises:
            HandoverNotTaken: this agent has not taken it, or the service has no way to this customer.
        """
        found = await self._open(handover_id)
        at = self.queue.now()
        conversation = await self._changed(
            found, lambda known: known.answered(known.message("person", message_id, text, at))
        )
        if conversation is None:
            raise HandoverNotTaken("this customer is not in a chat of this service; speak with them where they are")
        return found, conversation

    async def close(self, handover_id: str, asked: CloseRequest) -> tuple[CustomerHandover, KeptConversation | None]:
        """End a handover and its conversation. A callback is arranged first, and the customer is told. Safe to repeat.

        Raises:
            CallbackRefused: the callback was not arranged; nothing has ended.
            HandoverNotTaken: this agent has not taken it.
        """
        found = await self._own(handover_id)
        if found.state == "closed":
            return await self.read(handover_id)
        promise = await self._callback(found, asked) if asked.ended == "callback" else ""
        at = self.queue.now()
        conversation = await self._changed(
            found,
            lambda known: known.ended(
                known.message("person", f"{handover_id}-callback", promise, at) if promise else None
            ),
        )
        return await _blocking(partial(self.queue.close, handover_id, asked.ended)), conversation

    async def _callback(self, handover: CustomerHandover, asked: CloseRequest) -> str:
        """Arrange a callback with the task's own tool, which checks the number and knows the hours; return its promise."""
        offered = self.runtime.answering.tools.get(handover.task)
        if offered is None:
            raise CallbackRefused(f"task {handover.task!r} has no tool that arranges callbacks; end it otherwise")
        tools = offered.open_tools()
        try:
            arguments = {"phone": asked.phone, "when": asked.when}
            answer = json.loads(await tools.call(REQUEST_CALLBACK, arguments, key=handover.handover_id))
        except (ToolsDown, ToolUndecided) as err:
            raise StoreError("the callback was not arranged: its tool cannot be reached; try again") from err
        except ToolError as err:
            raise CallbackRefused(f"the callback was not arranged: {err}") from err
        finally:
            await tools.aclose()
        return str(answer.get("message", ""))

    async def _changed(
        self, handover: CustomerHandover, decide: Callable[[KeptConversation], KeptConversation]
    ) -> KeptConversation | None:
        try:
            return await self.runtime.conversing.turns.change(_key(handover), decide)
        except ConversationMissing:
            return None

    async def _found(self, handover_id: str) -> CustomerHandover:
        found = await _blocking(partial(self.queue.store.get, handover_id))
        if found is None or found.tenant != self.tenant:
            raise HandoverMissing("there is no such handover, or it has expired")
        return found

    async def _own(self, handover_id: str) -> CustomerHandover:
        found = await self._found(handover_id)
        if found.taken_by == self.agent:
            return found
        if found.state == "waiting":
            raise HandoverNotTaken("nobody has taken this handover; take it first")
        raise HandoverNotTaken("another agent has taken this handover, or the customer has left; take the next one")

    async def _open(self, handover_id: str) -> CustomerHandover:
        found = await self._own(handover_id)
        if found.state == "closed":
            raise HandoverNotTaken("this handover has ended")
        return found


def _key(handover: CustomerHandover) -> str:
    return conversation_key(handover.task, handover.owner, handover.conversation_id)


async def _blocking(call: Callable[[], _T]) -> _T:
    return await anyio.to_thread.run_sync(call)
