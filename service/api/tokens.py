"""POST /oauth/token (RFC 6749, client credentials) and the public keys that verify its tokens (RFC 7517)."""

import base64
import binascii
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from service.access.control import Access
from service.access.errors import GrantRefused, InvalidClient, InvalidGrantRequest, UnsupportedGrantType
from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.access import REALM
from service.kit.telemetry.log import Event, log

GRANT = "client_credentials"
_FORM = "application/x-www-form-urlencoded"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIELDS = ("grant_type", "client_id", "client_secret", "scope")

router = APIRouter(tags=["access"])


class TokenAnswer(BaseModel):
    """A token and its lifetime in seconds."""

    model_config = ConfigDict(json_schema_extra=examples("TokenAnswer"))

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the type's name
    expires_in: int
    scope: str


class TokenError(BaseModel):
    """An error as RFC 6749, section 5.2 defines it, which OAuth libraries expect instead of our problem bodies."""

    model_config = ConfigDict(json_schema_extra=examples("TokenError"))

    error: str
    error_description: str


class JsonWebKeySet(BaseModel):
    """The public keys, by id."""

    model_config = ConfigDict(json_schema_extra=examples("JsonWebKeySet"))

    keys: list[dict[str, str]]


_EXAMPLE: dict[str, Any] = {
    "grant_type": GRANT,
    "client_id": "local",
    "client_secret": "the client's own",
    "scope": "summaries feedback",
}
_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": [GRANT]},
        "client_id": {"type": "string", "description": "Required unless sent as the user name of HTTP Basic"},
        "client_secret": {"type": "string", "format": "password"},
        "scope": {"type": "string", "description": "Space-separated; by default all of the client's scopes"},
    },
    "example": _EXAMPLE,
}


@router.post(
    "/oauth/token",
    response_model=TokenAnswer,
    responses={
        400: {"model": TokenError, "description": "The request, the grant type or the scope is wrong"},
        401: {"model": TokenError, "description": "Unknown client, or wrong secret"},
    },
    openapi_extra={"requestBody": {"required": True, "content": {_FORM: {"schema": _FORM_SCHEMA}}}},
)
async def token(request: Request) -> Response:
    """Exchange a client's id and secret, sent as HTTP Basic or as form fields, for a token that is valid for one hour."""
    access = runtime_of(request).access
    try:
        fields = _fields(request, await request.body())
        if access is None:
            raise InvalidClient("this service runs without access control; no token is needed")
        issued = _issue(access, request, fields)
    except GrantRefused as err:
        log(Event.ACCESS_DENIED, status=401 if isinstance(err, InvalidClient) else 400, denied=err.error, path="token")
        headers = dict(_NO_STORE)
        if isinstance(err, InvalidClient):
            headers["WWW-Authenticate"] = f'Basic realm="{REALM}"'
        body = TokenError(error=err.error, error_description=str(err)).model_dump()
        return JSONResponse(body, status_code=401 if isinstance(err, InvalidClient) else 400, headers=headers)
    return JSONResponse(issued.model_dump(), headers=_NO_STORE)


@router.get("/.well-known/jwks.json", response_model=JsonWebKeySet)
async def jwks(request: Request) -> Response:
    """Return the public keys of the tokens that are accepted."""
    access = runtime_of(request).access
    keys = {"keys": []} if access is None else access.tokens.keys.jwks()
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})


def _issue(access: Access, request: Request, fields: dict[str, str]) -> TokenAnswer:
    client_id, secret = _credentials(request.headers.get("authorization"), fields)
    if "grant_type" not in fields:
        raise InvalidGrantRequest(f"grant_type is missing; send grant_type={GRANT}")
    if fields["grant_type"] != GRANT:
        raise UnsupportedGrantType(f"only grant_type={GRANT} is offered")
    issued = access.tokens.issue(client_id, secret, fields.get("scope"))
    log(Event.TOKEN_ISSUED, client=client_id)
    return TokenAnswer(access_token=issued.text, expires_in=issued.expires_in_s, scope=" ".join(issued.scopes))


def _fields(request: Request, body: bytes) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidGrantRequest(f"send the fields as {_FORM}")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except (UnicodeError, ValueError) as err:
        raise InvalidGrantRequest("the form cannot be read") from err
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in _FIELDS):
        raise InvalidGrantRequest("a parameter is given twice")
    return dict(pairs)


def _credentials(authorization: str | None, fields: dict[str, str]) -> tuple[str, str]:
    if authorization is not None:
        if "client_secret" in fields:
            raise InvalidGrantRequest("send the secret once: as HTTP Basic or as client_secret")
        scheme, _, encoded = authorization.partition(" ")
        try:
            if scheme.lower() != "basic":
                raise ValueError("not Basic")
            client_id, colon, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        except (ValueError, binascii.Error) as err:
            raise InvalidClient("the Authorization header is not HTTP Basic") from err
        if not colon:
            raise InvalidClient("the Authorization header holds no secret")
        # RFC 6749, section 2.3.1: id and secret are form-encoded inside Basic.
        return unquote_plus(client_id), unquote_plus(secret)
    if "client_id" not in fields or "client_secret" not in fields:
        raise InvalidClient("send client_id and client_secret, as HTTP Basic or as form fields")
    return fields["client_id"], fields["client_secret"]
