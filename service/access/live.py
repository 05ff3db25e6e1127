"""The clients and token keys that a process goes by: read once at the start, and again whenever another task changes them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.access.clients import Client, Revoked, parse_client
from service.access.items import CLIENT, KEY, SUSPENDED, AccessItems
from service.access.keys import TokenKey, open_key
from service.access.sealing import Sealer
from service.access.seals import require_seal
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.telemetry.log import Event, log


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    clients: Mapping[str, Client] = field(default_factory=dict)
    keys: Mapping[str, TokenKey] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class LiveAccess:
    """Holds what was read last; ``copy`` is a file that lets a process start while the table does not answer.

    A key or client of the table counts once KMS has opened what is sealed of it: whoever can write the table alone lets nobody
    in. The copy is as safe as the table: secrets are hashes, and private keys are sealed.
    """

    def __init__(self, items: AccessItems, sealer: Sealer, *, copy: Path | None = None) -> None:
        self.items = items
        self.sealer = sealer
        self._copy = copy
        self._known = _Known()
        self._proven: dict[str, str] = {}  # what of each item KMS has vouched for

    def clients(self) -> Mapping[str, Client]:
        """Return the clients by id, without revoked ones and those of a suspended tenant."""
        return self._known.clients

    def keys(self) -> Mapping[str, TokenKey]:
        """Return the token keys by id."""
        return self._known.keys

    def start(self) -> None:
        """Read for the first time, from the copy if the table does not answer.

        Raises:
            ConfigurationError: it does not, and there is no copy.
        """
        copied = self._copied()
        self._proven = dict(copied["proven"])
        try:
            self.refresh()
        except StoreError as err:
            log(Event.ACCESS_UNREADABLE, reason=str(err))
            if self._known.texts:  # the items were read, and one could not be opened
                return
            if not copied["texts"]:
                raise ConfigurationError(f"clients and token keys cannot be read: {err}") from err
            with suppress(StoreError):
                self._take(copied["texts"])

    def refresh(self) -> None:
        """Read again. Until it succeeds, what was known before stays in use.

        Raises:
            StoreError: the table did not answer, or a token key or a client's seal could not be opened; then the rest is in use.
        """
        texts = dict(self.items.read())
        before = texts == self._known.texts, dict(self._proven)
        try:
            self._take(texts)
        finally:
            if before != (True, self._proven) and self._copy is not None:
                with suppress(OSError):  # only a cold start needs the copy
                    self._copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    kept = json.dumps({"texts": texts, "proven": self._proven})
                    write_whole(self._copy, kept, mode=OWNER_ONLY, durable=True)

    def _take(self, texts: Mapping[str, str]) -> None:
        clients: dict[str, Client] = {}
        keys: dict[str, TokenKey] = {}
        later: dict[str, Client | TokenKey] = {}
        suspended = {name.removeprefix(SUSPENDED) for name in texts if name.startswith(SUSPENDED)}
        for name, text in texts.items():
            try:
                if name.startswith(CLIENT):
                    client = parse_client(text, f"client {name.removeprefix(CLIENT)!r}")
                    if isinstance(client, Revoked) or client.tenant in suspended:
                        continue
                    if self._proven.get(name) == text:
                        clients[name.removeprefix(CLIENT)] = client
                    else:
                        later[name] = client
                elif name.startswith(KEY):
                    key = self._key(name.removeprefix(KEY), text)
                    if self._proven.get(name) == key.proof:
                        keys[name.removeprefix(KEY)] = key
                    if not key.opened and (key.item.sealed is not None or key.item.ends_at is None):
                        later[name] = key
            except ConfigurationError as err:
                # One damaged item does not stop the others; what it held is refused.
                log(Event.ACCESS_UNREADABLE, reason=str(err))
        self._proven = {name: proof for name, proof in self._proven.items() if name in texts}
        # A revocation must not wait for KMS: all of this is in use before anything is opened.
        self._known = _Known(clients=clients, keys=keys, texts=dict(texts))
        self._open_all(later)

    def _open_all(self, later: Mapping[str, Client | TokenKey]) -> None:
        """Open what KMS has not vouched for yet, and use it."""
        failure: StoreError | None = None
        for name, found in sorted(later.items(), key=lambda entry: not entry[0].startswith(KEY)):
            try:
                self._open(name, found)
            except ConfigurationError as err:
                log(Event.ACCESS_UNREADABLE, reason=str(err))
            except StoreError as err:
                failure = err
                if not hasattr(err.__cause__, "response"):
                    break  # KMS does not answer at all: the others are left for the next time
        if failure is not None:
            raise failure

    def _open(self, name: str, found: Client | TokenKey) -> None:
        known = self._known
        text = known.texts[name]
        if isinstance(found, Client):
            require_seal(name.removeprefix(CLIENT), known.texts, self.sealer)
            self._proven[name] = text
            self._known = replace(known, clients={**known.clients, name.removeprefix(CLIENT): found})
            return
        key = open_key(name.removeprefix(KEY), text, self.sealer)
        self._proven[name] = key.proof
        self._known = replace(known, keys={**known.keys, name.removeprefix(KEY): key})

    def _key(self, name: str, text: str) -> TokenKey:
        # A private half that was opened before is not opened again, also when the key was given an end since: KMS bills each
        # call and may be down, and a verified token stays verified.
        key, before = open_key(name, text, None), self._known.keys.get(name)
        if before is None or (before.item.public, before.item.sealed) != (key.item.public, key.item.sealed):
            return key
        return replace(key, public=before.public, signing=before.signing, opened=before.opened)

    def _copied(self) -> Mapping[str, Mapping[str, str]]:
        nothing: dict[str, dict[str, str]] = {"texts": {}, "proven": {}}
        try:
            found = json.loads(self._copy.read_text(encoding="utf-8")) if self._copy is not None else None
        except (OSError, ValueError):
            return nothing
        return found if isinstance(found, dict) and found.keys() == nothing.keys() else nothing
