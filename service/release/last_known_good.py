"""Keeps the last known good pair of a task on this machine's disk with its statements, and verifies them on reading."""

import json
from pathlib import Path

from service.errors import PairError, RegistryError
from service.files import write_whole
from service.pair import Pair
from service.release.statements import TrustedKeys
from service.release.unseen import UnseenPolicy
from service.release.verification import verify_released
from service.served import ServedPair


def read_last_known_good(
    path: Path, task: str, environment: str, keys: TrustedKeys, policy: UnseenPolicy
) -> ServedPair | None:
    """Return the pair kept in ``path``, or None when there is none or it is for another environment.

    Raises:
        RegistryError: the file exists and does not verify; the message says why.
    """
    if not path.exists():
        return None
    remedy = f"delete {path}; the service then waits for the registry"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["environment"] != environment:
            return None
        pair = Pair.from_content(raw["pair"])
        released = verify_released(
            raw["release"],
            raw["attestation"],
            task=task,
            version=int(raw["registry_version"]),
            pair_digest=pair.digest,
            environment=environment,
            keys=keys,
            policy=policy,
            what="the last known good release",
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, PairError) as err:
        raise RegistryError(f"the last known good pair on disk is damaged ({type(err).__name__}): {remedy}") from err
    except RegistryError as err:
        raise RegistryError(f"the last known good pair on disk is not served: {err}; or {remedy}") from err
    return released.served(pair, "last_known_good")


def write_last_known_good(path: Path, served: ServedPair, environment: str) -> None:
    """Write ``served`` with its statements durably: the file survives a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "environment": environment,
        "registry_version": served.registry_version,
        "pair": served.pair.content(),
        "release": served.release_envelope,
        "attestation": served.attestation_envelope,
    }
    write_whole(path, json.dumps(content, ensure_ascii=False), durable=True)
