"""Lets a conversation enter the queue of handovers: by the assistant's tool, or because its reply hands over."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread

from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply
from service.core.tools.port import ToolError, Tools
from service.core.unit.pair import ToolSpec
from service.core.unit.tenant import Tenant
from service.desk.handover import CustomerHandover, HandoverSummary
from service.desk.queue import HandoverQueue
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log

TRANSFER, POSITION = "transfer_to_agent", "queue_position"
_MOST_COLLECTED_CHARS = 200


def handover_id_of(task: str, owner: str, conversation_id: str) -> str:
    """Return the id of a conversation's handover; it says nothing about the conversation."""
    return f"handover-{hashlib.sha256(f'{task}/{owner}/{conversation_id}'.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverEntry:
    """The entry of one conversation, as it is after the message of ``inputs``.

    ``owner`` is whose conversation it is (``CustomerHandover.owner``), ``turns`` counts the customer's messages. ``channel`` is
    "chat" only where the customer's page shows that they are still there.
    """

    queue: HandoverQueue
    task: DialogueTask[Any]
    inputs: DialogueInputs
    owner: str
    channel: str
    turns: int

    @property
    def handover_id(self) -> str:
        """The id of this conversation's handover."""
        return handover_id_of(self.task.name, self.owner, self.inputs.conversation_id)

    def enter(self, reason: str, note: str) -> CustomerHandover:
        """Put the customer into the queue, with ``note`` in the assistant's words beside the facts. Blocking."""
        now = self.queue.now()
        facts = self.task.handover_facts(self.inputs)
        verified = {f"verified {name}": value for name, value in self.inputs.session.items()}
        collected = {name: value[:_MOST_COLLECTED_CHARS] for name, value in {**facts.collected, **verified}.items()}
        return self.queue.enter(
            CustomerHandover(
                handover_id=self.handover_id,
                conversation_id=self.inputs.conversation_id,
                task=self.task.name,
                owner=self.owner,
                reason=reason,
                summary=HandoverSummary(
                    customer_query=facts.query,
                    conversation_turns=self.turns,
                    topics_discussed=facts.topics,
                    information_collected=collected,
                    handover_reason=reason,
                    timestamp=now,
                ),
                context={"channel": self.channel, "task": self.task.name, "note": note},
                requested_at=now,
                seen_at=now if self.channel == "chat" else None,
            )
        )

    async def settled(self, reply: object) -> None:
        """Enter the queue for a reply that hands over; before the customer reads it. Does nothing for another reply.

        While the queue cannot be reached, that is logged and the customer is handed over all the same.
        """
        if not isinstance(reply, DialogueReply) or reply.action != "handover" or reply.handover is None:
            return
        try:
            await anyio.to_thread.run_sync(self.enter, reply.handover.reason, reply.handover.context)
        except StoreError as err:
            log(Event.HANDOVER_UNQUEUED, task=self.task.name, error=type(err).__name__)


class QueueTools:
    """A run's tools; what they answer about the queue comes from the real one, and a transfer enters it."""

    def __init__(self, others: Tools, entry: HandoverEntry) -> None:
        """``others`` are the task's own tools, which check the arguments and the opening hours."""
        self._others = others
        self._entry = entry

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return await self._others.listed()

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        text = await self._others.call(name, arguments, key=key)
        if name not in (TRANSFER, POSITION):
            return text
        answer = json.loads(text)
        if not isinstance(answer, dict) or "position" not in answer:
            return text
        shown = partial(self._transferred if name == TRANSFER else self._placed, answer, arguments)
        try:
            return json.dumps(await anyio.to_thread.run_sync(shown), ensure_ascii=False)
        except StoreError as err:
            raise ToolError("the queue cannot be reached; the customer does not wait in it") from err

    def _transferred(self, answer: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        entered = self._entry.enter(str(arguments["reason"]), str(arguments["summary"]))
        told = {"transfer_id": entered.handover_id, "reason": entered.reason, "state": entered.state}
        return self._placed(answer | told, arguments)

    def _placed(self, answer: dict[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
        queue, entry = self._entry.queue, self._entry
        own = queue.place(entry.handover_id)
        place = own or queue.place_of_next(_tenant_of(entry.owner))
        placed = {
            "position": place.position,
            "waiting": place.waiting,
            "estimated_wait_minutes": place.estimated_wait_minutes,
        }
        told = {name: value for name, value in placed.items() if name in answer}
        # A customer who is in the queue by this very call still decides whether to hold.
        message = entry.task.queue_message(
            position=place.position, minutes=place.estimated_wait_minutes, waiting=place.waiting
        )
        return answer | told | ({"message": message} if "message" in answer else {})


def with_queue(tools: Tools, entry: HandoverEntry | None) -> Tools:
    """Return a run's tools with the real queue behind them; where there is none, the same tools."""
    return tools if entry is None else QueueTools(tools, entry)


def _tenant_of(owner: str) -> str | None:
    tenant = Tenant.of_owner(owner)
    return None if tenant is None else tenant.id
