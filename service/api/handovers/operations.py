"""/v1/handovers: for agents, who see who waits for a person, take a customer, answer in the chat, and end it.

An agent is a client of its own with the scope `handovers`, and sees the customers of its tenant only.
"""

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from service.api.answering import runtime_of
from service.api.handovers.desk import AgentDesk, CallbackRefused, HandoverMissing, HandoverNotTaken
from service.api.handovers.models import (
    AgentMessage,
    CloseRequest,
    HandoverAnswer,
    HandoverList,
    ListedHandover,
    TakeRequest,
)
from service.api.http.limits import Bounded
from service.api.http.problems import STORE_RESPONSES, Codes, refused, refusing
from service.conversations.model import ConversationEnded, ConversationRefused, KeptConversation
from service.desk.handover import CustomerHandover
from service.kit.records.table import RecordChanged

_HandoverId = Annotated[str, Path(pattern=r"^handover-[0-9a-f]{24}$", examples=["handover-0123456789abcdef01234567"])]
_MISSING = refused(404, "No such handover of this client's tenant, or it has expired")
_REFUSED = refused(409, "Another agent has taken it, nobody has yet, or it has ended")
_CODES: Codes = {
    HandoverMissing: (404, "HANDOVER_NOT_FOUND"),
    RecordChanged: (409, "HANDOVER_TAKEN"),
    HandoverNotTaken: (409, "HANDOVER_NOT_YOURS"),
    CallbackRefused: (422, "CALLBACK_REFUSED"),
    ConversationEnded: (409, "CONVERSATION_ENDED"),
    ConversationRefused: (409, "CONVERSATION_REFUSED"),
}
router = APIRouter(prefix="/v1/handovers", tags=["handovers"], route_class=refusing(_CODES))
_Found = Awaitable[tuple[CustomerHandover, KeptConversation | None]]


@router.get("", response_model=HandoverList, responses={**_MISSING, **STORE_RESPONSES})
async def list_handovers(request: Request, response: Response) -> Any:
    """List who waits for a person, the most urgent first, and whom this agent has taken. Nothing that was said is in it."""
    response.headers["Cache-Control"] = "no-store"
    waiting, taken = await _desk(request).listed()
    return HandoverList(
        waiting=[ListedHandover.of(one) for one in waiting], taken=[ListedHandover.of(one) for one in taken]
    )


@router.get("/{handover_id}", response_model=HandoverAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES})
async def read_handover(handover_id: _HandoverId, request: Request, response: Response) -> Any:
    """Return a handover that this agent has taken: summary, context, and the conversation up to now."""
    return await _shown(_desk(request).read(handover_id), response)


@router.post(
    "/{handover_id}/take", response_model=HandoverAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES}
)
async def take_handover(
    handover_id: _HandoverId, body: Bounded[TakeRequest], request: Request, response: Response
) -> Any:
    """Take a waiting customer. Of two agents, one gets the customer and the other a 409. Safe to repeat."""
    return await _shown(_desk(request).take(handover_id, body.name), response)


@router.post(
    "/{handover_id}/messages", response_model=HandoverAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES}
)
async def say_to_customer(
    handover_id: _HandoverId, body: Bounded[AgentMessage], request: Request, response: Response
) -> Any:
    """Say something to the customer, whose chat shows it as a person's words; once for each `message_id`."""
    message_id = body.message_id or str(request.state.request_id)
    return await _shown(_desk(request).say(handover_id, message_id, body.message), response)


@router.post(
    "/{handover_id}/close", response_model=HandoverAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES}
)
async def close_handover(
    handover_id: _HandoverId, body: Bounded[CloseRequest], request: Request, response: Response
) -> Any:
    """End a handover as resolved, with a callback, or because the customer has left; summary and context are then forgotten.

    A `callback` is arranged with the task's own tool and told to the customer; if that fails, nothing ends (422). A callback
    needs the phone number, and no other end has one.
    """
    return await _shown(_desk(request).close(handover_id, body), response)


def _desk(request: Request) -> AgentDesk:
    return AgentDesk(runtime=runtime_of(request), caller=getattr(request.state, "caller", None))


async def _shown(done: _Found, response: Response) -> HandoverAnswer:
    response.headers["Cache-Control"] = "no-store"
    return HandoverAnswer.of(*await done)
