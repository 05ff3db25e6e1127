"""Lets pages of other origins use the widget's two operations: CORS, for the origins that the operator names."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PATHS = frozenset({"/omni-channel-insights", "/feedback"})
# x-api-key is for a gateway in front of the service.
_SENT = ("authorization", "content-type", "x-api-key", "x-correlation-id", "traceparent")
_READ = ("retry-after", "x-request-id")
_REMEMBERED_S = 600  # how long a browser may keep the answer to a preflight


class Embedding:
    """ASGI middleware around access control: a browser asks for permission without a token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._permitting: tuple[tuple[str, ...], ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; without named origins everything passes through as it is."""
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        origins = scope["app"].state.runtime.settings.serving.embed_origins
        if self._permitting is None or self._permitting[0] != origins:
            self._permitting = (origins, self._around(origins) if origins else self._app)
        await self._permitting[1](scope, receive, send)

    def _around(self, origins: tuple[str, ...]) -> ASGIApp:
        # No credentials: a browser adds no cookie of ours, and the page must hold a token.
        return CORSMiddleware(
            self._app,
            allow_origins=origins,
            allow_methods=("POST",),
            allow_headers=_SENT,
            expose_headers=_READ,
            max_age=_REMEMBERED_S,
        )
