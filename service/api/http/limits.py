"""Limits of a request's body: size, time to arrive, UTF-8, nesting depth, and how many faults are looked at."""

import asyncio
import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.problems import FieldProblem, problem
from service.kit.telemetry.log import Event, log

MAX_DEPTH = 16  # the deepest input of a task has three levels
# To list a fault takes 75 microseconds on the event loop, and 250 KB of JSON can have 100,000.
MOST_FAULTS = 100
_READ_TIMEOUT_S = 10.0
_LARGE_BYTES = 32_768  # looked through in a thread, so that other requests go on
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class _Refused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class BodyLimits:
    """ASGI middleware inside ``AccessControl``: reads the body, then refuses it or passes it on in one piece."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but an HTTP request with a body passes through."""
        if scope["type"] != "http" or scope["method"] not in _BODY_METHODS:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(scope, receive, scope["app"].state.runtime.settings.serving.max_body_bytes)
            if body is None:  # the client disconnected
                return
            caller, access = scope["state"].get("caller"), scope["app"].state.runtime.access
            if caller is not None and access is not None:
                access.take_for_bytes(caller, len(body))  # whatever becomes of it: to look through it costs most
            await _check(body)
        except _Refused as err:
            log(Event.REQUEST_FAILED, failure_code=err.code, status=err.status)
            errors = [FieldProblem(field="body", message=str(err))] if err.status == 422 else None
            answer = problem(
                scope["state"]["request_id"], status=err.status, code=err.code, detail=str(err), errors=errors
            )
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return
        handed_on = False

        async def receive_whole() -> Message:
            nonlocal handed_on
            if handed_on:
                return await receive()
            handed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_whole, send)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    too_large = _Refused(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {limit} bytes; send a smaller request")
    for name, value in scope["headers"]:
        # Refuse it before reading.
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise too_large
    pieces, size = [], 0
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > limit:
                    raise too_large
                if not message.get("more_body", False):
                    break
    except TimeoutError as err:
        raise _Refused(
            408, "REQUEST_TIMEOUT", f"the body did not arrive within {_READ_TIMEOUT_S:g} s; send it again"
        ) from err
    return b"".join(pieces)


async def _check(body: bytes) -> None:
    if len(body) > _LARGE_BYTES:
        await asyncio.to_thread(_look_through, body)
    else:
        _look_through(body)


def _look_through(body: bytes) -> None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as err:
        raise _Refused(422, "INVALID_REQUEST", "the body is not UTF-8") from err
    if depth_exceeds(body, MAX_DEPTH):
        raise _Refused(422, "INVALID_REQUEST", f"the body is nested deeper than {MAX_DEPTH} levels")
    if _repeats_a_key(body):
        raise _Refused(
            422, "INVALID_REQUEST", "a name occurs twice in one JSON object: it is unclear which value counts"
        )


def _repeats_a_key(body: bytes) -> bool:
    """Return whether any JSON object in ``body`` has one name twice; what is no JSON is for others to refuse."""

    def check(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise _Refused(422, "INVALID_REQUEST", "")

    try:
        json.loads(body, object_pairs_hook=check)
    except _Refused:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Return whether JSON text opens more than ``limit`` brackets inside each other; strings are skipped."""
    # Fast path for nearly every body: with so few brackets in total it cannot nest deeper.
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for match in _BRACKETS.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _few_faults(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as err:
        if err.error_count() <= MOST_FAULTS:
            raise
    raise PydanticCustomError("too_many_faults", f"more than {MOST_FAULTS} faults; compare it with /openapi.json")


T = TypeVar("T")
Bounded = Annotated[T, WrapValidator(_few_faults)]
"""A body's model, as an operation declares it: with more than ``MOST_FAULTS`` faults a body is refused and none is listed."""
