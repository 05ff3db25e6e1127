"""The report's own exceptions; each message says what is wrong and what to do."""


class ReportError(Exception):
    """Base class: the report could not be written."""


class TaskError(ReportError):
    """The requested task does not exist."""


class WeekError(ReportError):
    """The requested week or time zone does not exist, or the week has not begun."""
