"""The exception under which a pair is released although no licensed judge looked: who allowed it, why, and until when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from service.kit.settings import Stage

MOST_DAYS = 14
ENDED = "RAN OUT on"
_WRITTEN = re.compile(r"(without a judge(?:, allowed by .+?)?, )until (\d{4}-\d\d-\d\d)(?=: )")
_NEWER = ("without_judge_by", "without_judge_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedException:
    """Its stage, the reason, who allowed it ("" in older statements), and the last day (UTC) on which it holds."""

    stage: Stage
    why: str
    who: str
    until: date

    def over(self, now: datetime) -> bool:
        """Return whether it has run out."""
        return now.astimezone(UTC).date() > self.until

    def text(self, now: datetime) -> str:
        """Return it in words, with its end."""
        by = f", allowed by {self.who}" if self.who else ""
        state = ENDED if self.over(now) else "until"
        return f"without a judge{by}, {state} {self.until}: {self.why}"


def ended(text: str, now: datetime) -> str:
    """Return a text that may quote an exception in words from before its end, with ``ENDED`` if it is over by ``now``."""
    found = _WRITTEN.search(text)
    if found is None or now.astimezone(UTC).date() <= date.fromisoformat(found[2]):
        return text
    return f"{text[: found.start()]}{found[1]}{ENDED} {found[2]}{text[found.end() :]}"


def exception_from(said: Mapping[str, Any]) -> SignedException | None:
    """Return the exception in a signed statement's fields; one that states no end ends ``MOST_DAYS`` after the statement."""
    stage = said.get("unseen_allowed_in")
    if stage is None:
        return None
    until = said.get("without_judge_until")
    last = date.fromisoformat(until) if until else _day(said["at"]) + timedelta(days=MOST_DAYS)
    return SignedException(
        stage=stage,
        why=said.get("without_judge") or "no reason was given",
        who=said.get("without_judge_by") or "",
        until=last,
    )


def _day(moment: str) -> date:
    return datetime.fromisoformat(moment).astimezone(UTC).date()


def unsaid(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement's fields without the newer ones that are empty, so that services of the version before can read it."""
    return {name: value for name, value in said.items() if value is not None or name not in _NEWER}
