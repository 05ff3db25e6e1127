"""The questions of an audit: this folder's ``queries.yaml`` has each as SQL and for CloudWatch Logs Insights."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from service.core.redaction.persons import is_pseudonym
from service.kit.frame.errors import ConfigurationError
from service.kit.telemetry.fields import pseudonym_of

EVERY_SESSION = "*"
_FILE = Path(__file__).with_name("queries.yaml")


class AuditQuery(BaseModel):
    """One question; ``insights`` is its text for CloudWatch Logs Insights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    question: str
    sql: str
    insights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRange:
    """What a question is about: times from ``start`` until before ``end``, and a session or ``EVERY_SESSION``."""

    start: datetime
    end: datetime
    session: str = EVERY_SESSION

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the SQL."""
        return {
            "from_time": self.start.astimezone(UTC).isoformat(),
            "to_time": self.end.astimezone(UTC).isoformat(),
            "session": self.session,
        }


@cache
def audit_queries() -> Mapping[str, AuditQuery]:
    """Return the questions by name, in the file's order."""
    listed = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {query.name: query for query in map(AuditQuery.model_validate, listed)}


def insights_of(query: AuditQuery, session: str) -> str:
    """Return a question's text for CloudWatch Logs Insights, about one session if it is named."""
    text = query.insights.strip()
    if session == EVERY_SESSION:
        return text
    if "session_id" not in text:
        raise ConfigurationError(f"the log's lines for {query.name} name no session; leave --session out")
    return f'filter session_id = "{session}"\n| {text}'


def session_named(text: str | None) -> str:
    """Return the session's pseudonym for the id of a conversation, or for the pseudonym itself."""
    if text is None:
        return EVERY_SESSION
    return text if is_pseudonym(text) else pseudonym_of(text)


def moment(text: str, option: str) -> datetime:
    """Return the time that an option names: a day, which begins at midnight UTC, or an ISO time; UTC unless it has a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is no day or time; write 2026-11-22 or 2026-11-22T14:30") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
