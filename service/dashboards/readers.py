"""Reads who may see whose calls in QuickSight: a CSV file with the columns ``user`` and ``tenant_id``."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from service.kit.frame.errors import ConfigurationError

_COLUMNS = ["user", "tenant_id"]
# Names of QuickSight's users: an address, or a role and a session of IAM with a slash between them. No quotes, no spaces.
_USER = re.compile(r"[A-Za-z0-9._%+@=-]{1,128}(/[A-Za-z0-9._%+@=-]{1,128})?")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReader:
    """A user of QuickSight, and one tenant whose rows this user sees."""

    user: str
    tenant: str


def read_readers(file: Path) -> tuple[CallReader, ...]:
    """Return the readers of the file, each pair once.

    Raises:
        ConfigurationError: the file cannot be read, or a line is wrong. In particular a tenant must not be empty: QuickSight
            takes an empty value for every tenant.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            if rows.fieldnames != _COLUMNS:
                raise ConfigurationError(f"{file}: the first line must be {','.join(_COLUMNS)}")
            found = [_reader(row, f"{file}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"{file} cannot be read ({type(err).__name__})") from err
    if not found:
        raise ConfigurationError(f"{file} names no reader: add a line for each user and tenant")
    return tuple(dict.fromkeys(found))


def _reader(row: dict[str, str], where: str) -> CallReader:
    user, tenant = ((row.get(name) or "").strip() for name in _COLUMNS)
    if None in row or not _USER.fullmatch(user):
        raise ConfigurationError(f"{where}: {user[:64]!r} is no name of a QuickSight user")
    if not _TENANT.fullmatch(tenant):
        raise ConfigurationError(f"{where}: {tenant[:64]!r} is no tenant's id")
    return CallReader(user=user, tenant=tenant)
