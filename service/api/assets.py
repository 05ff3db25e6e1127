"""The files of the service's pages and of the widget in ``pages/``: no build step, nothing from another host."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "pages"
PAGE = "dashboards.html"
ASSETS: Mapping[str, str] = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "visuals.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
}
DOCS_PAGE = "docs.html"
DOCS_ASSETS: Mapping[str, str] = {
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
}
CHAT_PAGE = "chat.html"
CHAT_ASSETS: Mapping[str, str] = {
    "chat.css": "text/css; charset=utf-8",
    "chat.js": "text/javascript; charset=utf-8",
}
AGENT_PAGE = "agent.html"
AGENT_ASSETS: Mapping[str, str] = {
    "agent.css": "text/css; charset=utf-8",
    "agent.js": "text/javascript; charset=utf-8",
}
QA_PAGE = "qa.html"
QA_ASSETS: Mapping[str, str] = {
    "qa.css": "text/css; charset=utf-8",
    "qa.js": "text/javascript; charset=utf-8",
    "qa-board.js": "text/javascript; charset=utf-8",
    "qa-call.js": "text/javascript; charset=utf-8",
    "qa-insights.js": "text/javascript; charset=utf-8",
}
WIDGET = "widget.js"
WORKSPACE_PAGE = "workspace.html"
WORKSPACE_ASSETS: Mapping[str, str] = {
    "workspace.css": "text/css; charset=utf-8",
    "workspace.js": "text/javascript; charset=utf-8",
    "connect-sdk.js": "text/javascript; charset=utf-8",
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


@cache
def content(name: str) -> bytes:
    """Return one of the page's files; each is read from disk once."""
    return (FOLDER / name).read_bytes()
