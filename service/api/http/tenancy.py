"""Whose data a request may be about: that of its client's tenant, and of one account if a browser's token names it."""

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException

from service.access.account_tokens import is_about
from service.access.tokens import Caller


class TenantRefused(HTTPException):
    """The caller may not act for this tenant, or no pair may; answered with 403, FORBIDDEN."""

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


class AccountRefused(HTTPException):
    """The token is for another account; answered with 403, FORBIDDEN."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, "the token is for another account; get one for this account")


def may_see(request: Request, account_number: str) -> bool:
    """Return whether the request may be about this account: about any, unless its token is a browser's for one account."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller is None or is_about(caller, account_number)
