"""Copies of a task's releases outside the registry and this disk: the newest one's statement in the shared table, pairs in S3.

The statement tells every task which release is the newest that any of them has served; a pair in the bucket lets a task with an
empty disk start while the registry is down. Both are verified like the registry's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from service.core.release.last_known_good import last_known_good_text, parse_last_known_good
from service.core.release.ledger_copy import newest_in_ledger
from service.core.release.release import read_release
from service.core.release.served import ServedPair
from service.core.release.statements import TrustedKeys, envelope_digest, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import ConfigurationError, RegistryError, StoreError
from service.kit.records.shared_state import SharedState
from service.kit.settings import Settings

_KEY = "newest"
_FOLDER = "omni-channel/last-known-good"
_MOST_BYTES = 4_000_000
_MOST_READ = 20  # objects that do not verify are somebody's work; the newest good one is rarely far behind


class Named(Protocol):
    """One object of a listing."""

    @property
    def key(self) -> str:
        """The object's key."""


class Body(Protocol):
    """One object's content."""

    @property
    def body(self) -> bytes | None:
        """The content; None when it is longer than the reader's limit."""


class ObjectStore(Protocol):
    """The bucket; every method raises ``StoreError`` when S3 does not answer."""

    def put_json(self, key: str, text: str) -> Any:
        """Write ``text`` as object ``key`` unless the object exists."""

    def read(self, key: str, *, most_bytes: int) -> Body | None:
        """Return the object, or None when there is none."""

    def listed(self, prefix: str) -> Iterator[Sequence[Named]]:
        """Yield pages of the objects under ``prefix``."""


def release_partition(task: str) -> str:
    """Return the partition of the shared state that tells of the releases of ``task``."""
    return f"release/{task}"


class ReleaseCopies:
    """The copies of one task's releases. Without a table and a bucket (both None) there are none. Blocking."""

    def __init__(self, task: str, settings: Settings, shared: SharedState | None, bucket: ObjectStore | None) -> None:
        self._task, self._settings, self._shared, self._bucket = task, settings, shared, bucket
        self._folder = f"{_FOLDER}/{settings.stage}/{task}/"
        self._newest = 0
        # Counted, because a change may be announced while the table is being read.
        self._announced, self._read = 1, 0

    def look_again(self) -> None:
        """Let the next ``newest`` read the table."""
        self._announced += 1

    def newest(self) -> int:
        """Return the sequence of the newest release that a task of this service has served, as far as the table says; else 0.

        A statement that does not verify counts as none. A table that does not answer is asked again next time.
        """
        announced = self._announced
        if self._shared is not None and announced != self._read:
            try:
                found = self._shared.get(release_partition(self._task), _KEY)
                keys = load_trusted_keys(self._settings.trusted_keys_file)
            except (StoreError, ConfigurationError):
                return self._newest
            self._read = announced
            self._newest = max(self._newest, self._sequence(None if found is None else found.text, keys))
        return self._newest

    def place(self) -> str:
        """Return where the newest statement stands, for messages."""
        return "" if self._shared is None else self._shared.place(release_partition(self._task), _KEY)

    def keep(self, served: ServedPair) -> None:
        """Keep a pair with its statements for tasks that do not have it, and tell them of its release.

        Raises:
            StoreError: table or bucket does not answer.
        """
        if self._bucket is not None:
            digest = envelope_digest(served.release_envelope, "the release")
            name = f"{served.sequence:08d}-{digest[:16]}.json"
            self._bucket.put_json(self._folder + name, last_known_good_text(served, self._settings.environment))
        if self._shared is not None:
            keys = load_trusted_keys(self._settings.trusted_keys_file)
            self._shared.change(
                release_partition(self._task),
                _KEY,
                lambda text: None if self._sequence(text, keys) >= served.sequence else served.release_envelope,
            )

    def read(self) -> ServedPair | None:
        """Return the newest pair in the bucket, or None when there is none or no bucket.

        Raises:
            RegistryError: none of them verifies, or a newer release is known from the table or from the ledger's copy.
            ConfigurationError: the trusted keys cannot be read.
        """
        if self._bucket is None:
            return None
        keys = load_trusted_keys(self._settings.trusted_keys_file)
        served, problem = self._best(self._bucket, keys)
        if served is None:
            if problem is not None:
                raise RegistryError(problem)
            return None
        known = max(self.newest(), newest_in_ledger(self._task, self._settings, keys))
        if served.sequence < known:
            raise RegistryError(
                f"the newest copy in the bucket is release {served.sequence}, but release {known} was made: a newer copy was "
                "removed; the service waits for the registry"
            )
        return served

    def _best(self, bucket: ObjectStore, keys: TrustedKeys) -> tuple[ServedPair | None, str | None]:
        policy, environment = UnseenPolicy.of(self._settings), self._settings.environment
        problem: str | None = None
        try:
            found = sorted((item.key for page in bucket.listed(self._folder) for item in page), reverse=True)
            for key in found[:_MOST_READ]:
                stored = bucket.read(key, most_bytes=_MOST_BYTES)
                try:
                    served = parse_last_known_good(
                        (stored.body if stored is not None and stored.body else b"").decode("utf-8", "replace"),
                        self._task,
                        environment,
                        keys,
                        policy,
                        where=f"in the bucket ({key})",
                        remedy="delete the object",
                    )
                except RegistryError as err:
                    problem = problem or str(err)
                    continue
                # A copy of an older release under a newer name would be found before the newest one.
                if served is not None and key.startswith(f"{self._folder}{served.sequence:08d}-"):
                    return served, None
                problem = problem or f"object {key} in the bucket holds another release or environment; delete it"
        except StoreError as err:
            problem = str(err)
        return None, problem

    def _sequence(self, envelope: str | None, keys: TrustedKeys) -> int:
        if envelope is None:
            return 0
        try:
            release, _ = read_release(envelope, keys, "the newest release in the shared table")
        except RegistryError:
            return 0  # forged, or signed with a key that is no longer trusted
        known = (release.task, release.environment) == (self._task, self._settings.environment)
        return release.sequence if known else 0
