"""Reads a task's alias in MLflow and verifies the pair behind it; a background thread refreshes it and keeps it on disk.

Besides ``eval.tracking`` this is the only module that imports mlflow.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.core.release.artifacts import with_artifacts
from service.core.release.last_known_good import read_last_known_good, write_last_known_good
from service.core.release.ledger_copy import newest_in_ledger, newest_step_in_ledger
from service.core.release.registry_store import all_versions, bound_requests, unreadable
from service.core.release.registry_version import verify_candidate, verify_version
from service.core.release.release import ALIAS
from service.core.release.release_copies import ReleaseCopies
from service.core.release.rollout import CANDIDATE_ALIAS, RolloutCandidate, newest_step
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.release.statements import load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import newest_sequence
from service.core.unit.pair import Pair
from service.kit.frame.errors import ConfigurationError, NothingReleased, RegistryError, StoreError, ToolsDiffer
from service.kit.settings import Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, log

FetchServed = Callable[[], ServedPair]
Fits = Callable[[Pair], None]  # raises ToolsDiffer, or RegistryError while nobody can say


class RegistryPairSource:
    """Serves the pair behind a task's alias, also while the registry is down or holds something that does not verify.

    A version is accepted only if its content has the digest it was registered with, it carries a signed release for this
    environment and the signed gate attestation named by that release, this stage takes that attestation, the artifacts that it
    names are here, and the release is not older than the last one served. Artifacts are read once: what becomes of their files
    later changes nothing.
    Otherwise ``last_error`` says why, and the last good pair stays in service, unless it is the one whose tools are no longer as
    its digest promised.
    """

    def __init__(
        self,
        task: str,
        settings: Settings,
        *,
        fetch: FetchServed | None = None,
        copies: ReleaseCopies | None = None,
        fits: Fits = lambda pair: None,
    ) -> None:
        """Read the last known good pair from disk; the registry and ``copies`` are first asked after ``start``.

        ``fits`` compares a pair's tools with those that are there; a pair that names tools is not served before.
        """
        self._task = task
        self._settings = settings
        self._fetch = fetch or (lambda: fetch_released(task, settings, known=self._known()))
        self._file = settings.state_dir / "served" / f"{task}.json"
        self._fits = fits
        self._served: ServedPair | None = None
        self._unfitted: ServedPair | None = None  # from disk, its tools not compared yet
        self._refused: str | None = None  # name of the pair that was found and must not be served
        self._error: str | None = None
        self._artifacts: dict[str, bytes] = {}  # verified bytes by SHA-256
        try:
            if self._file.exists():
                keys = load_trusted_keys(settings.trusted_keys_file)
                policy = UnseenPolicy.of(settings)
                kept = read_last_known_good(self._file, task, settings.environment, keys, policy)
                self._served = self._opened(kept)
            if self._served is not None and self._served.pair.tools:
                self._unfitted, self._served = self._served, None
        except (RegistryError, ConfigurationError) as err:
            self._error = str(err)
        self._refreshed_at: float | None = None
        self._failing = False
        self._copies = copies or ReleaseCopies(task, settings, None, None)
        self._unkept = False  # the served pair is not on disk yet
        self._uncopied = True  # nor known to be in the copies
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
                    else ": the registry has not answered yet, try again in a few seconds"
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
            refused=self._refused,
        )

    def refresh(self) -> None:
        """Ask the registry once and serve its pair if it verifies; a failure is kept as ``last_error``, never raised."""
        try:
            found = self._look()
            metrics.count(metrics.REGISTRY_LOOKS, "false" if found else "true")
        except Exception as err:  # of table or bucket, which may answer anything: the thread must survive it
            self._error = f"the copies for other tasks cannot be used ({type(err).__name__}: {err!s:.200})"

    def _look(self) -> bool:
        """Return whether the registry gave a pair to serve."""
        try:
            self._refused = None
            found = self._fetch()
            self._refused = found.pair.name
            self._refuse_older(found)
            found = with_artifacts(found, self._settings, self._artifacts)
            self._fits(found.pair)
        except (RegistryError, ConfigurationError) as err:
            self._fail(err, str(err))
            return False
        except Exception as err:  # the registry may hold any content; the thread must survive all of it
            self._fail(err, f"the registry holds something that cannot be read ({type(err).__name__}: {err!s:.200})")
            return False
        served = self._served
        self._error = self._refused = None
        self._refreshed_at = time.time()
        self._served, self._unfitted = found, None
        if served is None or (found.sequence, found.pair.digest) != (served.sequence, served.pair.digest):
            self._unkept = self._uncopied = True
        self._failing = False
        self._keep(found)
        return True

    def _fail(self, err: Exception, error: str) -> None:
        self._error = error
        if not self._failing:  # once an outage: each process looks every few seconds
            log(Event.REGISTRY_UNREADABLE, task=self._task, reason=type(err).__name__)
        self._failing = True
        self._serve_copy()

    def _refuse_older(self, found: ServedPair) -> None:
        served, newest = self._served or self._unfitted, self._copies.newest()
        last = max(newest, served.sequence if served is not None else 0)
        if found.sequence < last:
            elsewhere = last == newest and (served is None or served.sequence < newest)
            whom = "that a task of this service has served" if elsewhere else "that was served"
            again = f"; or, after the registry began anew, delete {self._copies.place()}" if elsewhere else ""
            raise RegistryError(
                f"the alias points at release {found.sequence}, older than release {last} {whom}; "
                f"a rollback is a new release: use `omni rollback`{again}"
            )
        if (
            served is not None
            and found.sequence == served.sequence
            and (found.pair.digest, found.registry_version) != (served.pair.digest, served.registry_version)
        ):
            raise RegistryError(
                f"there are two different releases {found.sequence}: the alias points at one, the other was "
                "served; see `omni verify`"
            )

    def _serve_copy(self) -> None:
        """Serve the copy on disk or in the bucket while the registry gives nothing to serve."""
        if self._served is not None:
            self._drop_unfit()
            return
        try:
            copy = self._unfitted or self._opened(self._copies.read())
            if copy is not None:
                self._fits(copy.pair)
            self._served = copy
        except (RegistryError, ConfigurationError) as err:
            self._error = str(err) if str(err) == self._error else f"{self._error}; {err}"

    def _opened(self, served: ServedPair | None) -> ServedPair | None:
        return None if served is None else with_artifacts(served, self._settings, self._artifacts)

    def _drop_unfit(self) -> None:
        """Serve no longer a pair whose tools have changed under it; while nobody can say, it stays."""
        try:
            if self._served is not None:
                self._fits(self._served.pair)
        except ToolsDiffer as err:
            self._served, self._unfitted, self._error = None, self._served, str(err)
        except RegistryError:
            return

    def _keep(self, found: ServedPair) -> None:
        if self._unkept:
            try:
                write_last_known_good(self._file, found, self._settings.environment)
                self._unkept = False
            except OSError as err:
                self._error = (
                    f"release {found.sequence} is served and cannot be kept in {self._file} ({type(err).__name__}): a restart "
                    "without the registry would not serve it; make the folder writable"
                )
        if self._uncopied:
            try:
                self._copies.keep(found)
                self._uncopied = False
            except StoreError as err:
                self._error = (
                    f"release {found.sequence} is served, and its copy for other tasks cannot be written ({err}): a task with "
                    "an empty disk would need the registry"
                )

    def _known(self) -> int:
        # The pair on disk may be outdated: only a release that this process found in the registry counts as known.
        return self._served.sequence if self._served is not None and self._refreshed_at is not None else 0

    def start(self) -> None:
        """See ``PairSource.start``."""
        self._thread = threading.Thread(target=self._loop, name=f"registry-{self._task}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask the registry now: another task or a release command has told of a new release."""
        self._copies.look_again()
        self._wake.set()

    def stop(self) -> None:
        """See ``PairSource.stop``."""
        self._stopped = True
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped:
            self._wake.clear()
            self.refresh()
            # Jitter, so that the processes do not ask at the same time.
            self._wake.wait(self._settings.registry.refresh_s * random.uniform(0.9, 1.1))


