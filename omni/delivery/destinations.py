"""Where reports go: the destinations of ``infra/schedule.yaml``. Secrets are named here and stand in the environment."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$", max_length=254)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]+$")]
# A link to the page, where the reports' folder is published on a web server.
PageLink = Annotated[
    str, StringConstraints(pattern=r"^https://[^\s{}<>\"']+(\{report\}[^\s{}<>\"']*)?$", max_length=500)
]


class _Destination(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FolderDestination(_Destination):
    """A folder per report under ``path``, which is relative to the project's root."""

    kind: Literal["folder"]
    path: Path


class BucketDestination(_Destination):
    """An S3 bucket, for machines whose disk does not last: a prefix per report under ``prefix``."""

    kind: Literal["bucket"]
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._-]+/)*$")] = ""


class ArchiveDestination(_Destination):
    """The bucket of the answers where an AWS is set, so that any machine may deliver; a folder under ``path`` without one."""

    kind: Literal["archive"]
    path: Path


class _MailDestination(_Destination):
    sender: Address
    to: tuple[Address, ...] = Field(min_length=1, max_length=50)
    page_link: PageLink | None = None


class SmtpDestination(_MailDestination):
    """E-mail through a mail server. ``tls`` none is for a server on this machine only."""

    kind: Literal["smtp"]
    server: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]-]+:[0-9]{1,5}$")]
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_from: VariableName | None = None

    @property
    def host(self) -> str:
        """The server's name or address."""
        return self.server.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The server's port."""
        return int(self.server.rpartition(":")[2])

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError(f"tls: none sends the report in the clear to {self.host}; use starttls or tls")
        if (self.user is None) is not (self.password_from is None):
            raise ValueError("user and password_from belong together")
        return self


class SesDestination(_MailDestination):
    """E-mail through Amazon SES in the settings' region, with the usual AWS credentials."""

    kind: Literal["ses"]


class ChatDestination(_Destination):
    """A webhook of Slack or Teams; ``url_from`` names the environment variable that holds its secret address."""

    kind: Literal["slack", "teams"]
    url_from: VariableName
    page_link: PageLink | None = None


MailDestination = SmtpDestination | SesDestination
StoreDestination = ArchiveDestination | BucketDestination | FolderDestination
Destination = StoreDestination | SmtpDestination | SesDestination | ChatDestination
AnyDestination = Annotated[Destination, Field(discriminator="kind")]


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine."""
    return host.lower() in _LOOPBACK or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None
