"""Tokens: JWTs (RFC 9068, ES256) that say which client may do what until when; issued for client credentials, verified alone."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt
from cachetools import LRUCache

from service.access.clients import SCOPES, Client, Clients
from service.access.errors import InvalidScope, ScopeMissing, TokenRefused
from service.access.keys import KeyRing

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header's value in RFC 9068, not a secret
LIFETIME_S = 3600
_LEEWAY_S = 10  # between the clocks of two instances of this service
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
    """Who sent a request, as the token and today's clients file say."""

    client_id: str
    client: Client
    scopes: frozenset[str]

    @property
    def tenant(self) -> str | None:
        """Whose data it may see; None: no tenant's."""
        return self.client.tenant

    def require(self, scope: str) -> None:
        """Do nothing when the caller has ``scope``.

        Raises:
            ScopeMissing: it has not.
        """
        if scope not in self.scopes:
            raise ScopeMissing(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a text that we signed says; ``ends_in_s`` may be below zero by the leeway."""

    caller: Caller
    id: str
    ends_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What a signature vouches for, and the key that it was made with."""

    key_id: str
    key: object
    claims: Mapping[str, Any]


class Tokens:
    """Issues and verifies; ``now`` gives seconds since the epoch."""

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
        """Return a token for client credentials; ``scope`` is a space-separated list, all the client's scopes when left out.

        Raises:
            InvalidClient: unknown client or wrong secret.
            InvalidScope: a scope that the client may not have.
        """
        client = self.clients.authenticate(client_id, secret)
        wanted = tuple(dict.fromkeys((scope or "").split())) or client.scopes
        refused = [name for name in wanted if name not in client.scopes]
        if refused:
            # The names that were asked for are not repeated: they are the caller's text.
            raise InvalidScope(f"this client may have {' '.join(client.scopes)}; scopes are {' '.join(SCOPES)}")
        return self.sign(client_id, wanted)

    def sign(
        self, client_id: str, scopes: tuple[str, ...], *, kind: str = TOKEN_TYPE, lifetime_s: int = LIFETIME_S
    ) -> Token:
        """Return a token for a client that is known by other means than its secret; one ``kind`` never passes for another."""
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
        client = self.clients.get(client_id)
        if client is not None and client.tenant is not None:
            claims["tenant"] = client.tenant
        text = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": kind})
        return Token(text=text, expires_in_s=lifetime_s, scopes=scopes)

    def verify(self, authorization: str | None) -> Caller:
        """Return who holds the token in an ``Authorization`` header.

        Raises:
            TokenRefused: none, expired, forged, of another issuer, for another audience, or of a client that is no more.
        """
        if not authorization:
            raise TokenRefused("send a token: Authorization: Bearer <token>, from POST /oauth/token", missing=True)
        if not authorization.lower().startswith(_BEARER) or len(authorization) > _LONGEST_TOKEN:
            raise TokenRefused("the Authorization header holds no bearer token of ours")
        return self.read(authorization[len(_BEARER) :].strip()).caller

    def _claims(self, text: str, kind: str) -> Mapping[str, Any]:
        # What the signature vouches for. Only that is remembered: whether the key still counts, the times and the client are
        # looked at every time. A signature takes 0.6 ms, reading the header 0.1, and a client sends the same token for an hour.
        this = (sha256(text.encode()).digest(), kind)
        known = self._verified.get(this)
        # Keys that were read anew are other objects: then the signature is looked at again.
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
            algorithms=[ALGORITHM],  # never the header's own word: `none` and HS256 are forgeries
            issuer=self._issuer,
            audience=self._audience,
            # The times are ours to check, by the clock that was handed in.
            options={"require": list(_REQUIRED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        self._verified[this] = _Verified(key_id=key_id, key=key, claims=claims)
        return claims

    def read(self, text: str, *, kind: str = TOKEN_TYPE) -> Signed:
        """Return what a text of ours says that is of this ``kind``.

        Raises:
            TokenRefused: as for ``verify``.
        """
        try:
            claims = self._claims(text, kind)
            starts, ends = float(claims["nbf"]), float(claims["exp"])
        except jwt.PyJWTError as err:
            raise TokenRefused("the token is forged, damaged, or meant for another service") from err
        except (TypeError, ValueError) as err:
            raise TokenRefused("the token's claims are not of the right kind") from err
        now = self._now()
        if not starts - _LEEWAY_S <= now < ends + _LEEWAY_S:
            raise TokenRefused("the token has expired, or is not valid yet: get a new one at POST /oauth/token")
        client_id = str(claims["sub"])
        client = self.clients.get(client_id)
        if client is None:
            raise TokenRefused("the token's client has been removed")
        if claims.get("tenant") != client.tenant:
            raise TokenRefused(
                "the token's client belongs to another tenant by now: get a new one at POST /oauth/token"
            )
        # What the client may do today bounds what it was granted up to an hour ago.
        scopes = frozenset(str(claims["scope"]).split()) & frozenset(client.scopes)
        caller = Caller(client_id=client_id, client=client, scopes=scopes)
        return Signed(caller=caller, id=str(claims["jti"]), ends_in_s=int(ends - now))
