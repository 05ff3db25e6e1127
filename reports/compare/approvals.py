"""What is unusual about approvals: too few, a level that fell, refusals for a new reason, people who disagree, a dear day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
from scipy import stats

from reports.compare.anomalies import DEAR_DAY, DEAR_DAYS
from reports.compare.change_points import rate_changes
from reports.read.approvals import ApprovalDays

# docs/requirements.md sets no bound; these are the project's: below 0.80 over 200 answers (spec of messages).
LOWEST, OVER = 0.80, 200
WEEK = 7
# A day looks at a week that shares six days with yesterday's, so a quiet year holds about 50 independent looks. With 0.001 for
# each kind of comparison `omni bench approvals` counts the false alarms of a quiet year.
P = 0.001
LEAST_FALL = 0.05  # of the share approved; less is no reason to wake anybody
LEAST_RISE = 0.02  # of the share refused for one kind of reason

ApprovalFindingKind = Literal["low", "drift", "refusals", "confirmed", "cost"]
KINDS: tuple[ApprovalFindingKind, ...] = ("low", "drift", "refusals", "confirmed", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFinding:
    """One finding; ``told`` is a sentence with its figures, without a full stop."""

    kind: ApprovalFindingKind
    told: str


def findings_of(data: ApprovalDays) -> list[ApprovalFinding]:
    """Return what is unusual on the last full day or in the week that it ends."""
    return [*_low(data), *_drift(data), *_refusals(data), *_confirmed(data), *_cost(data)]


def _low(data: ApprovalDays) -> Iterator[ApprovalFinding]:
    """The newest days that hold 200 messages together."""
    newest = data.by_day[::-1]
    reached = newest["judged"].cumsum()
    if not len(newest) or reached.iloc[-1] < OVER:
        return
    kept = newest[: int((reached < OVER).sum()) + 1]
    judged, approved = int(kept["judged"].sum()), int(kept["approved"].sum())
    if approved / judged < LOWEST:
        yield ApprovalFinding(
            kind="low",
            told=f"{approved:,} of the newest {judged:,} messages were approved ({approved / judged:.2f}); at least {LOWEST:.2f}",
        )


def _drift(data: ApprovalDays) -> Iterator[ApprovalFinding]:
    """A level that fell in the last seven days, as a change point of the daily share."""
    frame = data.by_day
    frame = frame[frame["judged"] > 0]
    days = [(day - data.today).days for day in frame["day"]]
    approved, judged = (frame[name].to_numpy(np.float64) for name in ("approved", "judged"))
    for change in rate_changes("share approved", days, approved, judged):
        recent, fell = change.day >= -WEEK, change.before - change.after >= LEAST_FALL
        if recent and fell and change.p is not None and change.p <= P:
            on = data.today + timedelta(days=change.day)
            yield ApprovalFinding(
                kind="drift",
                told=f"the share approved fell from {change.before:.2f} to {change.after:.2f} on about {on:%a %-d %b}"
                f"{_of_pair(data, on)}",
            )


def _of_pair(data: ApprovalDays, on: date) -> str:
    """Name the pairs that first answered within a day of ``on``."""
    first = dict[str, tuple[date, str]]()
    for day, digest, pair in zip(data.days["day"], data.days["pair_digest"], data.days["pair"], strict=True):
        first[str(digest)] = min(first.get(str(digest), (day, str(pair))), (day, str(pair)))
    new = [pair for day, pair in first.values() if abs((day - on).days) <= 1]
    return f", when {', '.join(new)} began to answer" if new and len(new) < len(first) else ""


def _refusals(data: ApprovalDays) -> Iterator[ApprovalFinding]:
    """Kinds of refusal that became more frequent; all kinds share the chance of a false alarm."""
    kinds = sorted({kind for _, kind in data.kinds})
    (now, before) = (_judged(data, recent=recent) for recent in (True, False))
    if min(now, before) < OVER:
        return
    for kind in kinds:
        seen, seen_before = (
            sum(n for (day, of), n in data.kinds.items() if of == kind and _recent(data, day) is recent)
            for recent in (True, False)
        )
        rise = seen / now - seen_before / before
        if rise >= LEAST_RISE and _p(seen, now, seen_before, before) <= P / len(kinds):
            yield ApprovalFinding(
                kind="refusals",
                told=f"{kind!r} refused {seen:,} of {now:,} messages in seven days ({seen / now:.2f}), before "
                f"{seen_before:,} of {before:,} ({seen_before / before:.2f})",
            )


def _confirmed(data: ApprovalDays) -> Iterator[ApprovalFinding]:
    """Approved messages that people rated: the judge's approval against theirs."""
    frame = data.by_day
    recent = frame["day"] >= data.today - timedelta(days=WEEK)
    rated, confirmed = (int(frame.loc[recent, name].sum()) for name in ("rated", "confirmed"))
    rated_before, confirmed_before = (int(frame.loc[~recent, name].sum()) for name in ("rated", "confirmed"))
    if min(rated, rated_before) and _p(rated - confirmed, rated, rated_before - confirmed_before, rated_before) <= P:
        yield ApprovalFinding(
            kind="confirmed",
            told=f"people confirmed {confirmed:,} of {rated:,} approved messages in seven days, before {confirmed_before:,} of "
            f"{rated_before:,}",
        )


def _cost(data: ApprovalDays) -> Iterator[ApprovalFinding]:
    """The last full day against the median of the 14 days before it."""
    frame = data.by_day
    yesterday = data.today - timedelta(days=1)
    cost = float(frame.loc[frame["day"] == yesterday, "cost_usd"].sum())
    past = frame[(frame["day"] < yesterday) & (frame["day"] >= yesterday - timedelta(days=DEAR_DAYS))]["cost_usd"]
    usual = float(past.median()) if len(past) >= DEAR_DAYS // 2 else 0.0
    if usual > 0 and cost > DEAR_DAY * usual:
        yield ApprovalFinding(
            kind="cost",
            told=f"yesterday's messages cost ${cost:.2f}, more than {DEAR_DAY} times the median of the {len(past)} days before, "
            f"${usual:.2f}",
        )


def _recent(data: ApprovalDays, day: date) -> bool:
    return day >= data.today - timedelta(days=WEEK)


def _judged(data: ApprovalDays, *, recent: bool) -> int:
    chosen = (data.days["day"] >= data.today - timedelta(days=WEEK)) == recent
    return int(data.days.loc[chosen, "judged"].sum())


def _p(now: int, of_now: int, before: int, of_before: int) -> float:
    """Return the one-sided p-value of Fisher's exact test that the first share is greater."""
    table = [[now, of_now - now], [before, of_before - before]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)
