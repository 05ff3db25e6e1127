"""The page in which an agent answers customers; nothing is loaded from elsewhere."""

from fastapi import APIRouter, Response

from service.api.assets import AGENT_ASSETS, AGENT_PAGE, HEADERS, content

router = APIRouter(include_in_schema=False)


@router.get("/agent")
async def agent() -> Response:
    """Return the page; it holds nothing of a customer, and asks who the agent is."""
    return Response(content(AGENT_PAGE), media_type="text/html; charset=utf-8", headers=dict(HEADERS))


@router.get("/agent/{name}")
async def agent_asset(name: str) -> Response:
    """Return a style or script of the page."""
    if name not in AGENT_ASSETS:
        return Response(status_code=404, headers=dict(HEADERS))
    return Response(content(name), media_type=AGENT_ASSETS[name], headers=dict(HEADERS))
