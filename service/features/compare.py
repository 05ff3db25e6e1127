"""Compares what is served with what the warehouse says, and says why they differ."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from service.features.compute import feature_rows, scoped
from service.features.definitions import FeatureView
from service.features.history import SOURCE, values_at
from service.features.online import FORM, FeatureRow, served
from service.kit.aws.stores import FEATURES
from service.kit.records.conditions import equal
from service.kit.records.rows import Rows
from service.warehouse.port import Warehouse

# new, changed, late: right when it was computed, the next run brings it. gone, wrong: somebody has to look.
FeatureDifference = Literal["new", "changed", "late", "missing", "gone", "wrong"]
MEANING: Mapping[FeatureDifference, str] = {
    "new": "customers who became known after the last run",
    "changed": "values that changed after the last run",
    "late": "values that the last run did not know, because an event was loaded after it",
    "missing": "customers whom the last run should have written",
    "gone": "customers of whom the warehouse holds nothing any more",
    "wrong": "values that nothing explains",
}
UNEXPLAINED: frozenset[FeatureDifference] = frozenset({"missing", "gone", "wrong"})
_SHOWN = 5


@dataclass(slots=True, kw_only=True)
class FeatureBalance:
    """How a version's served rows compare with the warehouse's. ``examples``: some rows of each difference."""

    view: str
    offline: int = 0
    online: int = 0
    equal: int = 0
    differences: Counter[FeatureDifference] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    examples: dict[FeatureDifference, list[str]] = field(default_factory=dict)

    @property
    def explained(self) -> bool:
        """Whether the next run mends every difference."""
        return not UNEXPLAINED & set(self.differences)

    def add(self, why: FeatureDifference, row: FeatureRow, columns: Iterable[str] = ()) -> None:
        """Count one difference, and the features that differ."""
        self.differences[why] += 1
        self.columns.update(columns)
        shown = self.examples.setdefault(why, [])
        if len(shown) < _SHOWN:
            shown.append(f"{row.tenant}/{row.person}")


def compare(warehouse: Warehouse, rows: Rows, view: FeatureView, now: datetime, *, scope: str) -> FeatureBalance:
    """Compare every row of ``view`` that is served with the warehouse at ``now``; reads the whole table.

    Raises:
        StoreError: the table does not answer.
    """
    online = {(row.tenant, row.person): row for row in online_rows(rows, view, scope=scope)}
    current = _by_person(warehouse, view, now)
    found = FeatureBalance(view=view.id, offline=len(current), online=len(online))
    as_of = max((row.as_of for row in online.values()), default=None)
    then: dict[datetime, dict[tuple[str, str], FeatureRow]] = {}
    for moment in {row.as_of for row in online.values()}:
        then[moment] = _by_person(warehouse, view, moment)
    late = _loaded_late(warehouse, as_of) if as_of is not None else set()
    for person in sorted(current.keys() | online.keys()):
        mine, theirs = online.get(person), current.get(person)
        if mine is None:
            assert theirs is not None
            known = as_of is not None and theirs.moment <= as_of and person in then[as_of]
            found.add(("late" if person in late else "missing") if known else "new", theirs)
        elif theirs is None:
            found.add("gone", mine)
        elif not (columns := differing(mine, theirs, view)):
            found.equal += 1
        elif not differing(mine, then[mine.as_of].get(person), view):
            found.add("changed", mine, columns)
        else:
            found.add("late" if person in late else "wrong", mine, columns)
    return found


def online_rows(rows: Rows, view: FeatureView, *, scope: str) -> Iterable[FeatureRow]:
    """Yield all rows of a version that are served."""
    start = scoped(scope, "")
    for item in rows.scan(where=equal(FEATURES.sort, view.id)):
        if item[FEATURES.partition].startswith(start) and "person" in item:
            yield FORM.from_item(item)


def differing(first: FeatureRow, second: FeatureRow | None, view: FeatureView) -> list[str]:
    """Return the features whose values differ, to the last bit; all if there is no second row."""
    if second is None:
        return list(view.columns)
    return [
        name
        for name, column in view.columns.items()
        if served(first.values.get(name), column.kind) != served(second.values.get(name), column.kind)
    ]


def _by_person(warehouse: Warehouse, view: FeatureView, moment: datetime) -> dict[tuple[str, str], FeatureRow]:
    return {(row.tenant, row.person): row for row in feature_rows(values_at(warehouse, view, moment), view, moment)}


def _loaded_late(warehouse: Warehouse, as_of: datetime) -> set[tuple[str, str]]:
    """Return the customers of whom an event was known by ``as_of``, but loaded later."""
    found = warehouse.query(
        f"SELECT DISTINCT tenant, customer FROM {SOURCE} WHERE known_at <= :as_of AND loaded_at > :as_of",  # noqa: S608
        {"as_of": as_of},
    )
    return set(zip(found["tenant"], found["customer"], strict=True))
