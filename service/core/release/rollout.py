"""The rollout statement: a signed record of the share of customers that a candidate answers beside production."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from service.core.release.attestation import GateAttestation, read_attestation
from service.core.release.release import SignedStep, attestation_tag, newest_tag, read_step, verified_steps
from service.core.release.served import ServedPair
from service.core.release.statements import TrustedKeys, shown
from service.core.release.unseen import UnseenPolicy
from service.core.release.verification import CLOCK_SKEW, refuse_unseen
from service.core.release.worth import refuse_elsewhere, worth_problem
from service.kit.frame.errors import RegistryError

CANDIDATE_ALIAS = "candidate"
ROLLOUT_TAG_PREFIX = "omni.rollout."
ROLLOUT_TYPE = "https://omni-insights.dev/rollout/v1"  # a name; nothing is fetched
_BUCKETS = 10_000
_Percent = Annotated[int, Field(ge=0, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout(SignedStep):
    """One step of a rollout; its ``sequence`` counts the steps of all candidates of the task.

    The candidate answers ``percent`` of the customers; 0 ends the rollout. For ``shadow_percent`` of the others it answers too,
    without showing the answer. ``steps`` is the plan. The step applies only while ``production_digest`` is in production.
    """

    tag_prefix: ClassVar[str] = ROLLOUT_TAG_PREFIX
    statement_type: ClassVar[str] = ROLLOUT_TYPE

    production_digest: str
    percent: _Percent
    shadow_percent: _Percent
    steps: tuple[_Percent, ...]

    def serves(self, unit: str) -> bool:
        """Return whether the candidate answers ``unit`` (an account number). A larger step keeps all units of a smaller one."""
        return _bucket("serve", self.pair_digest, unit) < self.percent * (_BUCKETS // 100)

    def shadows(self, unit: str) -> bool:
        """Return whether the candidate answers ``unit`` as a shadow: beside production, without showing the answer."""
        return (
            not self.serves(unit) and _bucket("shadow", self.pair_digest, unit) < self.shadow_percent * _BUCKETS // 100
        )


def _bucket(purpose: str, pair_digest: str, unit: str) -> int:
    # Keyed by the candidate's digest: a customer stays on one side of this rollout, and the next candidate starts with others.
    digest = hmac.new(f"{purpose}:{pair_digest}".encode(), unit.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") % _BUCKETS


def read_rollout(text: str, keys: TrustedKeys, what: str) -> Rollout:
    """Verify a rollout envelope and return it; raises as ``read_step`` does."""
    return read_step(Rollout, text, keys, what, "use `omni rollout` again")[0]


def newest_rollout(tags: Mapping[str, str], keys: TrustedKeys, where: str) -> Rollout | None:
    """Return the newest rollout step among the ``tags`` of a registry version, or None when there is none.

    Raises:
        RegistryError: the newest step does not verify, or is a copy of another step.
    """
    tag = newest_tag(tags, ROLLOUT_TAG_PREFIX)
    if tag is None:
        return None
    what = f"rollout step {shown(tag.removeprefix(ROLLOUT_TAG_PREFIX).lstrip('0'), 12)} of {where}"
    rollout = read_rollout(tags[tag], keys, what)
    if rollout.tag != tag:
        raise RegistryError(f"{what} is a copy of step {rollout.sequence}; use `omni rollout` again")
    return rollout


def newest_step(task: str, versions: Sequence[Mapping[str, str]], keys: TrustedKeys) -> int:
    """Return the highest sequence of a verified rollout step of ``task`` in the ``versions``' tags, or 0."""
    return max((step.sequence for step in verified_steps(Rollout, task, versions, keys)), default=0)


def verify_rollout(
    tags: Mapping[str, str],
    *,
    task: str,
    version: int,
    pair_digest: str,
    environment: str,
    keys: TrustedKeys,
    policy: UnseenPolicy | None,
) -> Rollout | None:
    """Return the verified newest rollout step of a registry version whose content has digest ``pair_digest``, if any.

    ``policy`` None skips only the checks that the step is for this stage, and that the stage takes evidence in which nobody
    looked at some kinds of harm.

    Raises:
        RegistryError: forged, copied from elsewhere, for another stage, or without evidence that allows it.
    """
    where = f"version {version} of prompt {task!r}"
    rollout = newest_rollout(tags, keys, where)
    if rollout is None:
        return None
    what = f"rollout step {rollout.sequence} of {where}"
    if (rollout.task, rollout.registry_version, rollout.pair_digest) != (task, version, pair_digest):
        raise RegistryError(f"{what} is about another pair or version; use `omni rollout` again")
    refuse_elsewhere(what, rollout.stage, rollout.environment, environment, policy)
    if rollout.percent == 0 and rollout.shadow_percent == 0:
        return rollout  # ending a rollout needs no evidence
    evidence = tags.get(attestation_tag(rollout.attestation))
    if evidence is None:
        raise RegistryError(f"{what} has no gate attestation {rollout.attestation[:12]} beside it; use `omni rollout`")
    attestation, statement = read_attestation(evidence, keys, f"the gate attestation of {what}")
    if statement.digest != rollout.attestation:
        raise RegistryError(f"the gate attestation of {what} is not the one it names; use `omni rollout` again")
    problem = _missing_evidence(rollout, attestation)
    if problem is not None:
        raise RegistryError(f"{what} is not covered by its evidence: {problem}; use `omni eval`, then `omni rollout`")
    if policy is not None:
        refuse_unseen(what, attestation, rollout.unseen_allowed_in, policy)
    return rollout


def _missing_evidence(rollout: Rollout, attestation: GateAttestation) -> str | None:
    if (attestation.task, attestation.pair_digest) != (rollout.task, rollout.pair_digest):
        return f"its attestation is about {attestation.pair_name} {attestation.pair_digest[:12]}"
    if (attestation.verdict, attestation.scope) != ("pass", "gate"):
        return f"the verdict was {attestation.verdict!r} on {attestation.dataset_name!r}"
    if rollout.stage is None and attestation.environment != rollout.environment:
        return f"its evidence is from {attestation.environment!r}"
    if rollout.stage is not None and (problem := worth_problem(attestation, rollout.stage)) is not None:
        return problem
    if not attestation.issued_at - CLOCK_SKEW <= rollout.moment <= attestation.expires_at:
        return f"it is dated {rollout.at}, outside its attestation's time"
    if attestation.baseline_digest != rollout.production_digest:
        return "it was not compared with the pair that it runs beside"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCandidate:
    """A verified pair with the rollout step that puts it beside production, and this step's signed ``envelope``."""

    served: ServedPair
    rollout: Rollout
    envelope: str
