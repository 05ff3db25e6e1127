"""GET /metrics: this process's metrics in Prometheus's text format, for the scraper inside the network, not for clients."""

from fastapi import APIRouter, Response

router = APIRouter(tags=["health"])
_EXAMPLE = 'omni_requests_total{path="/omni-channel-insights",status="200"} 42.0'


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"example": _EXAMPLE}}}})
async def prometheus_metrics() -> Response:
    """Return every counter, histogram and gauge of this process; contacts nothing."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    from service.kit.telemetry.metrics import REGISTRY

    return Response(
        generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    )
