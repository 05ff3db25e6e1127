"""Alias to verified pair: refreshed by one background thread, kept on disk as last known good (one of two doors to mlflow)."""

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

from service.errors import ConfigurationError, RegistryError
from service.release.last_known_good import read_last_known_good, write_last_known_good
from service.release.registry_record import from_registry
from service.release.release import ALIAS
from service.release.rollout import CANDIDATE_ALIAS, RolloutCandidate, verify_rollout
from service.release.statements import TrustedKeys, load_trusted_keys
from service.release.verification import newest_sequence, verify_tags
from service.served import PairSourceStatus, ServedPair
from service.settings import Settings

_PAGE = 1000
FetchServed = Callable[[], ServedPair]


class RegistryPairSource:
    """Serves the pair behind a task's alias, whatever the registry does.

    A version is taken only when its content has the digest it was registered with, it carries a signed release for this
    environment and the signed gate attestation which that release names, and the release is not older than the last one
    served. Anything else is remembered as ``last_error`` while the last good pair goes on being served.
    """

    def __init__(self, task: str, settings: Settings, *, fetch: FetchServed | None = None) -> None:
        """Read the last known good pair from disk; the registry is first asked after ``start``."""
        self._task = task
        self._settings = settings
        self._fetch = fetch or (lambda: fetch_released(task, settings, known=self._known()))
        self._file = settings.state_dir / "served" / f"{task}.json"
        self._served: ServedPair | None = None
        self._error: str | None = None
        try:
            if self._file.exists():
                keys = load_trusted_keys(settings.trusted_keys_file)
                self._served = read_last_known_good(self._file, task, settings.environment, keys)
        except (RegistryError, ConfigurationError) as err:
            self._error = str(err)
        self._refreshed_at: float | None = None
        self._unkept = False  # the pair that is served is not on disk yet
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
                    "a rollback is a new release: use `omni rollback`"
                )
            if (
                served is not None
                and found.sequence == served.sequence
                and (found.pair.digest, found.registry_version) != (served.pair.digest, served.registry_version)
            ):
                raise RegistryError(
                    f"there are two releases {found.sequence}: this one is not the one that was served; see `omni verify`"
                )
        except (RegistryError, ConfigurationError) as err:
            self._error = str(err)
            return
        except Exception as err:  # the thread must outlive whatever a stranger wrote into the registry
            self._error = f"the registry holds something that cannot be read ({type(err).__name__}: {err!s:.200})"
            return
        self._error = None
        self._refreshed_at = time.time()
        self._served = found
        if served is None or (found.sequence, found.pair.digest) != (served.sequence, served.pair.digest):
            self._unkept = True
        if self._unkept:
            try:
                write_last_known_good(self._file, found, self._settings.environment)
                self._unkept = False
            except OSError as err:
                self._error = (
                    f"release {found.sequence} is served and cannot be kept in {self._file} ({type(err).__name__}): a restart "
                    "without the registry would serve something else; make the folder writable"
                )

    def _known(self) -> int:
        # What was kept on disk may be long outdated: only a release found in the registry by this process counts as known.
        return self._served.sequence if self._served is not None and self._refreshed_at is not None else 0

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
            self._wake.wait(self._settings.registry.refresh_s * random.uniform(0.8, 1.2))
            self._wake.clear()


