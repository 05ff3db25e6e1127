"""The page in which a customer talks to an assistant; nothing is loaded from elsewhere."""

from fastapi import APIRouter, Response

from service.api.assets import CHAT_ASSETS, CHAT_PAGE, HEADERS, content

router = APIRouter(include_in_schema=False)


@router.get("/chat")
async def chat() -> Response:
    """Return the page; it holds nothing of a conversation, whose token stands in the address behind the #."""
    return Response(content(CHAT_PAGE), media_type="text/html; charset=utf-8", headers=dict(HEADERS))


@router.get("/chat/{name}")
async def chat_asset(name: str) -> Response:
    """Return a style or script of the page."""
    if name not in CHAT_ASSETS:
        return Response(status_code=404, headers=dict(HEADERS))
    return Response(content(name), media_type=CHAT_ASSETS[name], headers=dict(HEADERS))
