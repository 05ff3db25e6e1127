"""Changes to clients and token keys, as the command line makes them; every task knows them within seconds."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from service.access.clients import (
    CLIENT_ID,
    EVERY_TASK,
    SCOPES,
    WHOLE_SERVICE,
    Client,
    Revoked,
    hash_secret,
    is_scope,
    new_secret,
    parse_client,
    unfit_tenant,
)
from service.access.items import CLIENT, KEY, SUSPENDED, AccessItems
from service.access.keys import KeyItem, new_key
from service.access.sealing import Sealer
from service.access.seals import SEAL, change_client
from service.access.tokens import LEEWAY_S, LIFETIME_S
from service.kit.frame.errors import ConfigurationError

# A new key signs only when every task has had time to learn of it: else the others would refuse its first tokens.
SPREAD_S = 10.0


_FIRST = "made/first-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChanges:
    """Writes to ``items``; ``now`` is seconds since 1970. Every method raises ``StoreError`` when the table does not answer."""

    items: AccessItems
    sealer: Sealer
    now: Callable[[], float]

    def add_client(self, client_id: str, scopes: Sequence[str], *, tenant: str | None = None) -> str:
        """Add a client, or another secret of an existing one, and return the secret.

        A client keeps its newest two secrets, so that the old one works until its owner has switched. Only a new client is
        given a tenant, which it keeps: a client that moves to another tenant could show that tenant's data to its old users.

        Raises:
            ConfigurationError: the name, scope or tenant is not valid, or a tenant's client would see the whole service.
        """
        unknown = sorted(scope for scope in set(scopes) if not is_scope(scope))
        if unknown or not scopes or CLIENT_ID.fullmatch(client_id) is None:
            what = f"scope {unknown[0]!r}" if unknown else "no scope" if not scopes else f"client name {client_id!r}"
            raise ConfigurationError(
                f"{what} is not valid: scopes are {' '.join(SCOPES)} task:<name> {EVERY_TASK}, "
                f"a name has up to 64 letters, digits and ._-"
            )
        secret = new_secret()

        def with_secret(text: str | None) -> str:
            known = None if text is None else parse_client(text, f"client {client_id!r}")
            fields = known.model_dump() if isinstance(known, Client) else {}
            if isinstance(known, Revoked):
                fields["tokens_from"] = known.revoked_at
            if tenant is not None and tenant != fields.get("tenant"):
                if "tenant" in fields:
                    raise ConfigurationError(f"client {client_id!r} keeps the tenant that it was created with")
                if (why := unfit_tenant(tenant)) is not None:
                    raise ConfigurationError(f"no tenant can be called {tenant!r}: {why}")
            whose = {} if tenant is None else {"tenant": tenant}
            secrets = (hash_secret(secret), *fields.get("secrets", ()))[:2]
            client = Client.model_validate(fields | whose | {"secrets": secrets, "scopes": tuple(scopes)})
            if (whole := WHOLE_SERVICE.intersection(client.scopes)) and not client.sees_whole_service:
                raise ConfigurationError(
                    f"client {client_id!r} of tenant {client.tenant!r} may not have scope {min(whole)}, which opens "
                    "the whole service: give it calls and forms, or make a client without a tenant"
                )
            return client.model_dump_json()

        change_client(self.items, self.sealer, client_id, with_secret)
        return secret

    def revoke_client(self, client_id: str) -> None:
        """Refuse a client and all its tokens.

        Raises:
            ConfigurationError: there is no such client.
        """

        def revoked(text: str | None) -> str:
            if text is None or self._is_revoked(client_id, text):
                raise ConfigurationError(f"there is no client {client_id!r}: omni clients lists them")
            return Revoked(revoked_at=self.now()).model_dump_json()

        self.items.change(CLIENT + client_id, revoked)
        self.items.remove(SEAL + client_id)

    def _is_revoked(self, client_id: str, text: str) -> bool:
        with suppress(ConfigurationError):  # a damaged client can be revoked
            return isinstance(parse_client(text, f"client {client_id!r}"), Revoked)
        return False

    def suspend_tenant(self, tenant: str) -> None:
        """Refuse all clients of a tenant, also those that are added later, until ``resume_tenant``."""
        self.items.change(SUSPENDED + tenant, lambda _: json.dumps({"suspended_at": self.now()}))

    def resume_tenant(self, tenant: str) -> None:
        """Let the clients of a tenant in again."""
        self.items.remove(SUSPENDED + tenant)

    def is_suspended(self, tenant: str) -> bool:
        """Return whether the clients of a tenant are refused."""
        return SUSPENDED + tenant in self.items.read()

    def revoke_clients_of(self, tenant: str) -> list[str]:
        """Refuse all clients of a tenant for good, and return their names; what stays of each names no tenant."""
        names = [name for name, found in self.clients().items() if isinstance(found, Client) and found.tenant == tenant]
        for name in names:
            self.revoke_client(name)
        return names

    def clients(self) -> Mapping[str, Client | Revoked]:
        """Return all clients by id, revoked ones included.

        Raises:
            ConfigurationError: one of them is damaged.
        """
        return {
            name.removeprefix(CLIENT): parse_client(text, f"client {name.removeprefix(CLIENT)!r}")
            for name, text in self.items.read().items()
            if name.startswith(CLIENT)
        }

    def token_keys(self) -> Mapping[str, KeyItem]:
        """Return the token keys by id, without those that have ended and what cannot be read."""
        texts = {name.removeprefix(KEY): text for name, text in self.items.read().items() if name.startswith(KEY)}
        found = {name: key for name, text in texts.items() if (key := _key(text)) is not None}
        return {name: key for name, key in found.items() if key.ends_at is None or key.ends_at > self.now()}

    def make_first_key(self) -> None:
        """Add a key if there is none; of several tasks that do so at the same time, one's key stays."""
        if self.token_keys():
            return
        name = self._add_key(self.now())
        chosen = self.items.change(_FIRST, lambda present: None if present in self.token_keys() else name)
        if chosen != name:
            self.items.remove(KEY + name)

    def rotate_key(self) -> str:
        """Add a key that signs in ten seconds, let the others end when their last token has expired, and return its id.

        Without another key it signs at once. Of keys that have ended the private half is deleted; the rest stays, so that a
        key file of before does not bring them back.
        """
        before = self.token_keys()
        for name in self.items.read():
            if name.startswith(KEY) and name.removeprefix(KEY) not in before:
                self.items.change(name, _without_private_half)
        starts = self.now() + (SPREAD_S if before else 0.0)
        name = self._add_key(starts)
        for other in before:
            self._end_key(other, starts + LIFETIME_S + 2 * LEEWAY_S)
        return name

    def revoke_key(self, key_id: str) -> str | None:
        """Refuse every token of a key from now on; return the id of the key that was made because no other was left to sign.

        Raises:
            ConfigurationError: there is no such key.
        """
        keys = self.token_keys()
        if key_id not in keys and self._is_damaged_key(key_id):
            self.items.remove(KEY + key_id)
            return None
        if key_id not in keys:
            raise ConfigurationError(f"there is no token key {key_id!r}: omni token-keys lists them")
        left = [name for name, key in keys.items() if name != key_id and key.sealed is not None and key.ends_at is None]
        made = None if left else self._add_key(self.now())
        self._end_key(key_id, self.now())
        return made

    def _is_damaged_key(self, key_id: str) -> bool:
        text = self.items.read().get(KEY + key_id)
        return text is not None and _key(text) is None

    def _add_key(self, signs_from: float) -> str:
        name, item = new_key(self.sealer, signs_from=signs_from)
        self.items.change(KEY + name, lambda _: item.model_dump_json())
        return name

    def _end_key(self, name: str, ends_at: float) -> None:
        def ended(text: str | None) -> str | None:
            item = None if text is None else _key(text)
            if item is None or (item.ends_at is not None and item.ends_at <= ends_at):
                return None
            return item.model_copy(update={"ends_at": ends_at}).model_dump_json()

        self.items.change(KEY + name, ended)


def _key(text: str) -> KeyItem | None:
    """Return the key of an item; None for what cannot be read, by which nobody gets in."""
    with suppress(ValidationError):
        return KeyItem.model_validate_json(text)
    return None


def _without_private_half(text: str | None) -> str | None:
    item = None if text is None else _key(text)
    return None if item is None or item.sealed is None else item.model_copy(update={"sealed": None}).model_dump_json()
