"""The HTTP handlers of the Bedrock stand-in: Converse, ConverseStream, health and the fault plan."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from service.core.unit.question import Use
from service.local import converse_answers, converse_wire
from service.local.converse_answers import WireUsage
from service.local.converse_wire import BedrockError, ConverseRequest, ErrorKind, WireStopReason
from service.local.engines import Catalogue, ChatEngine, Delta, Done
from service.local.faults import ERRORS, THROTTLED, FaultKind, FaultPlan, InvalidRule, parse_rule
from service.local.prompt_cache import CacheOutcome, PrefixCache
from service.local.scripted_model import SCRIPTED_MODEL_ID

if TYPE_CHECKING:
    from aiohttp import web

ANSWERED_BY_HEADER = "x-omni-answered-by"
TRUNCATED_TOKENS = 5
# Bedrock's limit on a request body is 25 MB; aiohttp's default of 1 MiB would refuse prompts that Bedrock accepts.
MAX_BODY_BYTES = 25 * 2**20


class Disconnect(Exception):
    """The fault plan requires closing the connection without sending another byte."""


class BedrockStandIn:
    """The stand-in's HTTP handlers; an instance belongs to one event loop."""

    def __init__(
        self,
        *,
        echo: ChatEngine,
        smol: ChatEngine | None,
        catalogue: Catalogue,
        plan: FaultPlan,
        scripted: ChatEngine | None = None,
        digest: ChatEngine | None = None,
        digested: frozenset[str] = frozenset(),
    ) -> None:
        self._echo = echo
        self._scripted = scripted
        self._digest, self._digested = digest, digested
        self._smol = smol
        self._catalogue = catalogue
        self._plan = plan
        self._cache = PrefixCache()

    def app(self) -> "web.Application":
        """The aiohttp application with all routes."""
        from aiohttp import web

        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/model/{model_id}/converse", self._converse)
        app.router.add_post("/model/{model_id}/converse-stream", self._converse_stream)
        app.router.add_get("/_local/health", self._health)
        app.router.add_get("/_local/faults", self._list_faults)
        app.router.add_post("/_local/faults", self._add_fault)
        app.router.add_delete("/_local/faults", self._clear_faults)
        return app

    async def _converse(self, http: "web.Request") -> "web.StreamResponse":
        from aiohttp import web

        started = time.perf_counter()
        try:
            answer = await self._begin(http, streaming=False)
            text = "".join([delta async for delta in answer.deltas()])
        except BedrockError as err:
            return _error_response(err)
        except Disconnect:
            return _cut(http)
        body = converse_answers.converse_body(
            text, answer.stop, answer.usage, _ms_since(started), answer.answered_by, answer.form, answer.uses
        )
        return web.Response(
            body=body, content_type="application/json", headers={ANSWERED_BY_HEADER: answer.answered_by}
        )

    async def _converse_stream(self, http: "web.Request") -> "web.StreamResponse":
        from aiohttp import web

        started = time.perf_counter()
        try:
            answer = await self._begin(http, streaming=True)
            deltas = answer.deltas()
            # Fetch the first token before sending headers: until then an error can be a plain HTTP error.
            first = await anext(deltas, None)
        except BedrockError as err:
            return _error_response(err)
        except Disconnect:
            return _cut(http)
        response = web.StreamResponse(
            headers={"Content-Type": "application/vnd.amazon.eventstream", ANSWERED_BY_HEADER: answer.answered_by}
        )
        await response.prepare(http)
        await response.write(converse_answers.stream_start())
        try:
            if first is not None:
                await response.write(converse_answers.stream_delta(first))
                if answer.fault is FaultKind.MID_STREAM_THROTTLE:
                    raise THROTTLED
                if answer.fault is FaultKind.DISCONNECT:
                    return _cut(http)
            async for delta in deltas:
                await response.write(converse_answers.stream_delta(delta))
        except BedrockError as err:
            await response.write(err.frame())
            return response
        blocks = 0 if first is None and answer.uses else 1
        ends = [converse_answers.stream_stop(0)] * blocks
        ends += [converse_answers.stream_use(index, use) for index, use in enumerate(answer.uses, blocks)]
        ends.append(converse_answers.stream_end(answer.stop, answer.usage, _ms_since(started), answer.answered_by))
        await response.write(b"".join(ends))
        return response

    async def _begin(self, http: "web.Request", *, streaming: bool) -> "_LiveAnswer":
        """Do everything before the first token: apply the fault plan, validate the request, look up the prompt cache."""
        model_id = http.match_info["model_id"]
        engine = self._engine(model_id)
        body = await http.read()
        verdict = self._plan.judge(model_id, body, streaming=streaming)
        if verdict.delay_ms:
            await asyncio.sleep(verdict.delay_ms / 1000)
        if verdict.kind is not None and verdict.kind in ERRORS:
            raise ERRORS[verdict.kind]
        if verdict.kind is FaultKind.HANG:
            # Wait until the caller gives up: aiohttp cancels the handler when the connection closes.
            await asyncio.Event().wait()
        if verdict.kind is FaultKind.DISCONNECT and not streaming:
            raise Disconnect
        request = converse_wire.parse_request(model_id, body)
        if streaming and request.form is not None:
            raise BedrockError(
                ErrorKind.VALIDATION, "The local model gives structured output in Converse only, not in streams."
            )
        outcome = await self._cache.look_up(request, engine)
        return _LiveAnswer(request, engine, verdict.kind, outcome, self._cache)

    def _engine(self, model_id: str) -> ChatEngine:
        if self._scripted is not None and model_id == SCRIPTED_MODEL_ID:
            return self._scripted
        if self._digest is not None and model_id in self._digested:
            return self._digest
        if self._catalogue.is_echo(model_id):
            return self._echo
        if self._smol is None:
            raise BedrockError(ErrorKind.NOT_FOUND, f"{model_id} needs the local model, which was not started")
        return self._smol

    async def _health(self, _: "web.Request") -> "web.Response":
        engines = [self._echo] if self._smol is None else [self._echo, self._smol]
        return _json(
            {
                "engines": [engine.answered_by for engine in engines],
                "model_loaded": self._smol is not None and self._smol.loaded,
                "pid": os.getpid(),
            }
        )

    async def _list_faults(self, _: "web.Request") -> "web.Response":
        return _json({"rules": [status.to_wire() for status in self._plan.statuses()]})

    async def _add_fault(self, http: "web.Request") -> "web.Response":
        try:
            data = json.loads(await http.read())
            if not isinstance(data, dict):
                raise InvalidRule("body", "expected a JSON object")
            return _json(self._plan.add(parse_rule(data)).to_wire(), status=201)
        except InvalidRule as err:
            return _json({"field": err.field, "message": str(err)}, status=400)
        except ValueError as err:
            return _json({"field": "body", "message": f"body: expected a JSON object: {err}"}, status=400)

    async def _clear_faults(self, _: "web.Request") -> "web.Response":
        return _json({"cleared": self._plan.clear()})


