"""/v1/tenants: create, configure, suspend, resume and export tenants, order their deletion, and see its receipt.

For clients of no tenant with the scope `tenants`. This process deletes nothing: `omni tenant delete` does, with its own rights.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import IO, Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from service.api.answering import runtime_of
from service.api.http.limits import Bounded
from service.api.http.problems import STORE_RESPONSES, Codes, refused, refusing
from service.api.tenants.models import DeletionAnswer, ReasonRequest, TenantAnswer, TenantList, TenantRequest
from service.calls.tenants.store import ConfiguredTenant, TenantChanged, TenantMissing, TenantSettings
from service.kit.frame.errors import StoreError
from service.privacy.tenants.life_cycle import TenantChangeRefused, TenantLifeCycle

_TenantId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,61}$", examples=["brindlewick-energy"])]
_MISSING = refused(404, "There is no such tenant")
_REFUSED = refused(409, "Not in the tenant's state, or not with these settings in this deployment")
_CODES: Codes = {
    TenantMissing: (404, "TENANT_NOT_FOUND"),
    TenantChanged: (409, "TENANT_REFUSED"),
    TenantChangeRefused: (409, "TENANT_REFUSED"),
}
router = APIRouter(prefix="/v1/tenants", tags=["tenants"], route_class=refusing(_CODES))
_ZIP = "application/zip"
_ZIP_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}, "example": "PK..."}
_IN_MEMORY, _PIECE = 16 * 1024 * 1024, 256 * 1024
_T = TypeVar("_T")


@router.get("", response_model=TenantList, responses=STORE_RESPONSES)
async def list_tenants(request: Request) -> TenantList:
    """List all tenants with their settings and states."""
    cycle = await _cycle(request)
    found = await anyio.to_thread.run_sync(cycle.tenants.all)
    return TenantList(tenants=[TenantAnswer.of(one) for one in found])


@router.get("/{tenant}", response_model=TenantAnswer, responses={**_MISSING, **STORE_RESPONSES})
async def get_tenant(tenant: _TenantId, request: Request) -> Any:
    """Return a tenant."""
    return await _shown(request, lambda cycle: cycle.get(tenant))


@router.put("/{tenant}", response_model=TenantAnswer, responses={**_REFUSED, **STORE_RESPONSES})
async def put_tenant(tenant: _TenantId, body: Bounded[TenantRequest], request: Request) -> Any:
    """Create a tenant with an active default form, or replace the settings of one that exists. Safe to repeat.

    Each of ``own_words`` and ``agents`` is written in letters, spaces and .'&- alone.
    """
    cycle, settings = await _cycle(request), TenantSettings.model_validate(body.model_dump())
    known = await anyio.to_thread.run_sync(cycle.tenants.get, tenant)
    if known is None:
        return TenantAnswer.of(await cycle.create(tenant, settings, by=_who(request)))
    return TenantAnswer.of(await anyio.to_thread.run_sync(cycle.configure, tenant, settings))


@router.post("/{tenant}/suspend", response_model=TenantAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES})
async def suspend_tenant(tenant: _TenantId, body: Bounded[ReasonRequest], request: Request) -> Any:
    """Refuse the tenant's clients and stop work on its calls within ten seconds. Its data stays."""
    return await _shown(request, lambda cycle: cycle.suspend(tenant, by=_who(request), why=body.why))


@router.post("/{tenant}/resume", response_model=TenantAnswer, responses={**_MISSING, **_REFUSED, **STORE_RESPONSES})
async def resume_tenant(tenant: _TenantId, body: Bounded[ReasonRequest], request: Request) -> Any:
    """Let a suspended tenant in again; its failed calls of the meantime are replayed by an operator."""
    return await _shown(request, lambda cycle: cycle.resume(tenant, by=_who(request), why=body.why))


@router.get(
    "/{tenant}/export",
    response_class=Response,
    responses={200: {"content": {_ZIP: _ZIP_FILE}}, **_MISSING, **STORE_RESPONSES},
)
async def export_tenant(tenant: _TenantId, request: Request) -> Response:
    """Return everything that is kept of the tenant as a ZIP file; of recordings their names."""
    found = await _done(request, lambda cycle: _exported(cycle, tenant, runtime_of(request).settings), read_only=True)
    headers = {"Content-Disposition": f'attachment; filename="{tenant}.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(_pieces(found), media_type=_ZIP, headers=headers)


@router.post(
    "/{tenant}/deletion",
    response_model=DeletionAnswer,
    status_code=202,
    responses={**_MISSING, **_REFUSED, **STORE_RESPONSES},
)
async def order_deletion(tenant: _TenantId, body: Bounded[ReasonRequest], request: Request) -> Any:
    """Order the deletion of a suspended tenant, from which there is no way back; its clients stay refused."""

    def order(cycle: TenantLifeCycle) -> DeletionAnswer:
        cycle.begin_deletion(tenant, by=_who(request), why=body.why)
        return _deletion(cycle, tenant)

    return await _done(request, order)


@router.get("/{tenant}/deletion", response_model=DeletionAnswer, responses={**_MISSING, **STORE_RESPONSES})
async def get_deletion(tenant: _TenantId, request: Request) -> Any:
    """Return whether the tenant's deletion is ordered or done, with the receipts of what was deleted where."""
    return await _done(request, lambda cycle: _deletion(cycle, tenant))


def _deletion(cycle: TenantLifeCycle, tenant: str) -> DeletionAnswer:
    receipts, known = cycle.ledger.receipts(tenant), cycle.tenants.get(tenant)
    if known is not None:
        return DeletionAnswer(
            tenant=tenant, state="ordered" if known.state == "deleting" else "none", receipts=receipts
        )
    if not receipts:
        cycle.get(tenant)  # raises: there is no such tenant
    return DeletionAnswer(tenant=tenant, state="ordered" if receipts[-1].left else "done", receipts=receipts)


def _exported(cycle: TenantLifeCycle, tenant: str, settings: Any) -> IO[bytes]:
    from service.kit.aws.clients import client
    from service.privacy.tenants.export import write_tenant

    cycle.get(tenant)
    out = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    with closing(client("s3", settings)) as s3:
        write_tenant(out, cycle.found(tenant), s3=s3, recordings=False)
    out.seek(0)
    return out


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


async def _cycle(request: Request, *, read_only: bool = False) -> TenantLifeCycle:
    from service.privacy.tenants.build import build_life_cycle

    runtime = runtime_of(request)
    if runtime.calls.tenants is None:
        raise StoreError("this service keeps no tenants: it has no AWS endpoint (locally: omni serve)")
    return await anyio.to_thread.run_sync(partial(build_life_cycle, runtime.settings, read_only=read_only))


async def _done(request: Request, what: Callable[[TenantLifeCycle], _T], *, read_only: bool = False) -> _T:
    return await anyio.to_thread.run_sync(what, await _cycle(request, read_only=read_only))


async def _shown(request: Request, what: Callable[[TenantLifeCycle], ConfiguredTenant]) -> TenantAnswer:
    return TenantAnswer.of(await _done(request, what))


def _who(request: Request) -> str:
    caller = getattr(request.state, "caller", None)
    return "" if caller is None else str(caller.client_id)
