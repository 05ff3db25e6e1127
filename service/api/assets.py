"""The service's pages and the widget in ``pages/``: no build step, nothing from another host.

``router`` serves the pages that look the same for everybody; they hold no customer data and need no token.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response

FOLDER = Path(__file__).parent / "pages"
WIDGET = "widget.js"
# By page, the styles and scripts of its ``<page>.html``.
ASSETS: Mapping[str, tuple[str, ...]] = {
    "agent": ("agent.css", "agent.js"),
    "chat": ("chat.css", "chat.js"),
    "dashboards": ("page.css", "page.js", "charts.js", "gateway.js", "visuals.js", "words.js"),
    "docs": ("docs.css", "docs.js"),
    "qa": ("qa.css", "qa.js", "qa-board.js", "qa-call.js", "qa-insights.js"),
    "workspace": ("workspace.css", "workspace.js", "connect-sdk.js"),
}
PATHS = frozenset(f"/{page}" for page in ASSETS) | {
    f"/{page}/{name}" for page, names in ASSETS.items() for name in names
}
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
# Content security policy: only our own script and style files, nothing inline, and text never becomes markup.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
router = APIRouter(include_in_schema=False)


@cache
def content(name: str) -> bytes:
    """Return a file of ``pages/``; each is read from disk once."""
    return (FOLDER / name).read_bytes()


def shown(name: str, headers: Mapping[str, str] = HEADERS) -> Response:
    """Return the response with a file of ``pages/``."""
    return Response(content(name), media_type=_MEDIA_TYPES[Path(name).suffix], headers=dict(headers))


def add_page(router: APIRouter, page: str) -> None:
    """Serve a page under its name."""

    async def html() -> Response:
        return shown(f"{page}.html")

    router.add_api_route(f"/{page}", html)


def add_assets(router: APIRouter, page: str) -> None:
    """Serve the styles and scripts of a page; any other name is not found."""

    async def asset(name: str) -> Response:
        return shown(name) if name in ASSETS[page] else Response(status_code=404, headers=dict(HEADERS))

    router.add_api_route(f"/{page}/{{name}}", asset)


for _page in ("agent", "chat", "docs", "qa"):
    add_page(router, _page)
    add_assets(router, _page)
