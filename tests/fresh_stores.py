"""MLflow's empty database is made once and copied: making its tables through fifty migrations takes nearly a second."""

import importlib.metadata
import importlib.util
import os
import sqlite3
import sys
from pathlib import Path

_MADE = "mlflow.store.db.utils"
_KEPT = Path(__file__).resolve().parents[1] / ".pytest_cache" / f"mlflow-{importlib.metadata.version('mlflow')}.db"


class _Finder:
    """Finds MLflow's module as ever, and has it copy instead of make once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != _MADE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module._initialize_tables = _copied(module._initialize_tables)

        spec.loader.exec_module = exec_module
        return spec


def install():
    """Let every new database in a SQLite file be a copy, from the second on."""
    sys.meta_path.insert(0, _Finder())


def _copied(make):
    def initialize(engine):
        connection = engine.raw_connection()
        try:
            database = connection.driver_connection
            if (
                not isinstance(database, sqlite3.Connection)
                or database.execute("SELECT 1 FROM sqlite_master").fetchone()
            ):
                make(engine)
            elif _KEPT.exists():
                with sqlite3.connect(_KEPT) as kept:
                    kept.backup(database)
                kept.close()
            else:
                make(engine)
                _keep(database)
        finally:
            connection.close()

    return initialize


def _keep(database):
    _KEPT.parent.mkdir(exist_ok=True)
    written = _KEPT.with_suffix(f".{os.getpid()}")
    with sqlite3.connect(written) as kept:
        database.backup(kept)
    kept.close()
    written.replace(_KEPT)
