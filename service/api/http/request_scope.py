"""Gives every request an id (in state, log and headers) and a measurement, and answers unhandled errors with a problem body."""

import time
import traceback

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.http.correlation import correlation
from service.api.http.problems import problem
from service.kit.frame.errors import FailureCode
from service.kit.telemetry import metrics, tracing
from service.kit.telemetry.log import Event, bind_request, log


class RequestScope:
    """The outermost of our ASGI middleware.

    Logs an unexpected exception by type and place only, because its message may quote the customer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req-{scope['app'].state.runtime.ids()}"
        scope.setdefault("state", {})["request_id"] = request_id
        correlation_id, parent = correlation(scope["headers"], request_id)
        started_at, status = time.perf_counter(), 0
        bind_request(request_id, correlation_id=correlation_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.append("X-Request-Id", request_id)
                headers.append("X-Correlation-Id", correlation_id)
            await send(message)

        with tracing.span(scope["method"], "server", {"request_id": request_id}, traceparent=parent) as span:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as err:  # the client gets a problem body without a traceback, the log gets the place
                last = traceback.extract_tb(err.__traceback__)[-1]
                place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
                log(
                    Event.REQUEST_FAILED,
                    failure_code="INTERNAL_ERROR",
                    status=500,
                    error=type(err).__name__,
                    place=place,
                )
                if status:
                    raise
                answer = problem(
                    request_id,
                    status=500,
                    code=FailureCode.INTERNAL_ERROR.value,
                    detail="unexpected error; the log has its type and place under this request id",
                )
                await answer(scope, receive, send_with_id)
            finally:
                _measure(scope, status, (time.perf_counter() - started_at) * 1000, span)


def _measure(scope: Scope, status: int, latency_ms: float, span: tracing.Span) -> None:
    # Labelled by the route's template: each path that a scanner tries would become a time series. Only POSTs are measured,
    # because GETs are health checks and documents.
    route = getattr(scope.get("route"), "path", "unrouted")
    span.set("http.request.method", scope["method"])
    span.set("http.route", route)
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))
    if scope["method"] == "POST":
        metrics.count(metrics.REQUESTS, route, str(status))
        metrics.observe(metrics.LATENCY, latency_ms, route)
