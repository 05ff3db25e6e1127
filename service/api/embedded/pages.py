"""GET /widget.js, the summary as a custom element, and /workspace, the page that Amazon Connect shows beside a contact."""

from collections.abc import Iterable, Mapping

from fastapi import APIRouter, Request, Response

from service.api.answering import runtime_of
from service.api.assets import HEADERS, WIDGET, add_assets, shown

router = APIRouter(include_in_schema=False)
# Public code, which pages of any origin may load; what it then asks for needs a token and a named origin.
_WIDGET_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("/widget.js")
async def widget() -> Response:
    """Return the widget's script."""
    return shown(WIDGET, _WIDGET_HEADERS)


@router.get("/workspace")
async def workspace(request: Request) -> Response:
    """Return the page; it holds nothing of a customer, and gets the contact and its token from Amazon Connect."""
    origins = runtime_of(request).settings.serving.embed_origins
    return shown("workspace.html", _framed_by(origins))


add_assets(router, "workspace")


def _framed_by(origins: Iterable[str]) -> dict[str, str]:
    """Return the headers of all our pages, with these origins as those that may show the page in a frame."""
    headers = dict(HEADERS)
    if named := " ".join(origins):
        policy = headers["Content-Security-Policy"]
        headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", f"frame-ancestors {named}")
        del headers["X-Frame-Options"]  # it knows no list of origins, and browsers follow the policy
    return headers
