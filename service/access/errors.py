"""Reasons to refuse a caller, with the error codes of RFC 6749 and RFC 6750; no message quotes what was sent."""

from typing import ClassVar, Literal


class AccessDeniedError(Exception):
    """Base of all refusals; the message is safe to send back."""


class TokenRefused(AccessDeniedError):
    """No token, or one that is not valid (401). ``missing``: no token was sent, which RFC 6750 answers without an error code."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class ScopeMissing(AccessDeniedError):
    """A valid token without the scope that the path needs (403)."""

    def __init__(self, scope: str, message: str | None = None) -> None:
        super().__init__(message or f"this path needs a token with scope {scope!r}; ask for one at /oauth/token")
        self.scope = scope


class WholeServiceRefused(ScopeMissing):
    """The path shows what is of every tenant, and the token's client belongs to one (403)."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope, "this path shows the whole service: use a client that belongs to no tenant")


class GrantRefused(AccessDeniedError):
    """A refused token request, with its error code of RFC 6749 (section 5.2)."""

    error: ClassVar[Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]]


class InvalidGrantRequest(GrantRefused):
    """A parameter is missing, given twice, or not a form field."""

    error = "invalid_request"


class InvalidClient(GrantRefused):
    """Unknown client or wrong secret; the message does not say which."""

    error = "invalid_client"


class UnsupportedGrantType(GrantRefused):
    """A grant type other than client credentials."""

    error = "unsupported_grant_type"


class InvalidScope(GrantRefused):
    """A scope that does not exist, or that this client may not have."""

    error = "invalid_scope"
