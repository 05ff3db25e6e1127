"""Which tenant a request is for: the one of its token's client, never one that the request itself names."""

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException

from service.access.tokens import Caller


class TenantRefused(HTTPException):
    """The caller may not do this for this tenant; answered as 403, FORBIDDEN."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


def tenant_of(request: Request) -> str:
    """Return the caller's tenant.

    Raises:
        TenantRefused: its client belongs to none, or nobody is known here (a runtime without access control).
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or caller.tenant is None:
        raise TenantRefused("this client belongs to no tenant; give it one: omni client NAME --tenant ID")
    return caller.tenant


def require_tenant(request: Request, tenant: str | None) -> None:
    """Do nothing when the request may be about ``tenant`` (None: about nobody's data).

    Raises:
        TenantRefused: the caller's client belongs to another tenant or to none. Without access control all may.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if tenant is not None and caller is not None and caller.tenant != tenant:
        raise TenantRefused("the request is about another tenant than the token's")
