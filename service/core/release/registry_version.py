"""Verifies a version of a prompt in MLflow's registry: as the pair in production, or as the candidate of a rollout."""

from typing import Any

from service.core.release.registry_record import from_registry
from service.core.release.release import attestation_tag
from service.core.release.rollout import CANDIDATE_ALIAS, RolloutCandidate, verify_rollout
from service.core.release.served import ServedPair
from service.core.release.statements import TrustedKeys
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import verify_tags
from service.kit.frame.errors import RegistryError


def verify_version(task: str, found: Any, environment: str, keys: TrustedKeys, policy: UnseenPolicy) -> ServedPair:
    """Verify an MLflow prompt version and return its pair for serving.

    Raises:
        RegistryError: changed content, or no release and attestation that verify for this task, version, pair and environment.
    """
    tags = dict(found.tags or {})
    pair = from_registry(found.template, found.model_config, tags, f"version {found.version} of prompt {task!r}")
    released = verify_tags(
        tags,
        task=task,
        version=int(found.version),
        pair_digest=pair.digest,
        environment=environment,
        keys=keys,
        policy=policy,
    )
    return released.served(pair, "registry")


def verify_candidate(
    task: str, found: Any, environment: str, keys: TrustedKeys, policy: UnseenPolicy
) -> RolloutCandidate:
    """Return the candidate and rollout step that an MLflow prompt version holds.

    Raises:
        RegistryError: changed content, no step, or one that does not verify for this task, version, pair and environment.
    """
    tags = dict(found.tags or {})
    pair = from_registry(found.template, found.model_config, tags, f"version {found.version} of prompt {task!r}")
    rollout = verify_rollout(
        tags,
        task=task,
        version=int(found.version),
        pair_digest=pair.digest,
        environment=environment,
        keys=keys,
        policy=policy,
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
        attestation_envelope=tags.get(attestation_tag(rollout.attestation), ""),
        rollout_arm="candidate",
    )
    return RolloutCandidate(served=served, rollout=rollout, envelope=tags[rollout.tag])
