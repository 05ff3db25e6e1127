"""Shows that a client was written by an operator: a digest of its text, sealed like the token keys, in an item beside it.

Without it whoever can write the table could add a client of his own. An item holds two seals while a client is changed.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256

from service.access.items import CLIENT, AccessItems
from service.access.sealing import Sealer
from service.kit.aws.bounded import StoreThrottled
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import parse_json

SEAL = "seal/"
_MOST = 2
_ATTEMPTS = 12


def change_client(
    items: AccessItems, sealer: Sealer, client_id: str, decide: Callable[[str | None], str | None]
) -> str | None:
    """Do ``items.change`` for a client and seal what it becomes.

    Raises:
        StoreError: the table or the service that seals does not answer.
    """
    for _ in range(_ATTEMPTS):
        present = items.read().get(CLIENT + client_id)
        if (wanted := decide(present)) is None:
            return present
        # First the seal, with the one of before: a task that reads in between knows the client as it was.
        seal = sealer.seal(_digest(wanted), CLIENT + client_id)
        items.change(SEAL + client_id, partial(_with, seal))
        if items.change(CLIENT + client_id, partial(_instead, present, wanted)) == wanted:
            return wanted
    raise StoreThrottled(f"client {client_id!r} is changed by others all the time: try again")


def _with(seal: str, before: str | None) -> str:
    return json.dumps([seal, *_seals(before)][:_MOST])


def _instead(expected: str | None, wanted: str, there: str | None) -> str | None:
    return wanted if there == expected else None


def require_seal(client_id: str, texts: Mapping[str, str], sealer: Sealer) -> None:
    """Check that the client in ``texts``, all items by name, is as an operator wrote it.

    Raises:
        ConfigurationError: it is not.
        StoreError: the service that opens seals does not answer.
    """
    name = CLIENT + client_id
    for seal in _seals(texts.get(SEAL + client_id)):
        try:
            if sealer.open(seal, name) == _digest(texts[name]):
                return
        except ValueError:
            continue
    raise ConfigurationError(
        f"client {client_id!r} is not sealed as this service seals clients: nobody gets in by it. If an operator wrote it: "
        "omni clients --seal"
    )


def seal_all(items: AccessItems, sealer: Sealer) -> list[str]:
    """Seal the clients that are not sealed yet, as of an earlier version, and return their names.

    Raises:
        StoreError: the table or the service that seals does not answer.
    """
    texts, made = items.read(), []
    for name in (name.removeprefix(CLIENT) for name in texts if name.startswith(CLIENT)):
        try:
            require_seal(name, texts, sealer)
        except ConfigurationError:
            change_client(items, sealer, name, lambda present: present)
            made.append(name)
    return made


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _seals(text: str | None) -> list[str]:
    try:
        found = parse_json(text or "[]")
    except ValueError:
        return []
    return [seal for seal in found[:_MOST] if isinstance(seal, str)] if isinstance(found, list) else []
