"""POST /v1/<task>/conversations, their messages, and GET of one: for every task that answers in conversations."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from service.access.conversation_tokens import conversation_token
from service.api.answer_path import conversation_facts
from service.api.answering import owner_of, runtime_of
from service.api.conversations.models import (
    ConversationAnswer,
    ConversationStart,
    CustomerMessage,
    StartedConversation,
    TurnAnswer,
)
from service.api.conversations.waiting import FOLLOWED_EXAMPLE, WaitingCustomer
from service.api.http.limits import Bounded
from service.api.http.problems import (
    RESPONSES,
    STORE_RESPONSES,
    Codes,
    Responses,
    problem_of,
    refusal,
    refused,
    refusing,
)
from service.api.streaming import MEDIA_TYPE, wants_stream
from service.api.tasks import answer_model, ask_task
from service.conversations.model import (
    ConversationEnded,
    ConversationRefused,
    KeptConversation,
    KeptMessage,
    MadeBy,
    conversation_key,
)
from service.conversations.service import ConversationMissing, TakenTurn
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueReply
from service.core.run.task import Task
from service.kit.frame.errors import ServiceError, UpstreamUnavailable
from service.kit.telemetry.log import Event, log

ConversationId = Annotated[str, Path(pattern=r"^conv-[0-9a-f]{24}$", examples=["conv-0123456789abcdef01234567"])]
_NOT_FOUND = refused(404, "No such conversation of this client or tenant, or it has expired")
_REFUSED = refused(409, "The conversation does not take this message, or has ended")
_CODES: Codes = {
    ConversationMissing: (404, "CONVERSATION_NOT_FOUND"),
    ConversationEnded: (409, "CONVERSATION_ENDED"),
    ConversationRefused: (409, "CONVERSATION_REFUSED"),
}
_STREAM_EXAMPLE = (
    'event: tool\ndata: {"tool": "find_parcel"}\n\n'
    'event: reply\ndata: {"conversation_id": "conv-0123456789abcdef01234567", "reply": "It is due on Friday.", ...}\n\n'
)
_STREAMED: Responses = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}}}}
_FOLLOWED: Responses = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": FOLLOWED_EXAMPLE}}}}
_SLACK_S = 2.0  # beyond the pair's deadline, for the stores, before another process takes a turn over
Handler = Callable[..., Awaitable[Any]]


def conversations_router(tasks: Iterable[Task[Any]]) -> APIRouter:
    """Return a router with the three operations of each task that converses."""
    router = APIRouter(prefix="/v1", tags=["conversations"], route_class=refusing(_CODES))
    for task in tasks:
        if not isinstance(task, DialogueTask):
            continue
        path, name = f"/{task.name}/conversations", task.name
        router.add_api_route(
            path,
            _start(task),
            methods=["POST"],
            operation_id=f"start_{name}",
            summary=f"Start a conversation with {name}",
            response_model=StartedConversation,
            responses=STORE_RESPONSES,
        )
        router.add_api_route(
            f"{path}/{{conversation_id}}/messages",
            _message(task),
            methods=["POST"],
            operation_id=f"say_{name}",
            summary=f"Say something in a conversation with {name}",
            response_model=TurnAnswer,
            responses={**_NOT_FOUND, **_REFUSED, **RESPONSES, **_STREAMED},
        )
        router.add_api_route(
            f"{path}/{{conversation_id}}",
            _read(task),
            methods=["GET"],
            operation_id=f"read_{name}",
            summary=f"Read a conversation with {name}",
            response_model=ConversationAnswer,
            responses={**_NOT_FOUND, **STORE_RESPONSES, **_FOLLOWED},
        )
    return router


def _start(task: DialogueTask[Any]) -> Handler:
    async def start(body: Bounded[ConversationStart], request: Request, response: Response) -> Any:
        """Start a conversation; with a `key` that this client has used before, return the one that it started.

        The answer's `token` is good for this conversation alone, for an hour: a browser may have it.
        """
        runtime, owner = runtime_of(request), owner_of(request)
        number = hashlib.sha256(f"{owner}/{body.key}".encode()).hexdigest() if body.key else secrets.token_hex(12)
        begun = KeptConversation.begun(
            id=f"conv-{number[:24]}",
            task=task.name,
            owner=owner,
            channel=body.channel,
            at=runtime.now(),
            greeting=task.greeting(),
            session=body.session,
        )
        conversation = await runtime.conversing.turns.start(_key(task, owner, begun.id), begun)
        if conversation is begun:
            log(Event.CONVERSATION_STARTED, task=task.name, channel=body.channel)
            if runtime.conversing.audit is not None:
                facts = conversation_facts(begun)
                runtime.conversing.audit.started(task, begun.id, facts, correlation_id=request.state.request_id)
        response.headers["Cache-Control"] = "no-store"
        token, lifetime_s = None, 0
        if runtime.access is not None:
            issued = conversation_token(runtime.access.tokens, request.state.caller, task.name, conversation.id)
            token, lifetime_s = issued.text, issued.expires_in_s
        page = f"/chat#task={task.name}&conversation={conversation.id}" + (f"&token={token}" if token else "")
        return StartedConversation.of(conversation, token=token, expires_in=lifetime_s, page=page)

    return start


def _read(task: DialogueTask[Any]) -> Handler:
    async def read(conversation_id: ConversationId, request: Request, response: Response) -> Any:
        """Return what was said last, oldest first, and whether a person has taken over; for a page that opens again.

        While the customer waits for a person, `queue` has the place, and reading shows that they are still there. With
        `Accept: text/event-stream`, the event `conversation` comes at once and whenever anything was said or somebody takes
        over, and `queue` every 30 to 60 seconds while the customer waits; ask again when the stream ends.
        """
        response.headers.update({"Cache-Control": "no-store", **_renewed(task, conversation_id, request)})
        waiting = WaitingCustomer(task, _key(task, owner_of(request), conversation_id), request)
        found = await waiting.find()
        if not wants_stream(request.headers.get("accept")):
            return found
        events = waiting.follow(found)
        return EventSourceResponse(events, headers={**dict(response.headers), "X-Accel-Buffering": "no"})

    return read


def _message(task: DialogueTask[Any]) -> Handler:
    async def say(
        conversation_id: ConversationId, body: Bounded[CustomerMessage], request: Request, response: Response
    ) -> Any:
        """Say something and get the reply.

        Messages of a conversation are answered one after the other, in the order of their arrival. A message that is sent
        again under its `message_id` gets the same reply. Once a person has taken over, messages are kept for that person and
        there is no reply. With `Accept: text/event-stream`, the events `tool`, `reply`, `handover` and `problem` tell what
        happens. The `message_id` of one message must not be used for another.
        """
        response.headers.update({"Cache-Control": "no-store", **_renewed(task, conversation_id, request)})
        key = _key(task, owner_of(request), conversation_id)
        message_id = body.message_id or str(request.state.request_id)
        log(Event.REQUEST_RECEIVED, path=f"/v1/{task.name}/conversations")
        if wants_stream(request.headers.get("accept")):
            return await _streamed(task, key, message_id, body.message, request, dict(response.headers))
        return TurnAnswer.of(await _turn(task, key, message_id, body.message, request))

    return say


async def _turn(
    task: DialogueTask[Any],
    key: str,
    message_id: str,
    said: str,
    request: Request,
    tell_tool: Callable[[str], None] | None = None,
) -> TakenTurn:
    runtime, model = runtime_of(request), answer_model(task)

    async def answering(before: KeptConversation, message: KeptMessage) -> tuple[DialogueReply, MadeBy]:
        spoken = {"channel": message.channel.value} if message.channel.can.speech else {}
        inputs = task.input_model(
            conversation_id=before.id, message=message.text, history=before.spoken, session={**before.session, **spoken}
        )
        used: list[str] = []

        def tell(tool: str) -> None:
            used.append(tool)
            if tell_tool is not None:
                tell_tool(tool)

        # A message that its own request has left is answered by this one, and kept as an answer of its own.
        own = message.id == message_id
        request_id = str(request.state.request_id) if own else f"req-{runtime.ids()}"
        done = await ask_task(task, model, inputs, request, tell, request_id, before)
        made = DialogueReply.model_validate(
            {name: getattr(done.output, name) for name in DialogueReply.model_fields}, from_attributes=True
        )
        return made, MadeBy(
            request_id=done.request_id,
            pair=done.pair,
            pair_digest=done.pair_digest,
            prompt_version=done.prompt_version,
            registry_version=done.registry_version,
            model=done.answered_by,
            degraded=done.degraded,
            tools=tuple(dict.fromkeys(used)),
        )

    deadline_s = runtime.answering.pair_for(task.name, key).pair.serving.deadline_ms / 1000
    hold_s = deadline_s + _SLACK_S
    turn = await runtime.conversing.turns.take(
        key, message_id, said, answering, hold_s=hold_s, patience_s=hold_s + deadline_s
    )
    if turn.reply is None and turn.conversation.state == "open":
        raise UpstreamUnavailable("the message got no answer; send it again under the same message_id")
    return turn


async def _streamed(
    task: DialogueTask[Any], key: str, message_id: str, said: str, request: Request, headers: dict[str, str]
) -> Response:
    """Return the turn's events; what fails before the first of them is an ordinary problem response."""
    told: asyncio.Queue[str | None] = asyncio.Queue()

    async def run() -> TakenTurn:
        try:
            return await _turn(task, key, message_id, said, request, told.put_nowait)
        finally:
            told.put_nowait(None)

    running = asyncio.create_task(run())
    try:
        first = await told.get()
        if first is None:
            await running
    except asyncio.CancelledError:
        running.cancel()
        raise
    events = _events(first, told, running, request.state.request_id)
    return EventSourceResponse(events, headers={**headers, "X-Accel-Buffering": "no"})


