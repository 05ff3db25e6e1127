"""The page that shows the OpenAPI document and tries requests; nothing is loaded from elsewhere."""

from fastapi import APIRouter, Response

from service.api.assets import DOCS_ASSETS, DOCS_PAGE, HEADERS, content

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    """Return the page; it holds no customer data and needs no token."""
    return Response(content(DOCS_PAGE), media_type="text/html; charset=utf-8", headers=dict(HEADERS))


@router.get("/docs/{name}")
async def docs_asset(name: str) -> Response:
    """Return a style or script of the page."""
    if name not in DOCS_ASSETS:
        return Response(status_code=404, headers=dict(HEADERS))
    return Response(content(name), media_type=DOCS_ASSETS[name], headers=dict(HEADERS))
