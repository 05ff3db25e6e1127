"""Access control: checks a request's token, scope and rate limits before its body is read."""

import math
import re
from collections.abc import Mapping

import structlog
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.account_tokens import account_caller
from service.access.clients import task_scope
from service.access.control import Access
from service.access.conversation_tokens import is_for_conversation
from service.access.errors import ScopeMissing, TokenRefused
from service.access.sessions import COOKIE
from service.access.throttle import LimitExceeded
from service.access.tokens import Caller
from service.api import assets
from service.api.http.problems import problem
from service.core.run.task import OPERATOR_NAMES
from service.kit.telemetry.log import Event, log

REALM = "omni-insights"
# Paths without a token: they return no customer data, or a client needs them to get a token.
PUBLIC = frozenset({"/healthz", "/readyz", "/oauth/token", "/.well-known/jwks.json", "/openapi.json"})
# Pages without figures or words of customers, and the dashboards' sign-in.
PUBLIC |= {*assets.PATHS, "/widget.js", "/dashboards/session"}
_DASHBOARDS = "/v1/dashboards"
_OWN_SCOPE = re.compile(r"/v1/(handovers|calls|forms|tenants)(?:/.*)?", re.DOTALL)
_INSIGHTS, _FEEDBACK = "/omni-channel-insights", "/feedback"
_SCOPES: Mapping[str, str] = {
    _INSIGHTS: "summaries",
    "/account-token": "summaries",
    _FEEDBACK: "feedback",
    "/v1/pairs": "operator",
    "/v1/dashboards": "operator",
    "/dashboards/link": "operator",
}
_TASK = re.compile(r"/v1/([a-z][a-z0-9_]*)(?:(/feedback)|/conversations(?:/([^/]+)(?:/messages)?)?)?")
_LIMIT_CODES = {"rate": "RATE_LIMITED", "concurrency": "CONCURRENCY_LIMITED"}


def scope_of(path: str) -> str | None:
    """Return the scope that ``path`` needs, None for a public path. An unknown path needs ``operator``."""
    if path in PUBLIC:
        return None
    if path in _SCOPES:
        return _SCOPES[path]
    own = _OWN_SCOPE.fullmatch(path)
    if own is not None:
        return own[1]
    task = _TASK.fullmatch(path)
    if task is None or task[1] in OPERATOR_NAMES:
        return "operator"
    return "feedback" if task[2] else task_scope(task[1])


def _is_dashboard(path: str) -> bool:
    return path == _DASHBOARDS or path.startswith(f"{_DASHBOARDS}/")


class AccessControl:
    """ASGI middleware inside ``RequestScope``; a runtime without access control lets everything through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP passes through."""
        needed = scope_of(scope["path"]) if scope["type"] == "http" else None
        access = scope["app"].state.runtime.access if needed is not None else None
        if needed is None or access is None:
            await self._app(scope, receive, send)
            return
        try:
            caller = _caller(access, scope, needed)
        except TokenRefused as err:
            challenge = f'Bearer realm="{REALM}"' + ("" if err.missing else ', error="invalid_token"')
            await _deny(scope, receive, send, 401, "UNAUTHORIZED", str(err), {"WWW-Authenticate": challenge})
            return
        except ScopeMissing as err:
            challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{err.scope}"'
            await _deny(scope, receive, send, 403, "FORBIDDEN", str(err), {"WWW-Authenticate": challenge})
            return
        structlog.contextvars.bind_contextvars(client=caller.client_id)
        scope["state"]["caller"] = caller
        try:
            # Held until the last byte of the answer: a stream counts as in flight until it ends.
            with access.admit(caller):
                await self._app(scope, receive, send)
        except LimitExceeded as err:
            headers = {"Retry-After": str(max(math.ceil(err.retry_after_s), 1))}
            await _deny(scope, receive, send, 429, _LIMIT_CODES[err.kind], str(err), headers)


def _caller(access: Access, scope: Scope, needed: str) -> Caller:
    """Return the caller by its token.

    For reading dashboards also by a session's cookie, for a conversation by its own token, for summaries by an account's.
    """
    authorization = _authorization(scope)
    if authorization is None and scope["method"] in ("GET", "HEAD") and _is_dashboard(scope["path"]):
        cookie = cookie_parser(_header(scope, b"cookie") or "").get(COOKIE)
        if cookie:
            return access.sessions.verify(cookie)
    found = _TASK.fullmatch(scope["path"])
    if found is not None and found[3]:  # a browser has a token for its own conversation
        customer = is_for_conversation(access.tokens, authorization, found[1], found[3])
        if customer is not None:
            return customer
    try:
        return access.verify(authorization, needed)
    except TokenRefused:  # an agent's browser has a token for one customer's account
        agent = account_caller(access.tokens, authorization) if scope["path"] in (_INSIGHTS, _FEEDBACK) else None
        if agent is None:
            raise
    agent.require(needed)
    return agent


def _authorization(scope: Scope) -> str | None:
    return _header(scope, b"authorization")


def _header(scope: Scope, wanted: bytes) -> str | None:
    found = [value for name, value in scope["headers"] if name == wanted]
    # A duplicated header is an attack or a mistake: both values are ignored.
    return found[0].decode("latin-1") if len(found) == 1 else None


async def _deny(
    scope: Scope, receive: Receive, send: Send, status: int, code: str, detail: str, headers: Mapping[str, str]
) -> None:
    log(Event.ACCESS_DENIED, status=status, denied=code, path=_route(scope["path"]))
    answer = problem(scope["state"]["request_id"], status=status, code=code, detail=detail)
    # The body was not read: close the connection instead of reading and discarding it.
    answer.headers.update({**headers, "Cache-Control": "no-store", "Connection": "close"})
    await answer(scope, receive, send)


def _route(path: str) -> str:
    # An unknown path is text that the caller chose: keep it out of the log.
    return path if path in _SCOPES else "other"
