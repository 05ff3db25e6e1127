"""Finds a week's harvest candidates: answers rated unhelpful, edited, degraded, flagged by the guard, or of a new intent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from eval.spine.errors import HarvestError

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse

# The week's intents are compared with those of this many days before it.
_DRIFT_DAYS = 28
# An intent counts as new when its share grows by this factor.
_NEW_INTENT_FACTOR, _NEW_INTENT_AT_LEAST = 3.0, 5

_SELECT = """
SELECT s.request_id, s.summary_id, s.source_key, s.generation_timestamp, s.pair, s.pair_digest, s.prompt_version,
       s.registry_version, s.answered_by, s.ivr_intent, s.degraded, s.guard_findings, s.summary_text,
       f.helpful_feedback, f.reason, f.comment, f.edited_summary
FROM omni_summaries s
LEFT JOIN (
    SELECT request_id, helpful_feedback, reason, comment, edited_summary,
           ROW_NUMBER() OVER (PARTITION BY request_id ORDER BY feedback_timestamp DESC, feedback_id DESC) AS place
    FROM omni_feedback
) f ON f.request_id = s.request_id AND f.place = 1
WHERE s.task = :task AND s.generation_timestamp >= :since AND s.generation_timestamp < :until
  AND s.cache_hit = FALSE AND s.arm <> 'none'
  AND (f.helpful_feedback = 'not_helpful' OR f.edited_summary IS NOT NULL OR s.degraded = TRUE OR s.guard_findings > 0
       OR s.ivr_intent IN ({intents}))
{slice}
ORDER BY s.generation_timestamp, s.request_id
"""
_INTENTS = """
SELECT ivr_intent, CASE WHEN generation_timestamp >= :since THEN 1 ELSE 0 END AS this_week, COUNT(*) AS n
FROM omni_summaries
WHERE task = :task AND generation_timestamp >= :before AND generation_timestamp < :until
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestCandidate:
    """One answer that went wrong or had a new intent. Its texts are redacted, as the warehouse holds them."""

    request_id: str
    summary_id: str
    source_key: str
    generated_at: datetime
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    answered_by: str
    reasons: tuple[str, ...]
    shown: str
    said_reason: str | None = None
    comment: str | None = None
    edited_summary: str | None = None


def week_bounds(week: str) -> tuple[datetime, datetime]:
    """Return the start of an ISO week and the start of the next one, in UTC; ``HarvestError`` if ``week`` is not an ISO week."""
    try:
        monday = datetime.strptime(f"{week}-1", "%G-W%V-%u").date()
    except ValueError as err:
        raise HarvestError(f"{week!r} is not an ISO week; write it like 2026-W46") from err
    start = datetime.combine(monday, time(), tzinfo=UTC)
    return start, start + timedelta(weeks=1)


def week_of(day: date) -> str:
    """Return the ISO week of ``day``."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


# The weekly report's slice names with the warehouse columns that hold them.
_SLICES = {"channel": "s.last_channel", "intent": "s.ivr_intent", "client": "s.client", "pair": "s.pair"}


def slice_condition(text: str | None, columns: Mapping[str, str] = _SLICES) -> tuple[str, dict[str, str]]:
    """Return the SQL condition for a slice such as ``channel=web`` with its parameters; empty ones for None.

    ``columns`` holds the column of each slice that there is.

    Raises:
        HarvestError: ``text`` is not a known slice.
    """
    if text is None:
        return "", {}
    name, _, value = text.partition("=")
    if name not in columns or not value:
        like = f"{next(iter(columns))}={'web' if 'channel' in columns else 'NAME'}"
        raise HarvestError(f"{text!r} is not a known slice; write it like {like}; slices: {', '.join(columns)}")
    return f"  AND {columns[name]} = :slice_value", {"slice_value": value}


def find_candidates(warehouse: "Warehouse", task: str, week: str, part: str | None = None) -> list[HarvestCandidate]:
    """Return the week's candidates, the most informative first: edits, then unhelpful ratings, then flags and new intents.

    ``part`` restricts them to one slice, named as in the weekly report: ``channel=web``.

    Raises:
        HarvestError: the week or the slice is not valid.
        ServiceError: the warehouse does not answer.
    """
    since, until = week_bounds(week)
    condition, values = slice_condition(part)
    drifted = _new_intents(warehouse, task, since, until)
    names = {f"intent{number}": intent for number, intent in enumerate(drifted)}
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    frame = warehouse.query(
        _SELECT.replace("{intents}", listed).replace("{slice}", condition),
        {"task": task, "since": since, "until": until, **names, **values},
    )
    found = []
    for row in frame.to_dict("records"):
        edited, comment = _text(row["edited_summary"]), _text(row["comment"])
        reasons = [
            reason
            for reason, holds in (
                ("edited", edited is not None),
                ("not_helpful", row["helpful_feedback"] == "not_helpful"),
                ("degraded", bool(row["degraded"])),
                ("guarded", int(row["guard_findings"]) > 0),
                ("drifted", row["ivr_intent"] in drifted),
            )
            if holds
        ]
        found.append(
            HarvestCandidate(
                **{name: str(row[name]) for name in _TEXTS},
                registry_version=int(row["registry_version"]),
                generated_at=row["generation_timestamp"],
                reasons=tuple(reasons),
                shown=str(row["summary_text"]),
                said_reason=_text(row["reason"]),
                comment=comment,
                edited_summary=edited,
            )
        )
    return sorted(found, key=_worth)


_TEXTS = ("request_id", "summary_id", "source_key", "pair", "pair_digest", "prompt_version", "answered_by")
_ORDER = ("edited", "not_helpful", "guarded", "degraded", "drifted")


def _worth(item: HarvestCandidate) -> tuple[int, bool, datetime, str]:
    return _ORDER.index(item.reasons[0]), item.comment is None, item.generated_at, item.request_id


def _new_intents(warehouse: "Warehouse", task: str, since: datetime, until: datetime) -> Sequence[str]:
    before = since - timedelta(days=_DRIFT_DAYS)
    frame = warehouse.query(_INTENTS, {"task": task, "since": since, "until": until, "before": before})
    now: dict[str, int] = {}
    then: dict[str, int] = {}
    for row in frame.to_dict("records"):
        (now if int(row["this_week"]) else then)[str(row["ivr_intent"])] = int(row["n"])
    if not then:
        return []
    all_now, all_then = max(sum(now.values()), 1), sum(then.values())
    return sorted(
        intent
        for intent, count in now.items()
        if count >= _NEW_INTENT_AT_LEAST
        and count / all_now >= _NEW_INTENT_FACTOR * max(then.get(intent, 0), 0.5) / all_then
    )


def _text(value: object) -> str | None:
    # In a frame, a missing text is None or NaN.
    return value if isinstance(value, str) and value.strip() else None
