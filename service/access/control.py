"""Decides for the HTTP layer whether a caller may proceed; built from settings; `local` makes what is missing."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import InitVar, dataclass, field
from pathlib import Path

from service.access.changes import AccessChanges
from service.access.clients import EVERY_TASK, SCOPES, Client, Clients, Revoked, hash_secret, new_secret, parse_client
from service.access.items import FolderItems, SharedItems, first_use
from service.access.keys import KeyRing
from service.access.live import LiveAccess
from service.access.sealing import KmsSealer, OwnerOnly
from service.access.seals import change_client, seal_all
from service.access.sessions import FirstUse, Sessions
from service.access.takeover import take_over
from service.access.throttle import ConversationThrottle, Throttle
from service.access.tokens import Caller, Token, Tokens, granted_scopes
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.frame.files import write_once
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log

LOCAL_CLIENT = "local"
LOCAL_TENANT = "demo-tenant"  # owns the sample forms and calls
# All scopes there were when a local client may have been made: before tasks had scopes, before tools had one, before handovers
# had one, before calls and forms had theirs, and before tenants had one.
_FORMER_SCOPES = (
    ("summaries", "feedback", "operator"),
    ("summaries", "feedback", "operator", EVERY_TASK),
    ("summaries", "feedback", "operator", "tools", EVERY_TASK),
    ("summaries", "feedback", "operator", "tools", "handovers", EVERY_TASK),
    ("summaries", "feedback", "operator", "tools", "handovers", "calls", "forms", EVERY_TASK),
)
# The local client also runs the load test, whose largest scenario has 1,000 requests in flight.
_LOCAL_LIMITS = {"rate_per_s": 1000, "burst": 2000, "concurrent": 1000}


def _nothing() -> None:
    """Refreshes access that nobody changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Tokens and limits of one process."""

    tokens: Tokens
    refresh: Callable[[], None] = _nothing  # reads clients and keys again; blocking, raises StoreError
    throttle: Throttle = field(default_factory=Throttle)
    conversations: ConversationThrottle = field(default_factory=ConversationThrottle)
    is_first_use: InitVar[FirstUse | None] = None
    sessions: Sessions = field(init=False)

    def __post_init__(self, is_first_use: FirstUse | None) -> None:
        sessions = Sessions(self.tokens, timer=time.monotonic, is_first_use=is_first_use)
        object.__setattr__(self, "sessions", sessions)

    def verify(self, authorization: str | None, scope: str) -> Caller:
        """Return the caller that sent this header and has ``scope``.

        Raises:
            TokenRefused: no token, or one that is not valid.
            ScopeMissing: a valid token without the scope.
        """
        caller = self.tokens.verify(authorization)
        caller.require(scope)
        return caller

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Count one request of the caller as in flight while the block runs; one by a browser's token counts for both.

        Raises:
            LimitExceeded: the browser or the client has too many at once or too many per second.
        """
        with ExitStack() as held:
            if caller.browser is not None:
                held.enter_context(self.conversations.admit(caller.browser))
            held.enter_context(self.throttle.admit(caller))
            yield

    def take_for_bytes(self, caller: Caller, size: int) -> None:
        """Charge an admitted caller for a body of ``size`` bytes, a browser as well as its client."""
        if caller.browser is not None:
            self.conversations.take_for_bytes(caller.browser, size)
        self.throttle.take_for_bytes(caller.client_id, size)


def open_access(
    settings: Settings, shared: SharedState | None = None, *, now: Callable[[], float] = time.time
) -> Access:
    """Read clients and token keys; in `local` a client and a key are made if there are none.

    ``shared`` is the table to use; None opens the one of ``settings``.

    Raises:
        ConfigurationError: they cannot be read, or there is no token key; the message says what to do.
    """
    shared = shared or open_shared_state(settings)
    live = _open_live(settings, shared, copy=settings.state_dir / "access" / "copy.json")
    try:
        clients, keys = _make_ready(settings, _changes_of(live, now))
        if clients or keys:
            log(Event.ACCESS_TAKEN_OVER, clients=clients, keys=keys)
    except StoreError as err:
        log(Event.ACCESS_UNREADABLE, reason=str(err))  # what is stored already may still do
    live.start()
    if not live.keys():
        raise ConfigurationError(
            "there is no token key that KMS opens: omni token-keys --rotate makes the first one; see the log for those that "
            "could not be opened"
        )
    is_first_use = None if shared is None else first_use(shared, now)
    return Access(tokens=_tokens(settings, live, now), refresh=live.refresh, is_first_use=is_first_use)


