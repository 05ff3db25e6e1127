"""Reads the warehouse's SQL files: numbered migrations, views and COPY statements, all in Redshift's dialect."""

import re
from dataclasses import dataclass
from pathlib import Path

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT

# Next to the code instead of under `settings.root`, because the statements and `service.warehouse.events` change together.
SQL_FOLDER = REPO_ROOT / "infra" / "warehouse"
VERSION_TABLE = "omni_schema"
_NUMBERED = re.compile(r"^(\d{4})_[a-z0-9_]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered file. A warehouse's schema version is the number of the last migration that it ran."""

    version: int
    name: str
    sql: str


def migrations(folder: Path = SQL_FOLDER) -> tuple[Migration, ...]:
    """Return the migrations in order, numbered 1, 2, 3 without a gap.

    Raises:
        ConfigurationError: there is none, or the numbers have a gap.
    """
    found = []
    for path in sorted((folder / "migrations").glob("*.sql")):
        name = _NUMBERED.match(path.stem)
        if name is None:
            raise ConfigurationError(f"migration {path.name!r}: name it like 0002_what_it_adds.sql")
        found.append(Migration(version=int(name[1]), name=path.stem, sql=path.read_text(encoding="utf-8")))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)) or not found:
        raise ConfigurationError(f"{folder / 'migrations'} must hold 0001_*.sql, 0002_*.sql and so on without a gap")
    return tuple(found)


def views(folder: Path = SQL_FOLDER) -> tuple[tuple[str, str], ...]:
    """Return (name, statement) of each view in the order of the files; a view may read earlier views."""
    return tuple(
        (path.stem.partition("_")[2], path.read_text(encoding="utf-8"))
        for path in sorted((folder / "views").glob("*.sql"))
    )


def grants(folder: Path = SQL_FOLDER) -> str:
    """Return the statements that open what its maker makes from then on to the database's roles; Redshift alone has roles."""
    return (folder / "grants.sql").read_text(encoding="utf-8")


def roles(folder: Path = SQL_FOLDER) -> str:
    """Return the statements that the database's administrator runs once, before the first migration."""
    return (folder / "roles.sql").read_text(encoding="utf-8")


def copy_statement(table: str, folder: Path = SQL_FOLDER) -> str:
    """Return the COPY of ``table`` from staged Parquet files, with its ``{placeholders}``."""
    return (folder / "copy" / f"{table}.sql").read_text(encoding="utf-8")
