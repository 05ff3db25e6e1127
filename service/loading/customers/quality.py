"""What a batch of events was like: how many came, what became of them, and what they lack."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

LATE = timedelta(hours=24)
# Fields that an event may lack, by type of event.
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "customer": ("home_kind", "home_built"),
    "service": ("satisfaction", "amount"),
    "payment": (),
}


@dataclass(slots=True, kw_only=True)
class QualityReport:
    """Counts of one batch; no value of a customer.

    Attributes:
        events: how many came; the sum of loaded, repeated, erased and quarantined.
        repeated: were there already, with the same content.
        erased: of customers who were erased; nothing of them is kept.
        quarantined: by reason.
        versions: stated schema versions. More than one: two systems, or two releases of one, wrote into the batch.
        late: loaded events that became known more than 24 hours after they happened.
        undated: loaded events that do not say when they were recorded.
        missing: share of loaded events that lack a field which they may lack, by type and field.
    """

    source: str
    at: datetime
    events: int = 0
    loaded: int = 0
    repeated: int = 0
    erased: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    late: int = 0
    undated: int = 0
    missing: dict[str, float] = field(default_factory=dict)

    def describe(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add what the loaded ``rows`` are like."""
        self.late = sum(row["known_at"] - row["occurred_at"] > LATE for row in rows)
        for kind, names in _OPTIONAL.items():
            those = [row for row in rows if row["event_type"] == kind]
            for name in names if those else ():
                self.missing[f"{kind}.{name}"] = round(sum(row[name] is None for row in those) / len(those), 4)

    def to_json(self) -> str:
        """Return the report as JSON."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.dumps(content | {"at": self.at.isoformat()}, sort_keys=True)

    def lines(self) -> list[str]:
        """Return the report for a person."""
        lines = [f"{self.source}: {self.events} events, {self.loaded} loaded, {self.repeated} there already"]
        if self.erased:
            lines.append(f"  {self.erased} of erased customers, dropped")
        if len(self.versions) > 1:
            told = ", ".join(f"{version}: {count}" for version, count in sorted(self.versions.items()))
            lines.append(f"  {len(self.versions)} schema versions in one batch ({told})")
        lines += [f"  {count} in quarantine: {reason}" for reason, count in sorted(self.quarantined.items())]
        if self.late:
            lines.append(f"  {self.late} became known more than {LATE // timedelta(hours=1)} hours after they happened")
        if self.undated:
            lines.append(f"  {self.undated} do not say when they were recorded")
        lines += [f"  {100 * share:.1f}% lack {name}" for name, share in self.missing.items() if share]
        return lines