def open_changes(settings: Settings, *, now: Callable[[], float] = time.time) -> AccessChanges:
    """Return what the command line changes clients and token keys with.

    Raises:
        ConfigurationError: a file that is to be taken over is not valid.
        StoreError: the table does not answer.
    """
    changes = _changes_of(_open_live(settings, open_shared_state(settings), copy=None), now)
    _make_ready(settings, changes)
    return changes


def local_token(settings: Settings, scope: str | None = None) -> Token:
    """Return a token for the local client.

    It is signed here: whoever can open this machine's token keys needs no secret.

    Raises:
        ConfigurationError: not in `local`, or the local client was revoked.
        StoreError: clients and token keys cannot be read.
        InvalidScope: no such scope.
    """
    if settings.environment != "local":
        raise ConfigurationError(
            "tokens are printed in `local` only; elsewhere a client asks POST /oauth/token with its own secret"
        )
    live = _open_live(settings, open_shared_state(settings), copy=None)
    _make_ready(settings, _changes_of(live, time.time))
    live.refresh()
    tokens = _tokens(settings, live, time.time)
    client = tokens.clients.get(LOCAL_CLIENT)
    if client is None:
        raise ConfigurationError(f"client {LOCAL_CLIENT!r} was revoked: omni client {LOCAL_CLIENT} adds it again")
    return tokens.sign(LOCAL_CLIENT, granted_scopes(client, scope))


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


def _tokens(settings: Settings, live: LiveAccess, now: Callable[[], float]) -> Tokens:
    issuer, audience = settings.access.issuer, settings.access.audience
    return Tokens(KeyRing(live.keys, now=now), Clients(live.clients), issuer=issuer, audience=audience, now=now)


def _open_live(settings: Settings, shared: SharedState | None, *, copy: Path | None) -> LiveAccess:
    if shared is None:
        return LiveAccess(FolderItems(settings.access_folder / "items"), OwnerOnly())
    from service.kit.aws.clients import client

    sealer = KmsSealer(lambda: client("kms", settings), settings.access.kms_key)
    return LiveAccess(SharedItems(shared), sealer, copy=copy)


def _changes_of(live: LiveAccess, now: Callable[[], float]) -> AccessChanges:
    return AccessChanges(items=live.items, sealer=live.sealer, now=now)


def _make_ready(settings: Settings, changes: AccessChanges) -> tuple[int, int]:
    """Take over the files of before and return how many clients and keys; in `local` also make what is missing."""
    taken = take_over(settings.access_folder, changes.items, changes.sealer)
    if settings.environment != "local":
        return taken
    seal_all(changes.items, changes.sealer)  # those of an earlier version; elsewhere an operator does it
    if settings.access.dir is not None:
        return taken
    changes.make_first_key()
    change_client(changes.items, changes.sealer, LOCAL_CLIENT, _local_client)
    return taken


def _local_client(present: str | None) -> str | None:
    """Return the stored local client that may do everything; None if the ``present`` one needs no change."""
    scopes = (*SCOPES, EVERY_TASK)
    if present is None:
        secrets = (hash_secret(new_secret()),)
        client = Client(secrets=secrets, scopes=scopes, tenant=LOCAL_TENANT, machine=True, **_LOCAL_LIMITS)
        return client.model_dump_json()
    known = parse_client(present, f"client {LOCAL_CLIENT!r}")
    if isinstance(known, Revoked) or known.scopes not in _FORMER_SCOPES:
        return None
    return known.model_copy(update={"scopes": scopes, "machine": True}).model_dump_json()
