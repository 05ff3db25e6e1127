"""A request's tenant: the tenant of the token's client, never one that the request itself names."""

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException

from service.access.tokens import Caller


class TenantRefused(HTTPException):
    """The caller may not act for this tenant; answered with 403, FORBIDDEN."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


def tenant_of(request: Request) -> str:
    """Return the caller's tenant.

    Raises:
        TenantRefused: its client belongs to none, or the runtime has no access control and knows no callers.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or caller.tenant is None:
        raise TenantRefused("this client belongs to no tenant; give it one: omni client NAME --tenant ID")
    return caller.tenant


def require_tenant(request: Request, tenant: str | None) -> None:
    """Check that the caller may act for ``tenant`` (None: the request is about no tenant's data).

    Raises:
        TenantRefused: the caller's client belongs to another tenant or to none. Without access control nothing is refused.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if tenant is not None and caller is not None and caller.tenant != tenant:
        raise TenantRefused("the request is about another tenant than the token's")
