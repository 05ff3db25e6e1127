"""What the report raises on purpose; each message says what is wrong and what to do."""


class ReportError(Exception):
    """Base: the report could not be made as asked."""


class WeekError(ReportError):
    """The week or the zone that was asked for does not exist."""