async def _events(
    first: str | None, told: "asyncio.Queue[str | None]", running: "asyncio.Task[TakenTurn]", request_id: str
) -> AsyncIterator[bytes]:
    try:
        tool = first
        while tool is not None:
            yield format_sse_event(data_str=f'{{"tool": "{tool}"}}', event="tool")
            tool = await told.get()
        try:
            answer = TurnAnswer.of(await running)
        except ServiceError as err:
            known = isinstance(err, tuple(_CODES))
            said = refusal(err, _CODES, request_id) if known else problem_of(err, request_id)
            yield format_sse_event(data_str=bytes(said.body).decode(), event="problem")
            return
        name = "handover" if answer.state == "handed_over" else "reply"
        yield format_sse_event(data_str=answer.model_dump_json(), event=name)
    finally:
        running.cancel()  # the answer itself goes on and is kept
        await asyncio.gather(running, return_exceptions=True)


def _renewed(task: DialogueTask[Any], conversation_id: str, request: Request) -> dict[str, str]:
    """Return the header with a new token for a browser, whose customer may take longer than one token lasts."""
    access, caller = runtime_of(request).access, getattr(request.state, "caller", None)
    if access is None or caller is None or caller.conversation is None:
        return {}
    return {"Conversation-Token": conversation_token(access.tokens, caller, task.name, conversation_id).text}


def _key(task: DialogueTask[Any], owner: str, conversation_id: str) -> str:
    return conversation_key(task.name, owner, conversation_id)
