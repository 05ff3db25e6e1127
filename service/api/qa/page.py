"""The page in which a QA lead sees which criteria fail and corrects a verdict; nothing is loaded from elsewhere."""

from fastapi import APIRouter, Response

from service.api.assets import HEADERS, QA_ASSETS, QA_PAGE, content

router = APIRouter(include_in_schema=False)


@router.get("/qa")
async def qa() -> Response:
    """Return the page; it holds no figures and no words of calls, and asks who the QA lead is."""
    return Response(content(QA_PAGE), media_type="text/html; charset=utf-8", headers=dict(HEADERS))


@router.get("/qa/{name}")
async def qa_asset(name: str) -> Response:
    """Return a style or script of the page."""
    if name not in QA_ASSETS:
        return Response(status_code=404, headers=dict(HEADERS))
    return Response(content(name), media_type=QA_ASSETS[name], headers=dict(HEADERS))