def fetch_released(task: str, settings: Settings, *, known: int = 0) -> ServedPair:
    """Return the verified pair behind the alias of ``task`` in MLflow; at most ``registry_timeout_s`` per HTTP request.

    ``known`` is the sequence of the release that is served already. For a higher one all versions are searched: if another
    release is higher still, somebody moved the alias by hand to a release that was replaced.

    Raises:
        RegistryError: unreachable, no alias, or not verified; the message says which and what to do.
        ConfigurationError: the trusted keys cannot be read.
    """
    # Read every time (0.1 ms), so that keys rotate without a restart.
    keys = load_trusted_keys(settings.trusted_keys_file)
    bound_requests(settings)
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    others: list[dict[str, str]] = []
    try:
        client = MlflowClient(tracking_uri=settings.registry.uri, registry_uri=settings.registry.uri)
        found = client.get_prompt_version_by_alias(task, ALIAS)
        served = verify_version(task, found, settings.environment, keys, UnseenPolicy.of(settings))
        if served.sequence > known:
            others = [dict(version.tags or {}) for version in all_versions(client, task)]
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise NothingReleased(
                f"the registry has no alias {ALIAS!r} for task {task!r}: run `omni promote PAIR --why ... --task {task}`"
            ) from err
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({err.error_code})") from err
    except RegistryError:
        raise
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise unreadable(settings, err) from err
    last = newest_sequence(task, others, keys)
    if last > served.sequence:
        raise RegistryError(
            f"the alias points at release {served.sequence}, but release {last} is newer: the alias was moved by hand; "
            "a rollback is a new release: use `omni rollback`"
        )
    kept = newest_in_ledger(task, settings, keys) if served.sequence > known else 0
    if kept > served.sequence:
        raise RegistryError(
            f"the newest release in the registry is {served.sequence}, but the ledger holds release {kept}: it was removed "
            "from the registry; see `omni verify`"
        )
    return served


