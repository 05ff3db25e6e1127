"""Interactions of a customer, and the filter that selects those for one request."""

from datetime import date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.core.unit.channel import RecordedChannel
from service.kit.frame.strict import IsoTime


class Interaction(BaseModel):
    """One contact of a customer, as another system recorded it; ``text`` is untrusted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interaction_id: str = Field(min_length=1, max_length=64)
    channel: RecordedChannel
    timestamp: IsoTime
    intent: str = Field(max_length=120)
    text: str = Field(max_length=20_000)
    outcome: str | None = Field(default=None, max_length=200)


class HistoryFilter(BaseModel):
    """Which interactions a request may see: the newest ``max_interactions`` of the last ``max_history_days`` days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_history_days: int = Field(default=90, ge=1, le=3650)
    max_interactions: int = Field(default=10, ge=1, le=200)
    channel_filter: tuple[RecordedChannel, ...] | None = None

    @field_validator("max_history_days", "max_interactions", mode="before")
    @classmethod
    def _is_a_number(cls, value: object) -> object:
        if isinstance(value, bool):  # an int in Python: `true` would mean 1
            raise ValueError("must be a whole number, not true or false")
        return value

    def since(self, as_of: datetime) -> datetime:
        """Return the oldest timestamp inside the window, in the zone of ``as_of``; never before the calendar begins."""
        try:
            return as_of - timedelta(days=self.max_history_days)
        except OverflowError:
            return datetime.min.replace(tzinfo=as_of.tzinfo)

    def apply(self, interactions: list[Interaction], as_of: datetime) -> list[Interaction]:
        """Return the visible interactions, oldest first; ties keep the order of their ids."""
        since = self.since(as_of)
        visible = [
            item
            for item in interactions
            if since <= item.timestamp <= as_of and (self.channel_filter is None or item.channel in self.channel_filter)
        ]
        newest_first = sorted(visible, key=lambda item: (item.timestamp, item.interaction_id), reverse=True)
        return newest_first[: self.max_interactions][::-1]


def date_range(interactions: list[Interaction]) -> tuple[date, date] | None:
    """Return the first and last calendar day (UTC) of ``interactions``, or None when there are none."""
    days = [item.timestamp.date() for item in interactions]
    return (min(days), max(days)) if days else None
