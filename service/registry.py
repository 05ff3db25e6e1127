"""Alias to verified pair: refreshed by one background thread, kept on disk as last known good (one of two doors to mlflow)."""

import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from service.errors import PairError, RegistryError
from service.pair import Pair
from service.registry_record import from_registry
from service.release import ALIAS, Release, newest_release
from service.served import PairSourceStatus, ServedPair
from service.settings import Settings

Fetch = Callable[[], ServedPair]


class RegistryPairSource:
    """Serves the pair behind a task's alias, whatever the registry does.

    A version is taken only when its content has the digest it was registered with, it carries a release for this
    environment, and that release is not older than the last one served. Anything else is remembered as ``last_error`` while
    the last good pair goes on being served.
    """

    def __init__(self, task: str, settings: Settings, *, fetch: Fetch | None = None) -> None:
        """Read the last known good pair from disk; the registry is first asked after ``start``."""
        self._task = task
        self._settings = settings
        self._fetch = fetch or (lambda: fetch_released(task, settings))
        self._file = settings.state_dir / "served" / f"{task}.json"
        self._served: ServedPair | None = _read_last_known_good(self._file, settings)
        self._refreshed_at: float | None = None
        self._error: str | None = None
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def current(self) -> ServedPair:
        """See ``PairSource.current``."""
        served = self._served
        if served is None:
            raise RegistryError(
                f"no verified pair to serve for task {self._task!r}"
                + (
                    f": {self._error}"
                    if self._error
                    else ": the registry has not answered yet, try again in some seconds"
                )
            )
        return served

    def status(self) -> PairSourceStatus:
        """See ``PairSource.status``."""
        at = self._refreshed_at
        return PairSourceStatus(
            served=self._served,
            last_refresh_at=None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
            last_error=self._error,
            age_s=None if at is None else time.time() - at,
        )

    def refresh(self) -> None:
        """Look at the registry once and take what verifies; a failure is remembered, never raised."""
        try:
            found = self._fetch()
            served = self._served
            if served is not None and found.sequence < served.sequence:
                raise RegistryError(
                    f"the alias points at release {found.sequence}, older than release {served.sequence} that was served; "
                    "a rollback is a new release: use `make rollback`"
                )
        except RegistryError as err:
            self._error = str(err)
            return
        self._error = None
        self._refreshed_at = time.time()
        if served is None or (found.sequence, found.pair.digest) != (served.sequence, served.pair.digest):
            _write_last_known_good(self._file, found, self._settings.environment)
        self._served = found

    def start(self) -> None:
        """See ``PairSource.start``."""
        self._thread = threading.Thread(target=self._loop, name=f"registry-{self._task}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """See ``PairSource.stop``."""
        self._stopped = True
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped:
            self.refresh()
            # Jitter keeps a fleet from asking in step.
            self._wake.wait(self._settings.registry_refresh_s * random.uniform(0.8, 1.2))
            self._wake.clear()


def fetch_released(task: str, settings: Settings) -> ServedPair:
    """Read the alias of ``task`` from MLflow and verify what it points at; at most ``registry_timeout_s`` per HTTP call.

    Raises:
        RegistryError: unreachable, no alias, or not verified; the message says which and what to do.
    """
    check_store(settings.registry_uri)
    # Bounds must stand before mlflow is imported: its defaults wait 245 s on a closed port.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.registry_timeout_s)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    try:
        client = MlflowClient(tracking_uri=settings.registry_uri, registry_uri=settings.registry_uri)
        found = client.get_prompt_version_by_alias(task, ALIAS)
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise RegistryError(
                f"the registry has no alias {ALIAS!r} for task {task!r}: run `make promote PAIR=<name> WHY=...`"
            ) from err
        raise RegistryError(f"the registry at {settings.registry_uri} does not answer ({err.error_code})") from err
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise RegistryError(f"the registry at {settings.registry_uri} does not answer ({type(err).__name__})") from err
    return verify_version(task, found, settings.environment)


def verify_version(task: str, found: Any, environment: str) -> ServedPair:
    """Turn an MLflow prompt version into a pair to serve, or refuse it.

    Raises:
        RegistryError: changed content, no release, or a release for another environment, task or digest.
    """
    where = f"version {found.version} of prompt {task!r}"
    tags = dict(found.tags or {})
    pair = from_registry(found.template, found.model_config, tags, where)
    release = newest_release(tags)
    if release is None:
        raise RegistryError(f"{where} was never released: the alias was moved by hand; use `make promote`")
    if (release.task, release.registry_version, release.pair_digest) != (task, int(found.version), pair.digest):
        raise RegistryError(f"{where} carries a release of another pair; use `make promote`")
    if release.environment != environment:
        raise RegistryError(
            f"{where} was released on evidence from {release.environment!r}; this service runs in {environment!r}"
        )
    return served_pair(pair, release)


def served_pair(pair: Pair, release: Release) -> ServedPair:
    """Return ``pair`` as released by ``release``, fresh from the registry."""
    return ServedPair(
        pair=pair,
        registry_version=release.registry_version,
        sequence=release.sequence,
        released_at=release.at,
        released_by=release.who,
        source="registry",
    )


def check_store(uri: str) -> None:
    """Raise at once when a sqlite store is missing: opening it would create an empty one in its place.

    Raises:
        RegistryError: missing or not a database.
    """
    if not uri.startswith("sqlite:///"):
        return
    path = Path(unquote(uri.removeprefix("sqlite:///")))
    if not path.exists():
        raise RegistryError(f"the MLflow store {path} does not exist: run `make eval` first, or put it back")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)
        try:
            connection.execute("select count(*) from alembic_version")
        finally:
            connection.close()
    except sqlite3.Error as err:
        raise RegistryError(f"the MLflow store {path} cannot be read ({err}); is another process holding it?") from err


def _read_last_known_good(path: Path, settings: Settings) -> ServedPair | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        pair = Pair.from_content(raw["pair"])
        if pair.digest != raw["digest"] or raw["environment"] != settings.environment:
            return None
        return ServedPair(
            pair=pair,
            registry_version=int(raw["registry_version"]),
            sequence=int(raw["sequence"]),
            released_at=raw["released_at"],
            released_by=raw["released_by"],
            source="last_known_good",
        )
    except (OSError, ValueError, KeyError, TypeError, PairError):
        return None


def _write_last_known_good(path: Path, served: ServedPair, environment: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    content = {
        "digest": served.pair.digest,
        "environment": environment,
        "pair": served.pair.content(),
        "registry_version": served.registry_version,
        "sequence": served.sequence,
        "released_at": served.released_at,
        "released_by": served.released_by,
    }
    temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)
