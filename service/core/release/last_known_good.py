"""The last known good pair of a task with its statements, as a text on this machine's disk or elsewhere; verified on reading."""

import json
from pathlib import Path

from service.core.release.served import ServedPair
from service.core.release.statements import TrustedKeys
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import verify_released
from service.core.unit.pair import Pair
from service.kit.frame.errors import PairError, RegistryError
from service.kit.frame.files import write_whole


def last_known_good_text(served: ServedPair, environment: str) -> str:
    """Return ``served`` with its statements as JSON."""
    content = {
        "environment": environment,
        "registry_version": served.registry_version,
        "pair": served.pair.content(),
        "release": served.release_envelope,
        "attestation": served.attestation_envelope,
    }
    return json.dumps(content, ensure_ascii=False)


def parse_last_known_good(
    text: str,
    task: str,
    environment: str,
    keys: TrustedKeys,
    policy: UnseenPolicy,
    *,
    where: str,
    remedy: str,
) -> ServedPair | None:
    """Return the pair in ``text``, or None when it is for another environment.

    Raises:
        RegistryError: it does not verify; the message says why, with ``where`` it was and the ``remedy``.
    """
    try:
        raw = json.loads(text)
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
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, PairError) as err:
        raise RegistryError(f"the last known good pair {where} is damaged ({type(err).__name__}): {remedy}") from err
    except RegistryError as err:
        raise RegistryError(f"the last known good pair {where} is not served: {err}; or {remedy}") from err
    return released.served(pair, "last_known_good")


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise RegistryError(f"the last known good pair on disk is damaged ({type(err).__name__}): {remedy}") from err
    return parse_last_known_good(text, task, environment, keys, policy, where="on disk", remedy=remedy)


def write_last_known_good(path: Path, served: ServedPair, environment: str) -> None:
    """Write ``served`` with its statements durably: the file survives a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, last_known_good_text(served, environment), durable=True)
