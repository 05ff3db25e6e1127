"""What is delivered: a title, some lines, and files; the same for every destination."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

from botocore.exceptions import BotoCoreError
from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, StringConstraints

from service.kit.aws.bounded import StoreDropped, StoreThrottled, translated
from service.kit.aws.clients import client
from service.kit.frame.display.inert import one_line, visible
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

# A report's id names its folder, its object and its record.
ReportId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$")]
_LONGEST_LINE = 2_000
_TIMEOUT_S = 30.0


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


@contextmanager
def delivering(service: str, place: str, settings: Settings) -> Iterator[Any]:
    """Yield a client of an AWS service; what AWS refuses becomes ``DeliveryFailed``, which names ``place``."""
    with closing(client(service, settings.model_copy(update={"store_timeout_s": _TIMEOUT_S}), attempts=1)) as aws:
        try:
            with translated(place):
                yield aws
        except StoreError as err:
            passing = isinstance(err, StoreThrottled | StoreDropped) or isinstance(err.__cause__, BotoCoreError)
            raise DeliveryFailed(str(err), passing=passing) from err
