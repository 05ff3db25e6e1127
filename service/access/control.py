"""Decides for the HTTP layer whether a caller may proceed; built from settings, in `local` with files made on first use."""

import json
import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from service.access.clients import (
    CLIENT_ID,
    SCOPES,
    TENANT,
    Clients,
    hash_secret,
    new_secret,
    parse_clients,
    read_clients,
)
from service.access.errors import InvalidClient
from service.access.keys import KeyRing, make_key
from service.access.sessions import Sessions
from service.access.throttle import Throttle
from service.access.tokens import Caller, Token, Tokens
from service.errors import ConfigurationError
from service.files import OWNER_ONLY, write_once, write_whole
from service.settings import Settings

LOCAL_CLIENT = "local"
_LOCAL_SECRET = "local-client.secret"  # noqa: S105 - a file's name
LOCAL_TENANT = "demo-tenant"  # owns the sample forms and calls
# The local client also runs the load test, whose largest scenario has 1,000 requests in flight.
_LOCAL_LIMITS = {"rate_per_s": 1000, "burst": 2000, "concurrent": 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Tokens and limits of one process."""

    tokens: Tokens
    throttle: Throttle = field(default_factory=Throttle)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", Sessions(self.tokens, timer=time.monotonic))

    def verify(self, authorization: str | None, scope: str) -> Caller:
        """Return the caller that sent this header and has ``scope``.

        Raises:
            TokenRefused: no token, or one that is not valid.
            ScopeMissing: a valid token without the scope.
        """
        caller = self.tokens.verify(authorization)
        caller.require(scope)
        return caller

    def admit(self, caller: Caller) -> AbstractContextManager[None]:
        """See ``Throttle.admit``."""
        return self.throttle.admit(caller)


def open_access(settings: Settings) -> Access:
    """Read keys and clients of ``settings.access_folder``; in `local` missing ones are made.

    Raises:
        ConfigurationError: they are missing or not valid; the message says what to do.
    """
    folder = settings.access_folder
    if settings.environment == "local" and settings.access.dir is None:
        _make_local(folder)
    tokens = Tokens(
        KeyRing(folder / "keys"),
        Clients(folder / "clients.json"),
        issuer=settings.access.issuer,
        audience=settings.access.audience,
    )
    return Access(tokens=tokens)


def local_token(settings: Settings, scope: str | None = None) -> Token:
    """Return a token for the local client, issued for its secret as for any client.

    Raises:
        ConfigurationError: not in `local`, or the local client's files were removed or replaced.
        InvalidScope: no such scope.
    """
    if settings.environment != "local":
        raise ConfigurationError(
            "tokens are printed in `local` only; elsewhere a client asks POST /oauth/token with its own secret"
        )
    access = open_access(settings)
    secret = settings.access_folder / _LOCAL_SECRET
    try:
        return access.tokens.issue(LOCAL_CLIENT, secret.read_text(encoding="utf-8").strip(), scope)
    except (OSError, InvalidClient) as err:
        raise ConfigurationError(
            f"{secret} is not the secret of client {LOCAL_CLIENT!r}: delete {settings.access_folder} to create both again"
        ) from err


def add_client(settings: Settings, client_id: str, scopes: Sequence[str], *, tenant: str | None = None) -> str:
    """Add a client, or another secret of an existing one, to the clients file; return the secret.

    A client keeps its newest two secrets, so that the old one works until its owner has switched. Only a new client is given a
    tenant, which it keeps: a client that moves to another tenant could show that tenant's data to its old users.

    Raises:
        ConfigurationError: the name, scope or tenant is not valid, or the file cannot be read.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes or CLIENT_ID.fullmatch(client_id) is None:
        what = f"scope {unknown[0]!r}" if unknown else "no scope" if not scopes else f"client name {client_id!r}"
        raise ConfigurationError(
            f"{what} is not valid: scopes are {' '.join(SCOPES)}, a name has up to 64 letters, digits and ._-"
        )
    file = settings.access_folder / "clients.json"
    if settings.environment == "local" and settings.access.dir is None:
        _make_local(settings.access_folder)
    clients = {name: client.model_dump() for name, client in (read_clients(file) if file.exists() else {}).items()}
    secret = new_secret()
    known = clients.get(client_id, {})
    if tenant is not None and (re.fullmatch(TENANT, tenant) is None or known.get("tenant", tenant) != tenant):
        raise ConfigurationError(
            f"tenant {tenant!r} is not possible: a tenant has lower-case letters, digits and -, and client {client_id!r} keeps "
            "the tenant that it was created with"
        )
    whose = {} if tenant is None else {"tenant": tenant}
    secrets = (hash_secret(secret), *known.get("secrets", ()))[:2]
    content = json.dumps(
        {"clients": {**clients, client_id: {**known, **whose, "secrets": secrets, "scopes": scopes}}}, indent=2
    )
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    parse_clients(content, file)
    write_whole(file, content, mode=OWNER_ONLY, durable=True)
    return secret


def account_key(settings: Settings) -> bytes:
    """Return the key of the account hashes in the log; in `local` one is made on first use.

    Raises:
        ConfigurationError: none is set outside `local`.
    """
    if settings.telemetry.log_key is not None:
        return settings.telemetry.log_key.get_secret_value().encode()
    if settings.environment != "local":
        raise ConfigurationError(
            "set OMNI_LOG_KEY to 32 random characters or more, the same for all instances: it keys the account hashes "
            "in the log"
        )
    file = settings.state_dir / "keys" / "log.key"
    write_once(file, new_secret().encode())
    return file.read_bytes()


def _make_local(folder: Path) -> None:
    make_key(folder / "keys" / "local.pem")
    secret = folder / _LOCAL_SECRET
    write_once(secret, new_secret().encode())
    # Another process may have written the secret first: hash the one in the file.
    client = {
        "secrets": [hash_secret(secret.read_text(encoding="utf-8").strip())],
        "scopes": list(SCOPES),
        "tenant": LOCAL_TENANT,
    }
    content = json.dumps({"clients": {LOCAL_CLIENT: client | _LOCAL_LIMITS}}, indent=2)
    write_once(folder / "clients.json", content.encode())
