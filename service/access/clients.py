"""The clients that may get tokens: hashed secrets, scopes and limits, in one JSON file that is re-read when it changes."""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.access.errors import InvalidClient
from service.access.watched_file import Watched, stamp_of
from service.errors import ConfigurationError

Scope = Literal["summaries", "feedback", "operator"]
SCOPES: tuple[str, ...] = get_args(Scope)
_HASH_PREFIX = "sha256:"
_SecretHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
TENANT = r"^[a-z0-9][a-z0-9-]{0,61}$"
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ClientId = Annotated[str, StringConstraints(pattern=f"^{CLIENT_ID.pattern}$")]


class Client(BaseModel):
    """One client. Its limits apply per service process: average ``rate_per_s``, ``burst``, and ``concurrent`` in flight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Two while a secret is being replaced.
    secrets: tuple[_SecretHash, ...] = Field(min_length=1, max_length=2)
    scopes: tuple[Scope, ...] = Field(min_length=1)
    # The tenant whose forms, calls and results it may see; None: of no tenant.
    tenant: Annotated[str, StringConstraints(pattern=TENANT)] | None = None
    rate_per_s: float = Field(default=50.0, gt=0)
    burst: int = Field(default=100, ge=1)
    concurrent: int = Field(default=100, ge=1)


class _ClientsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: dict[_ClientId, Client]


class Clients:
    """The clients in a file. A client that is removed is refused within seconds, even with a token that is still valid."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            ConfigurationError: it is missing or not valid.
        """
        self._watched = Watched(lambda: read_clients(file), lambda: stamp_of([file]), clock=clock)

    def get(self, client_id: str) -> Client | None:
        """Return the client, or None when there is none of this id."""
        return self._watched.get().get(client_id)

    def authenticate(self, client_id: str, secret: str) -> Client:
        """Return the client whose secret this is.

        Raises:
            InvalidClient: there is no such client, or it has another secret.
        """
        client = self.get(client_id)
        given = hash_secret(secret)
        # Compare with every hash, also for an unknown client, so that the time taken reveals nothing.
        known = client.secrets if client is not None else (hash_secret(""),)
        matches = [hmac.compare_digest(given, known_hash) for known_hash in known]
        if client is None or not any(matches):
            raise InvalidClient("unknown client, or wrong secret")
        return client


def read_clients(file: Path) -> Mapping[str, Client]:
    """Return the clients of ``file`` by id.

    Raises:
        ConfigurationError: missing or not valid; the message names field and file, never a value.
    """
    try:
        return parse_clients(file.read_text(encoding="utf-8"), file)
    except OSError as err:
        raise ConfigurationError(
            f"the clients file {file} cannot be read ({type(err).__name__}): set OMNI_ACCESS_DIR; "
            "in local, `omni serve` and `omni token` make one"
        ) from err
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"the clients file {file} is not JSON: {err}") from err


def parse_clients(text: str, file: Path) -> Mapping[str, Client]:
    """Return the clients in ``text`` by id; messages name ``file`` as its source.

    Raises:
        ConfigurationError: ``text`` is not valid; the message names field and file, never a value.
    """
    try:
        return _ClientsFile.model_validate(json.loads(text)).clients
    except ValidationError as err:
        wrong = "; ".join(".".join(map(str, item["loc"])) + f": {item['msg']}" for item in err.errors())
        raise ConfigurationError(f"the clients file {file} is wrong: {wrong}") from err
    except ValueError as err:
        raise ConfigurationError(f"the clients file {file} is not JSON: {err}") from err


def new_secret() -> str:
    """Return a fresh client secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the hash of a secret that the clients file keeps.

    A fast hash is enough: secrets are 256 random bits that we generate. A slow hash protects guessable secrets, and here it
    would let an attacker use up our CPU by sending wrong secrets.
    """
    return _HASH_PREFIX + hashlib.sha256(secret.encode()).hexdigest()
