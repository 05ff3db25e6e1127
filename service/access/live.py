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

    The copy is as safe as the table: secrets are hashes, and private keys are sealed.
    """

    def __init__(self, items: AccessItems, sealer: Sealer, *, copy: Path | None = None) -> None:
        self.items = items
        self.sealer = sealer
        self._copy = copy
        self._known = _Known()

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
        try:
            self.refresh()
        except StoreError as err:
            log(Event.ACCESS_UNREADABLE, reason=str(err))
            if self._known.texts:  # the items were read, and a key could not be opened
                return
            copied = self._copied()
            if copied is None:
                raise ConfigurationError(f"clients and token keys cannot be read: {err}") from err
            with suppress(StoreError):
                self._take(copied)

    def refresh(self) -> None:
        """Read again. Until it succeeds, what was known before stays in use.

        Raises:
            StoreError: the table did not answer, or a token key could not be opened; then the rest is in use already.
        """
        texts = dict(self.items.read())
        changed = texts != self._known.texts
        self._take(texts)
        if changed and self._copy is not None:
            with suppress(OSError):  # only a cold start needs the copy
                self._copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_whole(self._copy, json.dumps(texts), mode=OWNER_ONLY, durable=True)

    def _take(self, texts: Mapping[str, str]) -> None:
        clients: dict[str, Client] = {}
        keys: dict[str, TokenKey] = {}
        sealed: list[str] = []
        suspended = {name.removeprefix(SUSPENDED) for name in texts if name.startswith(SUSPENDED)}
        for name, text in texts.items():
            try:
                if name.startswith(CLIENT):
                    client = parse_client(text, f"client {name.removeprefix(CLIENT)!r}")
                    if not isinstance(client, Revoked) and client.tenant not in suspended:
                        clients[name.removeprefix(CLIENT)] = client
                elif name.startswith(KEY):
                    key = keys[name.removeprefix(KEY)] = self._key(name.removeprefix(KEY), text)
                    if key.signing is None and key.item.sealed is not None:
                        sealed.append(name)
            except ConfigurationError as err:
                # One damaged item does not stop the others; what it held is refused.
                log(Event.ACCESS_UNREADABLE, reason=str(err))
        # A revocation must not wait for KMS: all of this is in use before a key is opened.
        self._known = _Known(clients=clients, keys=keys, texts=dict(texts))
        for name in sealed:  # at the first that KMS does not answer for, the others are left for the next time
            self._open(name.removeprefix(KEY), texts[name])

    def _open(self, name: str, text: str) -> None:
        known = self._known
        keys = dict(known.keys)
        try:
            keys[name] = open_key(name, text, self.sealer)
        except ConfigurationError as err:
            log(Event.ACCESS_UNREADABLE, reason=str(err))
            del keys[name]
        self._known = replace(known, keys=keys)

    def _key(self, name: str, text: str) -> TokenKey:
        # A private half that was opened before is not opened again, also when the key was given an end since: KMS bills each
        # call and may be down, and a verified token stays verified.
        key, before = open_key(name, text, None), self._known.keys.get(name)
        if before is None or (before.item.public, before.item.sealed) != (key.item.public, key.item.sealed):
            return key
        return replace(key, public=before.public, signing=before.signing)

    def _copied(self) -> Mapping[str, str] | None:
        try:
            found = json.loads(self._copy.read_text(encoding="utf-8")) if self._copy is not None else None
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None
