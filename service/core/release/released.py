"""All pairs of a task that were released and not taken back, for whoever is not served by the pair in production."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from cachetools import TTLCache, cached

from service.core.release.artifacts import with_artifacts
from service.core.release.registry import released_versions
from service.core.release.registry_version import verify_version
from service.core.release.release import Release, verified_steps
from service.core.release.served import ServedPair
from service.core.release.statements import TrustedKeys, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

_KNOWN_FOR_S = 60.0


def released_pairs(
    task: str, settings: Settings, artifacts: MutableMapping[str, bytes] | None = None
) -> list[ServedPair]:
    """Return the released pairs of ``task``, the newest release first; blocking.

    A pair from which production was rolled back counts again once it is released again. What does not verify is left out, and so
    is a pair whose artifacts are not here; ``artifacts`` are those that were verified before, by SHA-256.

    Raises:
        RegistryError: the registry does not answer.
        ConfigurationError: the trusted keys cannot be read.
    """
    keys, policy = load_trusted_keys(settings.trusted_keys_file), UnseenPolicy.of(settings)
    versions = released_versions(task, settings)
    taken_back = _taken_back([dict(version.tags or {}) for version in versions], task, keys)
    found: list[ServedPair] = []
    for version in versions:
        try:
            served = verify_version(task, version, settings.environment, keys, policy)
            served = with_artifacts(served, settings, artifacts)
        except RegistryError:
            continue  # never released, or not for this stage; `omni verify` reports what is forged
        if served.sequence > taken_back.get(served.pair.digest, 0):
            found.append(served)
    return sorted(found, key=lambda served: served.sequence, reverse=True)


def known_released_pairs(task: str, settings: Settings) -> Callable[[], Sequence[ServedPair]]:
    """Return a function that returns ``released_pairs``, at most a minute old."""
    known: TTLCache[Any, Sequence[ServedPair]] = TTLCache(1, _KNOWN_FOR_S)
    artifacts: dict[str, bytes] = {}
    return cached(known)(lambda: released_pairs(task, settings, artifacts))


def _taken_back(versions: Sequence[Mapping[str, str]], task: str, keys: TrustedKeys) -> dict[str, int]:
    """Return the newest rollback from each pair by its digest."""
    newest: dict[str, int] = {}
    for release in verified_steps(Release, task, versions, keys):
        if release.kind == "rollback" and release.from_digest is not None:
            newest[release.from_digest] = max(release.sequence, newest.get(release.from_digest, 0))
    return newest
