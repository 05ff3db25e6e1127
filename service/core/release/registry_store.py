"""The store behind the registry: whether it is there, how long it may take, and all versions of a prompt in it."""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

_PAGE = 1000


def bound_requests(settings: Settings) -> None:
    """Check that the store is there, and keep requests to it short; call it before mlflow is imported.

    Raises:
        RegistryError: an sqlite store is missing, locked, or not a database.
    """
    check_store(settings.registry.uri)
    # Set before mlflow is imported: with its defaults it waits 245 s on a closed port.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.registry.timeout_s)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def all_versions(client: Any, task: str) -> list[Any]:
    """Return every version of the prompt ``task`` from an MLflow client, newest first.

    Reads all pages of the search: otherwise a hundred empty versions would hide the releases behind them.
    """
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_prompt_versions(task, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def check_store(uri: str) -> None:
    """Check that a sqlite store exists and can be read: MLflow would create an empty one in place of a missing one.

    Raises:
        RegistryError: missing, locked, or not a database.
    """
    if not uri.startswith("sqlite:///"):
        return
    path = Path(unquote(uri.removeprefix("sqlite:///")))
    if not path.exists():
        raise RegistryError(f"the MLflow store {path} does not exist: run `omni eval` first, or put it back")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)
        try:
            connection.execute("select count(*) from alembic_version")
        finally:
            connection.close()
    except sqlite3.Error as err:
        raise RegistryError(f"the MLflow store {path} cannot be read ({err}); is another process holding it?") from err


def unreadable(settings: Settings, err: Exception) -> RegistryError:
    """Return what to say of an error that MLflow did not raise as its own."""
    what = f"the registry at {settings.registry.uri}"
    if isinstance(err, (AttributeError, LookupError, TypeError, ValueError)):
        return RegistryError(
            f"{what} holds a damaged row that MLflow cannot read ({type(err).__name__}), such as an empty template: "
            "restore the store from a backup, or promote again; see `omni verify`"
        )
    return RegistryError(f"{what} does not answer ({type(err).__name__})")
