"""Simulates a year of approvals: how often a quiet one rings, and how soon a planted fault does."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from reports.compare.approvals import ApprovalFinding, findings_of
from reports.read.approvals import DAYS, ApprovalDays

# Assumed, not measured: nine in ten messages approved, a tenth of the approved ones rated, nine in ten of these confirmed.
_KINDS = ("judge", "amount", "name", "pressure", "length", "offer", "date", "number")
_APPROVED, _RATED, _CONFIRMED, _COST = 0.90, 0.10, 0.90, 0.0012
_FIRST = date(2026, 1, 1)
_YEAR, _BEGINS = 365, 60
_PLANTED = {"drift": "approved 0.90 to 0.80", "refusals": "one reason five times as often", "confirmed": "confirmed 0.90 to 0.70",
            "cost": "a day's cost doubles", "low": "approved 0.90 to 0.70"}  # fmt: skip


def measure(*, years: int, messages: int) -> Iterator[str]:
    """Yield the false alarms of quiet years, and of each planted fault how many were found and after how many days."""
    alarms = Counter[str]()
    for seed in range(years):
        alarms.update(_onsets(_year(messages, seed), _YEAR))
    total = sum(alarms.values())
    yield f"{years} quiet years of {messages} messages a day: {total / years:.2f} false alarms a year"
    for kind in _PLANTED:
        yield f"  {kind}: {alarms[kind] / years:.2f} a year"
    for kind, told in _PLANTED.items():
        waits = [_found_after(_year(messages, seed, kind), kind) for seed in range(years)]
        seen = sorted(wait for wait in waits if wait is not None)
        after = f"median {seen[len(seen) // 2]} days" if seen else "never"
        yield f"planted, {told}: {kind} rings in {len(seen)} of {years}, {after}"


def _year(messages: int, seed: int, planted: str = "") -> ApprovalDays:
    """Return a year with ``planted`` from the 60th day on; weekends have a third of the messages."""
    rng, rows, kinds = np.random.default_rng(seed), [], Counter[tuple[date, str]]()
    for number in range(_YEAR + DAYS):
        day, late = _FIRST + timedelta(days=number), number >= DAYS + _BEGINS
        judged = int(rng.poisson(messages * (1 if number % 7 < 5 else 0.33)))
        share = _APPROVED
        if late and planted == "drift":
            share = 0.80
        elif late and planted == "low":
            share = 0.70
        approved = int(rng.binomial(judged, share))
        rated = int(rng.binomial(approved, _RATED))
        confirmed = int(rng.binomial(rated, 0.70 if late and planted == "confirmed" else _CONFIRMED))
        dear = 2.0 if late and planted == "cost" else 1.0
        cost = float(rng.gamma(max(judged, 1), _COST)) * dear
        weights = np.ones(len(_KINDS))
        if late and planted == "refusals":
            weights[1] = 5.0
        for kind, n in zip(_KINDS, rng.multinomial(judged - approved, weights / weights.sum()), strict=True):
            kinds[day, kind] += int(n)
        rows.append((day, "pair", "d" * 64, judged, judged, approved, rated, confirmed, cost))
    columns = ["day", "pair", "pair_digest", "answers", "judged", "approved", "rated", "confirmed", "cost_usd"]
    return ApprovalDays(task="upsell", today=_FIRST, days=pd.DataFrame(rows, columns=columns), kinds=kinds)


def _looked(year: ApprovalDays, number: int) -> list[ApprovalFinding]:
    """Return what the daily look finds on a day of the year."""
    today = _FIRST + timedelta(days=DAYS + number)
    since = today - timedelta(days=DAYS)
    kept = year.days[(year.days["day"] >= since) & (year.days["day"] < today)]
    kinds = {key: n for key, n in year.kinds.items() if since <= key[0] < today}
    return findings_of(ApprovalDays(task=year.task, today=today, days=kept, kinds=kinds))


def _onsets(year: ApprovalDays, days: int) -> Counter[str]:
    """Count the days on which an alarm rings that did not ring the day before."""
    found, before = Counter[str](), set[str]()
    for number in range(days):
        now = {str(finding.kind) for finding in _looked(year, number)}
        found.update(now - before)
        before = now
    return found


def _found_after(year: ApprovalDays, kind: str) -> int | None:
    """Return how many days after a planted fault its alarm rings first; None within six weeks."""
    for wait in range(1, 43):
        if any(finding.kind == kind for finding in _looked(year, _BEGINS + wait)):
            return wait
    return None
