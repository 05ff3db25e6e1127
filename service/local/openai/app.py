"""The stand-in's HTTP side: both wires, planned trouble, and what a test asks back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from service.core.unit.question import Said
from service.local.openai.answers import Answer, ChatRequest
from service.local.openai.plan import Trouble, TroublePlan, parse_trouble
from service.local.openai.wires import AnthropicWire, ChatAnswer, ChatWire, OpenAIWire

ANSWERED_BY_HEADER = "x-omni-answered-by"
OTHER_MODEL = "another-model-7b"
PROSE = "Of course! Here is what you asked for, in my own words."
_CUT_OFF_WORDS = 5
_HTTP_TROUBLE = {
    Trouble.RATE_LIMIT: (429, "rate_limit_exceeded", "Rate limit reached, try again later."),
    Trouble.QUOTA_SPENT: (429, "insufficient_quota", "You exceeded your current quota, check your plan and billing."),
    Trouble.SERVER_ERROR: (500, "server_error", "The server had an error while processing your request."),
    Trouble.UNKNOWN_MODEL: (404, "model_not_found", "The model does not exist or you do not have access to it."),
    Trouble.ERROR_BODY: (200, "upstream_error", "The upstream provider failed."),
}


@dataclass(slots=True)
class ChatStandIn:
    """The stand-in's state. ``name``, if any, is sent as the name of what answered, which marks the answers as a stand-in's.

    ``key``, if any, is the one that is accepted; every other one gets 401.
    """

    answer: Answer
    name: str | None = "scripted"
    key: str | None = None
    plan: TroublePlan = field(default_factory=TroublePlan)

    def app(self) -> FastAPI:
        """Return the application with all routes."""
        app = FastAPI(openapi_url=None)
        for path in ("/v1/chat/completions", "/chat/completions"):
            app.add_api_route(path, self._route(OpenAIWire()), methods=["POST"])
        app.add_api_route("/v1/messages", self._route(AnthropicWire()), methods=["POST"])
        app.add_api_route("/_local/trouble", self._plan, methods=["GET", "PUT"])
        return app

    async def _plan(self, request: Request) -> dict[str, Any]:
        """Return the counts of requests; PUT a list like ``["rate_limit=2"]`` replaces the plan and resets them."""
        if request.method == "PUT":
            self.plan.rules = [parse_trouble(text) for text in await request.json()]
            self.plan.requests = self.plan.abandoned = 0
        return {"requests": self.plan.requests, "abandoned": self.plan.abandoned}

    def _route(self, wire: ChatWire) -> Any:
        async def answer(request: Request) -> Response:
            return await self._respond(wire, request)

        return answer

    async def _respond(self, wire: ChatWire, http: Request) -> Response:
        trouble = self.plan.draw()
        given = http.headers.get("x-api-key") or http.headers.get("authorization", "").removeprefix("Bearer ")
        if trouble is Trouble.BAD_KEY or (self.key is not None and given != self.key):
            # As OpenAI does, the message quotes the key in part; callers must not pass it on.
            said = f"Incorrect API key provided: {given}. It may have expired."
            return JSONResponse(wire.error(401, "invalid_api_key", said), 401)
        if trouble in _HTTP_TROUBLE:
            status, code, said = _HTTP_TROUBLE[trouble]
            return JSONResponse(wire.error(status, code, said), status)
        try:
            asked = wire.read(await http.json())
        except (KeyError, TypeError, ValueError) as err:
            return JSONResponse(wire.error(400, "invalid_request_error", f"not a request: {err!r}"), 400)
        if trouble is Trouble.HANG:
            while (await http.receive())["type"] != "http.disconnect":
                pass
            self.plan.abandoned += 1
            return Response(status_code=499)
        made = self._made(asked, trouble)
        headers = {} if self.name is None else {ANSWERED_BY_HEADER: self.name}
        if not asked.streamed:
            return JSONResponse(wire.body(made), headers=headers)
        events = wire.events(made)
        return StreamingResponse(self._sent(events, trouble), media_type="text/event-stream", headers=headers)

    async def _sent(self, events: Iterator[str], trouble: Trouble | None) -> AsyncIterator[str]:
        whole = False
        try:
            for number, event in enumerate(events):
                if trouble is Trouble.STREAM_BREAKS and number == 2:
                    raise ConnectionResetError("planned: the stream breaks")
                yield event
                await asyncio.sleep(0)
            whole = True
        finally:
            self.plan.abandoned += not whole

    def _made(self, asked: ChatRequest, trouble: Trouble | None) -> ChatAnswer:
        said = PROSE if trouble is Trouble.PROSE else self.answer(asked)
        text, uses = (said.output, said.uses) if isinstance(said, Said) else (said, ())
        cut_off = trouble is Trouble.CUT_OFF
        if cut_off:
            text = " ".join(text.split()[:_CUT_OFF_WORDS])
        return ChatAnswer(
            model=OTHER_MODEL if trouble is Trouble.OTHER_MODEL else asked.model,
            text=text,
            prompt_tokens=sum(len(turn.split()) for _, turn in asked.turns),
            cut_off=cut_off,
            refused=trouble is Trouble.REFUSAL,
            usage=trouble is not Trouble.NO_USAGE,
            tool=asked.tool if _is_object(text) else None,
            uses=uses,
        )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
