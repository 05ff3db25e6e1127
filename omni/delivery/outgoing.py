"""What is delivered: a title, some lines, and files; the same for every destination."""

from typing import Annotated

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, StringConstraints

from service.kit.frame.display.inert import one_line, visible

# A report's id names its folder, its object and its record.
ReportId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$")]
_LONGEST_LINE = 2_000


class OutgoingFile(BaseModel):
    """One file of a report; ``name`` has no folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ReportId
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+$")]
    content: Base64Bytes


class Outgoing(BaseModel):
    """One report: a title, then lines. ``report_id`` is its identity: a destination gets each id once.

    The page is the first of ``files``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_id: ReportId
    title: str
    lines: tuple[str, ...] = ()
    files: tuple[OutgoingFile, ...] = ()
    made_at: AwareDatetime

    def text(self, *endings: str) -> str:
        """Return title, lines and ``endings`` as plain text whose characters are all shown and none acts."""
        lines = "\n".join(one_line(line, _LONGEST_LINE) for line in self.lines)
        parts = [one_line(self.title, _LONGEST_LINE), lines, *endings]
        return visible("\n\n".join(filter(None, parts))) + "\n"


class DeliveryFailed(Exception):
    """A destination did not take a report. The message names no secret. ``passing``: trying again may help."""

    def __init__(self, message: str, *, passing: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after_s = retry_after_s