class _LiveAnswer:
    """One answer in progress. `uses`, `stop` and `usage` are valid after `deltas` is exhausted."""

    def __init__(
        self,
        request: ConverseRequest,
        engine: ChatEngine,
        fault: FaultKind | None,
        outcome: CacheOutcome,
        cache: PrefixCache,
    ) -> None:
        self._request = request
        self._engine = engine
        self._outcome = outcome
        self._cache = cache
        self.fault = fault
        self.form = request.form
        self.answered_by = engine.answered_by
        self.uses: list[Use] = []
        self.stop = WireStopReason.END_TURN
        self.usage = WireUsage(input_tokens=0, output_tokens=0)

    async def deltas(self) -> AsyncIterator[str]:
        """Yield the answer's text in pieces, after applying the fault plan.

        Raises:
            BedrockError: from the engine.
        """
        request = self._request
        if self.fault is FaultKind.TRUNCATE:
            request = replace(request, max_tokens=min(request.max_tokens, TRUNCATED_TOKENS))
        if self.fault is FaultKind.EMPTY:
            # A model meters at least one token; its text is dropped below.
            request = replace(request, max_tokens=1)
        async with contextlib.aclosing(self._engine.generate(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    if self.fault is not FaultKind.EMPTY:
                        yield event.text
                elif isinstance(event, Use):
                    if self.fault is not FaultKind.EMPTY:
                        self.uses.append(event)
                else:
                    self._finish(event)

    def _finish(self, done: Done) -> None:
        self.stop = done.stop
        if self.fault is FaultKind.TRUNCATE:
            self.stop = WireStopReason.MAX_TOKENS
        if self.fault is FaultKind.EMPTY:
            self.stop = WireStopReason.END_TURN
        read, write = self._outcome.read_tokens, self._outcome.write_tokens
        self.usage = WireUsage(
            input_tokens=max(0, done.prompt_tokens - read - write),
            output_tokens=done.output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=write,
        )
        self._cache.commit(self._request.model_id, self._outcome)


def _ms_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _json(data: object, *, status: int = 200) -> "web.Response":
    from aiohttp import web

    return web.json_response(data, status=status)


def _error_response(err: BedrockError) -> "web.Response":
    from aiohttp import web

    return web.Response(
        status=err.status,
        body=err.body(),
        content_type="application/json",
        headers={"x-amzn-ErrorType": err.kind.value},
    )


def _cut(http: "web.Request") -> "web.Response":
    from aiohttp import web

    if http.transport is not None:
        http.transport.abort()
    return web.Response()
