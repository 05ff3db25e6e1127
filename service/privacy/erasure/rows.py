"""Searches a table of the warehouse, and tells for objects of the bucket whether the warehouse knows whose they are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

from service.loading.loader import Opened
from service.loading.queries import within
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place
from service.privacy.erasure.store import FoundRecord
from service.warehouse.events import WarehouseEvent

_AT_ONCE = 500


class SearchedRows:
    """See ``SearchedPlace``. ``opened`` opens the warehouse for the length of a call; None: there is none yet."""

    def __init__(self, event: type[WarehouseEvent], place: Place, opened: Opened | None) -> None:
        self.name, self.place = f"warehouse {event.table}", place
        self._event, self._opened = event, opened
        self.is_there = opened is not None

    def find(self, ids: CustomerIds) -> Iterator[FoundRecord]:
        """See ``SearchedPlace.find``."""
        if self._opened is None:
            return
        key = list(self._event.key)
        with closing(self._opened()) as warehouse:
            seen: set[str] = set()
            for column, part in _asked(self.place, ids):
                names, parameters = within(part)
                # A contact's id holds the account's hash in place of the number itself.
                sql = f"SELECT * FROM {self._event.table} WHERE {column} IN {names}"  # noqa: S608 - our own names
                for row in warehouse.query(sql, parameters).astype(object).to_dict("records"):
                    plain = {str(name): None if value != value else str(value) for name, value in row.items()}
                    at = json.dumps([column, plain[column], *(plain[name] for name in key)])
                    if at not in seen:
                        seen.add(at)
                        yield FoundRecord(at=at, content=plain)

    def delete(self, found: Sequence[FoundRecord]) -> None:
        """See ``SearchedPlace.delete``; all rows with the value that found one go with it."""
        if self._opened is None or not found:
            return
        of: dict[str, set[str]] = {}
        for one in found:
            column, value, *_ = json.loads(one.at)
            of.setdefault(column, set()).add(value)
        with closing(self._opened()) as warehouse, warehouse.transaction():
            for column, values in of.items():
                for part in _parts(sorted(values)):
                    warehouse.remove(self._event, column, part)


class LoadedObjects:
    """Which objects of the bucket are rows of the warehouse, and which of these are a customer's."""

    def __init__(self, opened: Opened | None, tables: Sequence[tuple[type[WarehouseEvent], Place]]) -> None:
        self._opened = opened
        self._tables = [one for one in tables if "source_key" in one[0].model_fields]

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those keys whose rows were loaded; an object that was not, or is a copy, has to be read."""
        if self._opened is None:
            return set()
        found: set[str] = set()
        with closing(self._opened()) as warehouse:
            for part in _parts(keys):
                names, parameters = within(part)
                sql = f"SELECT object_key FROM omni_loads WHERE outcome = 'loaded' AND object_key IN {names}"  # noqa: S608
                found |= set(warehouse.query(sql, parameters)["object_key"])
        return found

    def of(self, ids: CustomerIds) -> set[str]:
        """Return the keys of a customer's loaded objects."""
        if self._opened is None:
            return set()
        found: set[str] = set()
        with closing(self._opened()) as warehouse:
            for event, place in self._tables:
                for column, part in _asked(place, ids):
                    names, parameters = within(part)
                    sql = f"SELECT source_key FROM {event.table} WHERE {column} IN {names}"  # noqa: S608 - our own names
                    found |= set(warehouse.query(sql, parameters)["source_key"].dropna())
        return found


def _asked(place: Place, ids: CustomerIds) -> Iterator[tuple[str, list[str]]]:
    """Yield each column that may hold one of ``ids``, with some of the values to look for."""
    for column, kinds in place.found_by.items():
        for part in _parts(sorted(ids.of(*kinds))):
            yield column, part


def _parts(values: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield list(values[start : start + _AT_ONCE])