def fetch_released(task: str, settings: Settings, *, known: int = 0) -> ServedPair:
    """Read the alias of ``task`` from MLflow and verify what it points at; at most ``registry_timeout_s`` per HTTP call.

    Args:
        task: whose alias.
        settings: where the registry is, which keys are trusted, which environment this is.
        known: sequence of the release that is served already. A higher one is taken only after a look through all versions:
            when one higher still is on record, the alias was moved by hand, to a release that was replaced since.

    Raises:
        RegistryError: unreachable, no alias, or not verified; the message says which and what to do.
        ConfigurationError: the trusted keys cannot be read.
    """
    # Read at each look, 0.1 ms: keys rotate without a restart.
    keys = load_trusted_keys(settings.trusted_keys_file)
    _bound(settings)
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    others: list[dict[str, str]] = []
    try:
        client = MlflowClient(tracking_uri=settings.registry.uri, registry_uri=settings.registry.uri)
        found = client.get_prompt_version_by_alias(task, ALIAS)
        served = verify_version(task, found, settings.environment, keys)
        if served.sequence > known:
            others = [dict(version.tags or {}) for version in all_versions(client, task)]
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise RegistryError(
                f"the registry has no alias {ALIAS!r} for task {task!r}: run `omni promote PAIR --why ... --task {task}`"
            ) from err
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({err.error_code})") from err
    except RegistryError:
        raise
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({type(err).__name__})") from err
    last = newest_sequence(task, others, keys)
    if last > served.sequence:
        raise RegistryError(
            f"the alias points at release {served.sequence}, but release {last} is newer: the alias was moved by hand; "
            "a rollback is a new release: use `omni rollback`"
        )
    return served


def _bound(settings: Settings) -> None:
    check_store(settings.registry.uri)
    # Bounds must stand before mlflow is imported: its defaults wait 245 s on a closed port.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.registry.timeout_s)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def fetch_candidate(task: str, settings: Settings) -> RolloutCandidate | None:
    """Read the candidate of ``task`` from MLflow with the newest step of its rollout, or None when there is none.

    Raises:
        RegistryError: unreachable, or the alias points at something that does not verify.
        ConfigurationError: the trusted keys cannot be read.
    """
    keys = load_trusted_keys(settings.trusted_keys_file)
    _bound(settings)
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    try:
        client = MlflowClient(tracking_uri=settings.registry.uri, registry_uri=settings.registry.uri)
        found = client.get_prompt_version_by_alias(task, CANDIDATE_ALIAS)
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({err.error_code})") from err
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({type(err).__name__})") from err
    return verify_candidate(task, found, settings.environment, keys)


def verify_candidate(task: str, found: Any, environment: str, keys: TrustedKeys) -> RolloutCandidate | None:
    """Turn an MLflow prompt version into a candidate with its step, or None when it has none.

    Raises:
        RegistryError: changed content, or a step that does not verify for this task, version, pair and environment.
    """
    tags = dict(found.tags or {})
    pair = from_registry(found.template, found.model_config, tags, f"version {found.version} of prompt {task!r}")
    rollout = verify_rollout(
        tags, task=task, version=int(found.version), pair_digest=pair.digest, environment=environment, keys=keys
    )
    if rollout is None:
        raise RegistryError(f"alias {CANDIDATE_ALIAS!r} of task {task!r} was moved by hand; use `omni rollout`")
    served = ServedPair(
        pair=pair,
        registry_version=rollout.registry_version,
        sequence=rollout.sequence,
        released_at=rollout.at,
        released_by=rollout.who,
        source="registry",
        rollout_arm="candidate",
    )
    return RolloutCandidate(served=served, rollout=rollout)


def all_versions(client: Any, task: str) -> list[Any]:
    """Return every version of the prompt ``task`` from an MLflow client, newest first: its search gives a page at a time.

    A hundred empty versions would otherwise hide the releases behind them.
    """
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_prompt_versions(task, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def verify_version(task: str, found: Any, environment: str, keys: TrustedKeys) -> ServedPair:
    """Turn an MLflow prompt version into a pair to serve, or refuse it.

    Raises:
        RegistryError: changed content, or no release and attestation that verify for this task, version, pair and environment.
    """
    tags = dict(found.tags or {})
    pair = from_registry(found.template, found.model_config, tags, f"version {found.version} of prompt {task!r}")
    released = verify_tags(
        tags, task=task, version=int(found.version), pair_digest=pair.digest, environment=environment, keys=keys
    )
    return released.served(pair, "registry")


def check_store(uri: str) -> None:
    """Raise at once when a sqlite store is missing: opening it would create an empty one in its place.

    Raises:
        RegistryError: missing or not a database.
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
