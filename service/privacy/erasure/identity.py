"""The ids of one customer, which grow while records are found, and whether a record is this customer's."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from service.core.unit.tenant import Tenant
from service.kit.telemetry.fields import account_hash, pseudonym_of
from service.privacy.erasure.places import OF_TENANTS, IdKind, Place

KINDS: tuple[IdKind, ...] = get_args(IdKind)
_PSEUDONYMOUS = frozenset({"account", "contact", "conversation"})
_IN_KEYS = frozenset({"call", "request", "contact"})
_PARTS = re.compile(r"[/#_.]")
_SHORTEST_IN_KEY = 8
# What may follow an id that is a file's name: its ending, or Amazon Connect's time of the recording.
_AFTER_NAME = re.compile(r"\Z|\.|_\d{8}")
_CALL = "CALL#"  # in front of a call's id in the calls table
# A shorter text may be somebody else's answer, too.
_SHORTEST_TEXT = 40
_DEEPEST_TENANT = 2  # of a record in an item's text, or of a record's inputs


class CustomerIds:
    """Ids by kind. Keyed hashes and pseudonyms of accounts, contacts and conversations are derived."""

    def __init__(self, known: Mapping[str, list[str]] | None = None) -> None:
        """``known`` is what ``plain`` returned."""
        self._of: dict[str, set[str]] = {kind: set() for kind in KINDS}
        for kind, values in (known or {}).items():
            self._of[kind].update(values)

    def learn(self, kind: IdKind, value: str) -> None:
        """Add an id; an empty one, or a text that may be another customer's, is left out."""
        if not value or (kind == "text" and len(value) < _SHORTEST_TEXT):
            return
        self._of[kind].add(value)
        if kind in _PSEUDONYMOUS:
            self._of["keyed"] |= {account_hash(value), pseudonym_of(value)}

    def of(self, *kinds: IdKind) -> set[str]:
        """Return the ids of these kinds."""
        return {value for kind in kinds for value in self._of[kind]}

    def plain(self) -> dict[str, list[str]]:
        """Return all ids as JSON types, sorted: equal ids give an equal result."""
        return {kind: sorted(values) for kind, values in self._of.items() if values}

    def owns(self, place: Place, record: Mapping[str, Any]) -> bool:
        """Return whether a record of ``place`` is this customer's."""
        for names, value in leaves(record):
            for field, kinds in place.found_by.items():
                if field in names and any(self._is(kind, value) for kind in kinds if _counts(kind, field, names)):
                    return True
        return False

    def learn_from(self, place: Place, record: Mapping[str, Any]) -> None:
        """Add the further ids that a found record holds."""
        for names, value in leaves(record):
            for field, kind in place.learns.items():
                if names and names[-1] == field:
                    self.learn(kind, value.removeprefix(_CALL))

    def _is(self, kind: IdKind, value: str) -> bool:
        if value in self._of[kind] or (kind == "phone" and value.removeprefix("+") in self._of[kind]):
            return True
        if kind == "tenant":
            return any(Tenant(tenant).owns(value) for tenant in self._of[kind])
        if kind not in _IN_KEYS or not _PARTS.search(value):
            return False
        # Keys of objects and items hold an id among other words; a short one may be a word of somebody else's key.
        words = {part for part in _PARTS.split(value) if len(part) >= _SHORTEST_IN_KEY}
        return not words.isdisjoint(self._of[kind]) or any(_names(value, one) for one in self._of[kind])


def _names(key: str, wanted: str) -> bool:
    """Return whether a key's file is called like an id, which may itself hold what separates the words of a key."""
    at = key.rfind(wanted)
    begins = at == 0 or (at > 0 and key[at - 1] == "/")
    after = at + len(wanted)
    return begins and "/" not in key[after:] and _AFTER_NAME.match(key, after) is not None


class TenantIds(CustomerIds):
    """Ids that lead to one tenant's records: what another tenant may use as well, such as an account's number, is not learned."""

    def learn(self, kind: IdKind, value: str) -> None:
        """See ``CustomerIds.learn``."""
        if kind in OF_TENANTS:
            super().learn(kind, value)


def _counts(kind: IdKind, field: str, names: tuple[str, ...]) -> bool:
    """Return whether a field so deep in a record may say whose it is: below the top, words of callers could name any tenant."""
    return kind != "tenant" or (names[-1] == field and len(names) <= _DEEPEST_TENANT)


def leaves(record: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a record with the names of the fields that it is under; JSON in a text is opened."""
    if isinstance(record, Mapping):
        for name, value in record.items():
            yield from leaves(value, (*names, str(name)))
    elif isinstance(record, list | tuple | set):
        for value in record:
            yield from leaves(value, names)
    elif isinstance(record, str):
        yield names, record
        if record[:1] in ("{", "["):
            try:
                opened = json.loads(record)
            except ValueError:
                return
            yield from leaves(opened, names)
