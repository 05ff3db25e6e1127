"""Verifies that a registry version was released: its release and gate attestation, with public keys alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.release import (
    RELEASE_TAG_PREFIX,
    Release,
    attestation_tag,
    newest_tag,
    read_release,
    verified_steps,
)
from service.core.release.served import PairOrigin, ServedPair
from service.core.release.statements import TrustedKeys
from service.core.release.unseen import UnseenPolicy, unseen_in_full
from service.core.release.worth import refuse_elsewhere, worth_problem
from service.core.unit.pair import Pair
from service.kit.frame.errors import RegistryError
from service.kit.settings import Stage

CLOCK_SKEW = timedelta(minutes=5)  # between the machine that evaluates and the one that promotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A verified release and its verified evidence, with their envelopes."""

    release: Release
    attestation: GateAttestation
    release_envelope: str
    attestation_envelope: str

    def served(self, pair: Pair, source: PairOrigin) -> ServedPair:
        """Return ``pair``, which these statements were verified for, in the form for serving."""
        return ServedPair(
            pair=pair,
            registry_version=self.release.registry_version,
            sequence=self.release.sequence,
            released_at=self.release.at,
            released_by=self.release.who,
            source=source,
            release_envelope=self.release_envelope,
            attestation_envelope=self.attestation_envelope,
        )


def verify_tags(
    tags: Mapping[str, str],
    *,
    task: str,
    version: int,
    pair_digest: str,
    environment: str | None,
    keys: TrustedKeys,
    policy: UnseenPolicy | None,
) -> Released:
    """Return the verified newest release in the tags of a registry version whose content has digest ``pair_digest``.

    ``environment`` None skips only the check that an older release, which states no stage, is for this environment; ``policy``
    None only the checks that the release is for this stage, and that the stage takes evidence in which nobody looked at some
    kinds of harm.

    Raises:
        RegistryError: never released, forged, copied from another version, or released without sufficient evidence.
    """
    where = f"version {version} of prompt {task!r}"
    tag = newest_tag(dict(tags))
    if tag is None:
        raise RegistryError(f"{where} was never released: the alias was moved by hand; use `omni promote`")
    what = f"release {tag.removeprefix(RELEASE_TAG_PREFIX).lstrip('0')} of {where}"
    release, _ = read_release(tags[tag], keys, what)
    if tag != release.tag:
        raise RegistryError(f"{what} is a copy of release {release.sequence}; use `omni promote`")
    evidence = tags.get(attestation_tag(release.attestation))
    if evidence is None:
        raise RegistryError(
            f"{what} has no gate attestation {release.attestation[:12]} beside it: it was removed; use `omni rollback`"
        )
    return verify_released(
        tags[tag],
        evidence,
        task=task,
        version=version,
        pair_digest=pair_digest,
        environment=environment,
        keys=keys,
        policy=policy,
        what=what,
    )


def verify_released(
    release_envelope: str,
    attestation_envelope: str,
    *,
    task: str,
    version: int,
    pair_digest: str,
    environment: str | None,
    keys: TrustedKeys,
    policy: UnseenPolicy | None,
    what: str,
) -> Released:
    """Verify a release and its attestation against each other and against the pair to serve.

    The attestation must have been valid when the pair was promoted. It does not expire in production: a month without an
    evaluation is no reason to stop serving a pair, or to forbid a rollback to it. ``environment`` and ``policy``: see
    ``verify_tags``.

    Raises:
        RegistryError: one of them does not verify or they do not belong together; ``what`` names the release.
    """
    release, _ = read_release(release_envelope, keys, what)
    if (release.task, release.registry_version, release.pair_digest) != (task, version, pair_digest):
        raise RegistryError(f"{what} is a release of another pair or version; use `omni promote`")
    refuse_elsewhere(what, release.stage, release.environment, environment, policy)
    attestation, statement = read_attestation(attestation_envelope, keys, f"the gate attestation of {what}")
    if statement.digest != release.attestation:
        raise RegistryError(f"the gate attestation of {what} is not the one it was released on; use `omni rollback`")
    problem = _missing_evidence(release, attestation)
    if problem is not None:
        raise RegistryError(f"{what} is not covered by its evidence: {problem}; use `omni eval`, then `omni promote`")
    if policy is not None:
        refuse_unseen(what, attestation, release.unseen_allowed_in, policy)
    return Released(
        release=release,
        attestation=attestation,
        release_envelope=release_envelope,
        attestation_envelope=attestation_envelope,
    )


def refuse_unseen(what: str, attestation: GateAttestation, allowed_in: Stage | None, policy: UnseenPolicy) -> None:
    """Refuse evidence in which nobody looked at some sentences or kinds of harm, unless the stage or a signed exception takes it.

    Raises:
        RegistryError: naming the kinds and the remedy; ``what`` names the statement.
    """
    if not policy.refuses(attestation.unseen, allowed_in, attestation.sentences):
        return
    text = unseen_in_full(attestation.unseen, attestation.looked_at, attestation.sentences)
    raise RegistryError(
        f"{what} is not taken in stage {policy.stage!r}: {text}. Calibrate "
        "a judge of these kinds (`omni calibrate`), then `omni eval` and release again; or release again in this stage with "
        "--without-judge and the reason, which is signed into the release"
    )


def newest_sequence(task: str, versions: Sequence[Mapping[str, str]], keys: TrustedKeys) -> int:
    """Return the highest sequence of a verified release of ``task`` in the ``versions``' tags, or 0."""
    return max((release.sequence for release in verified_steps(Release, task, versions, keys)), default=0)


def _missing_evidence(release: Release, attestation: GateAttestation) -> str | None:
    if (attestation.task, attestation.pair_digest) != (release.task, release.pair_digest):
        return f"its attestation is about {attestation.pair_name} {attestation.pair_digest[:12]}"
    if attestation.verdict != "pass":
        return f"the gate's verdict was {attestation.verdict!r}"
    if attestation.scope != "gate":
        return f"it was evaluated on {attestation.dataset_name!r}, which is not the suite's whole gate set"
    if release.stage is None and attestation.environment != release.environment:
        return f"its evidence is from {attestation.environment!r}"
    if release.stage is not None and (problem := worth_problem(attestation, release.stage)) is not None:
        return problem
    if release.moment < attestation.issued_at - CLOCK_SKEW:
        return f"it is dated {release.at}, before its attestation of {attestation.issued_at.isoformat()}"
    if release.kind != "promote":
        return None  # a rollback: expiry and comparison were checked when the pair was promoted
    if release.moment > attestation.expires_at:
        return f"its attestation had expired on {attestation.expires_at.isoformat()}"
    if attestation.baseline_digest != release.from_digest:
        return "it was not compared with the pair that it replaced"
    return None