def released_versions(task: str, settings: Settings) -> list[Any]:
    """Return all versions of ``task``'s prompt in MLflow with their content, newest first; nothing is verified.

    Raises:
        RegistryError: unreachable.
    """
    bound_requests(settings)
    from mlflow import MlflowClient

    try:
        client = MlflowClient(tracking_uri=settings.registry.uri, registry_uri=settings.registry.uri)
        return all_versions(client, task)
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise unreadable(settings, err) from err


def fetch_candidate(task: str, settings: Settings, *, known: int = 0) -> RolloutCandidate | None:
    """Return the candidate of ``task`` from MLflow with the newest step of its rollout, or None.

    ``known`` is the step that was the newest before. For any other step all versions are searched: if another step is newer,
    somebody pointed the alias at a rollout that was replaced or ended.

    Raises:
        RegistryError: unreachable, or the alias points at something that does not verify or was replaced.
        ConfigurationError: the trusted keys cannot be read.
    """
    keys = load_trusted_keys(settings.trusted_keys_file)
    bound_requests(settings)
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    others: list[dict[str, str]] = []
    try:
        client = MlflowClient(tracking_uri=settings.registry.uri, registry_uri=settings.registry.uri)
        found = client.get_prompt_version_by_alias(task, CANDIDATE_ALIAS)
        candidate = verify_candidate(task, found, settings.environment, keys, UnseenPolicy.of(settings))
        if candidate.rollout.sequence != known:
            others = [dict(version.tags or {}) for version in all_versions(client, task)]
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise RegistryError(f"the registry at {settings.registry.uri} does not answer ({err.error_code})") from err
    except RegistryError:
        raise
    except Exception as err:  # sqlalchemy and requests errors come through unwrapped
        raise unreadable(settings, err) from err
    last = newest_step(task, others, keys)
    if last > candidate.rollout.sequence:
        raise RegistryError(
            f"alias {CANDIDATE_ALIAS!r} points at rollout step {candidate.rollout.sequence}, but step {last} is newer: the "
            "alias was moved by hand; use `omni rollout` again"
        )
    kept = newest_step_in_ledger(task, settings, keys) if candidate.rollout.sequence != known else 0
    if kept > candidate.rollout.sequence:
        raise RegistryError(
            f"the newest rollout step in the registry is {candidate.rollout.sequence}, but the ledger holds step {kept}: it was "
            "removed from the registry; use `omni rollout` again"
        )
    return candidate


class CandidateReader:
    """Fetches a task's candidate again and again; all versions are searched only when its step has changed."""

    def __init__(self, task: str, settings: Settings) -> None:
        self._task, self._settings, self._known = task, settings, 0
        self._artifacts: dict[str, bytes] = {}  # verified bytes by SHA-256

    def __call__(self) -> RolloutCandidate | None:
        """See ``fetch_candidate``; the candidate's artifacts are verified, too."""
        found = fetch_candidate(self._task, self._settings, known=self._known)
        if found is None:
            return None
        self._known = found.rollout.sequence
        return replace(found, served=with_artifacts(found.served, self._settings, self._artifacts))
