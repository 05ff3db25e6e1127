"""Issues and verifies access tokens: JWTs (RFC 9068, ES256) with a client, its scopes and an expiry time."""

import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt
from cachetools import LRUCache

from service.access.clients import EVERY_TASK, SCOPES, WHOLE_SERVICE, Client, Clients, allows
from service.access.errors import InvalidScope, ScopeMissing, TokenRefused, WholeServiceRefused
from service.access.keys import KeyRing

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header's value in RFC 9068, not a secret
LIFETIME_S = 3600
LEEWAY_S = 10  # between the clocks of two instances of this service
_LONGEST_TOKEN = 2048  # ours have some 500 characters
_BEARER = "bearer "
_TOKENS_KEPT = 1024  # verified signatures; belongs to one event loop
_REQUIRED = ("iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as its client gets it."""

    text: str
    expires_in_s: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The client that sent a request, with the scopes that its token and the stored client both allow.

    ``conversation`` or ``account`` (its digest) names the one that the token is good for, if a browser sent the request.
    """

    client_id: str
    client: Client
    scopes: frozenset[str]
    conversation: str | None = None
    account: str | None = None

    @property
    def browser(self) -> str | None:
        """What a browser's token is good for; None: the token is a program's, with all that its scopes allow."""
        return self.conversation or self.account

    @property
    def tenant(self) -> str | None:
        """The tenant whose data the caller may see; None: of no tenant."""
        return self.client.tenant

    def require(self, scope: str) -> None:
        """Check that the caller has ``scope``.

        Raises:
            ScopeMissing: it does not, or the scope opens the whole service and the client belongs to a tenant.
        """
        if not allows(self.scopes, scope):
            raise ScopeMissing(scope)
        if scope in WHOLE_SERVICE and not self.client.sees_whole_service:
            raise WholeServiceRefused(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The verified content of a token, link or cookie; ``ends_in_s`` can be negative by up to the leeway.

    ``about`` names the one thing that it is good for, if it is for one only.
    """

    caller: Caller
    id: str
    ends_in_s: int
    about: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """Claims with a verified signature, and the key that verified it."""

    key_id: str
    key: object
    claims: Mapping[str, Any]


class Tokens:
    """Issues and verifies tokens; ``now`` returns seconds since the epoch."""

    def __init__(
        self, keys: KeyRing, clients: Clients, *, issuer: str, audience: str, now: Callable[[], float] = time.time
    ) -> None:
        self.keys = keys
        self.clients = clients
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._verified: LRUCache[tuple[bytes, str], _Verified] = LRUCache(_TOKENS_KEPT)

    def issue(self, client_id: str, secret: str, scope: str | None) -> Token:
        """Return a token for client credentials; ``scope`` is a space-separated list, None for all of the client's scopes.

        Raises:
            InvalidClient: unknown client or wrong secret.
            InvalidScope: a scope that the client may not have.
        """
        client = self.clients.authenticate(client_id, secret)
        return self.sign(client_id, granted_scopes(client, scope))

    def sign(
        self,
        client_id: str,
        scopes: tuple[str, ...],
        *,
        kind: str = TOKEN_TYPE,
        lifetime_s: int = LIFETIME_S,
        about: str | None = None,
    ) -> Token:
        """Return a token for a client that was identified without its secret; a token is accepted as its own ``kind`` only.

        ``about``: see ``Signed``.
        """
        now = int(self._now())
        key_id, key = self.keys.signing()
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_s,
            "jti": uuid.uuid4().hex,
        }
        if about is not None:
            claims["about"] = about
        client = self.clients.get(client_id)
        if client is not None and client.tenant is not None:
            claims["tenant"] = client.tenant
        text = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": kind})
        return Token(text=text, expires_in_s=lifetime_s, scopes=scopes)

    def verify(self, authorization: str | None) -> Caller:
        """Return the caller of the token in an ``Authorization`` header.

        Raises:
            TokenRefused: none, expired, forged, of another issuer, for another audience, or of a client that was removed.
        """
        if not authorization:
            raise TokenRefused("send a token: Authorization: Bearer <token>, from POST /oauth/token", missing=True)
        if not authorization.lower().startswith(_BEARER) or len(authorization) > _LONGEST_TOKEN:
            raise TokenRefused("the Authorization header holds no bearer token of this service")
        return self.read(authorization[len(_BEARER) :].strip()).caller

    def caller_of(self, text: str) -> tuple[str, frozenset[str]] | None:
        """Return client id and scopes of an access token, or None for one that is not valid."""
        try:
            caller = self.read(text).caller
        except TokenRefused:
            return None
        return caller.client_id, frozenset(caller.scopes)

    def _claims(self, text: str, kind: str) -> Mapping[str, Any]:
        # Caches the verified signature only; key, times and client are checked at every request. Verifying a signature takes
        # 0.6 ms, reading the header 0.1 ms, and a client sends the same token for an hour.
        this = (sha256(text.encode()).digest(), kind)
        known = self._verified.get(this)
        # A key that was read again is another object: then the signature is verified again.
        if known is not None and self.keys.public(known.key_id) is known.key:
            return known.claims
        header = jwt.get_unverified_header(text)
        key_id = str(header.get("kid"))
        key = self.keys.public(key_id)
        if key is None or header.get("typ") != kind:
            raise TokenRefused("the token was not signed by a key of this service")
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key,
            algorithms=[ALGORITHM],  # never the algorithm that the header names: it could be `none` or HS256
            issuer=self._issuer,
            audience=self._audience,
            # `read` checks the times, by the injected clock.
            options={"require": list(_REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        self._verified[this] = _Verified(key_id=key_id, key=key, claims=claims)
        return claims

    def read(self, text: str, *, kind: str = TOKEN_TYPE) -> Signed:
        """Verify ``text`` as a token of this ``kind`` and return its content.

        Raises:
            TokenRefused: as for ``verify``.
        """
        try:
            claims = self._claims(text, kind)
            starts, ends, issued = float(claims["nbf"]), float(claims["exp"]), float(claims["iat"])
        except jwt.PyJWTError as err:
            raise TokenRefused("the token is forged, damaged, or meant for another service") from err
        except (TypeError, ValueError, OverflowError) as err:
            raise TokenRefused("the token's times are not numbers") from err
        if not all(map(math.isfinite, (starts, ends, issued))):
            raise TokenRefused("the token's times are not numbers")
        if ends - min(starts, issued) > LIFETIME_S:
            raise TokenRefused("the token is for longer than any that this service issues")
        now = self._now()
        if not starts - LEEWAY_S <= now < ends + LEEWAY_S:
            raise TokenRefused("the token has expired, or is not valid yet: get a new one at POST /oauth/token")
        client_id = str(claims["sub"])
        client = self.clients.get(client_id)
        if client is None:
            raise TokenRefused("the token's client has been removed, or its tenant is suspended")
        if starts <= client.tokens_from:
            raise TokenRefused("the token is from before its client was revoked: get a new one at POST /oauth/token")
        if claims.get("tenant") != client.tenant:
            raise TokenRefused("the token's client has moved to another tenant: get a new token at POST /oauth/token")
        # The client may have lost scopes since the token was issued.
        scopes = frozenset(scope for scope in str(claims["scope"]).split() if allows(client.scopes, scope))
        caller = Caller(client_id=client_id, client=client, scopes=scopes)
        return Signed(caller=caller, id=str(claims["jti"]), ends_in_s=int(ends - now), about=claims.get("about"))


def granted_scopes(client: Client, scope: str | None) -> tuple[str, ...]:
    """Return the scopes that ``scope``, a space-separated list, asks for; None asks for all of the client's.

    Raises:
        InvalidScope: a scope that the client may not have.
    """
    wanted = tuple(dict.fromkeys((scope or "").split())) or client.scopes
    if not all(allows(client.scopes, scope) for scope in wanted):
        # Do not repeat the requested names: they are text that the caller chose.
        scopes = f"{' '.join(SCOPES)} task:<name> {EVERY_TASK}"
        raise InvalidScope(f"this client may have {' '.join(client.scopes)}; scopes are {scopes}")
    return wanted
