"""The clients that may get tokens: hashed secrets, scopes and limits."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.access.errors import InvalidClient
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import parse_json

SCOPES = (
    "summaries",
    "feedback",
    "operator",
    "tools",
    "handovers",
    "calls",
    "forms",
    "tenants",
)  # beside one for each task
OPERATOR = "operator"
# What these open is of every tenant, so no client of a tenant may have them.
WHOLE_SERVICE = frozenset({OPERATOR, "tenants"})
EVERY_TASK = "task:*"
# A task's scope is for asking this task alone; with summaries came the two tasks that are older than scopes of tasks, with
# operator the calls and forms of the client's tenant, which are older than their scopes.
_COMES_WITH: Mapping[str, frozenset[str]] = {
    "summaries": frozenset({"task:summarize", "task:scorecard"}),
    OPERATOR: frozenset({"calls", "forms"}),
}
_SCOPE = r"(summaries|feedback|operator|tools|handovers|calls|forms|tenants|task:(\*|[a-z][a-z0-9_]{0,62}))"
Scope = Annotated[str, StringConstraints(pattern=f"^{_SCOPE}$")]
_HASH_PREFIX = "sha256:"
_SecretHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
TENANT = r"^[a-z0-9][a-z0-9-]{0,61}$"
# What buckets hold below a tenant's folder, and `tmp`, the folder of all tenants' raw transcriptions.
_FOLDERS = frozenset(
    {"calls", "compact", "dead", "earlier", "exports", "rescored", "shadow", "tmp", "transcripts", "unusable"}
)
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_scope(text: str) -> bool:
    """Return whether ``text`` can be a scope; whether its task exists is not asked."""
    return re.fullmatch(_SCOPE, text) is not None


def unfit_tenant(name: str) -> str | None:
    """Return why no new tenant can have this id, or None; a tenant of an earlier version may have it."""
    if re.fullmatch(TENANT, name) is None or name.endswith("-"):
        return "it has lower-case letters, digits and hyphens, and neither begins nor ends with a hyphen"
    if name in _FOLDERS:
        return "buckets have a folder of that name, which is no tenant's"
    if not re.search("[a-z]", name):
        return "it has no letter, so its folder would look like one of a year"
    return None


def task_scope(task: str) -> str:
    """Return the scope that asking ``task`` needs."""
    return f"task:{task}"


def allows(scopes: Collection[str], wanted: str) -> bool:
    """Return whether ``scopes`` hold ``wanted``, or one that it comes with."""
    if wanted in scopes or any(wanted in _COMES_WITH.get(scope, ()) for scope in scopes):
        return True
    return wanted.startswith("task:") and EVERY_TASK in scopes


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
    # Seconds since 1970: of a client that was revoked and added again, older tokens stay refused.
    tokens_from: float = 0.0
    # The client of a developer's machine: it sees the whole service although it belongs to the sample tenant.
    machine: bool = Field(default=False, exclude_if=lambda machine: not machine)

    @property
    def sees_whole_service(self) -> bool:
        """Whether the scopes of the whole service open anything for it."""
        return self.tenant is None or self.machine


class Revoked(BaseModel):
    """What is left of a revoked client: a file of clients that is found later does not bring it back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revoked_at: float  # seconds since 1970


class Clients:
    """The clients of ``clients``, which returns them by id and may return others later."""

    def __init__(self, clients: Callable[[], Mapping[str, Client]]) -> None:
        self._clients = clients

    def get(self, client_id: str) -> Client | None:
        """Return the client, or None when there is none of this id."""
        return self._clients().get(client_id)

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


def parse_client(text: str, source: str) -> Client | Revoked:
    """Return the client of a stored item; messages name ``source``.

    Raises:
        ConfigurationError: ``text`` is not valid; the message names field and source, never a value.
    """
    try:
        found = parse_json(text)
        if isinstance(found, dict) and "revoked_at" in found:
            return Revoked.model_validate(found)
        return Client.model_validate(found)
    except ValidationError as err:
        wrong = "; ".join(".".join(map(str, item["loc"])) + f": {item['msg']}" for item in err.errors())
        raise ConfigurationError(f"{source} is wrong: {wrong}") from None
    except ValueError as err:
        raise ConfigurationError(f"{source} is not JSON") from err


def new_secret() -> str:
    """Return a fresh client secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the hash of a secret that is stored.

    A fast hash is enough: secrets are 256 random bits that we generate. A slow hash protects guessable secrets, and here it
    would let an attacker use up our CPU by sending wrong secrets.
    """
    return _HASH_PREFIX + hashlib.sha256(secret.encode()).hexdigest()
