"""The release statement: a signed record of one move of a task's production alias (digest, time, who, why, evidence)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from service.core.release.judge_exception import SignedException, exception_from, unsaid
from service.core.release.statements import Statement, TrustedKeys, build_statement, read_claims
from service.kit.settings import Stage

ALIAS = "production"
DIGEST_TAG = "omni.pair_digest"
NAME_TAG = "omni.pair_name"
ENVIRONMENT_TAG = "omni.environment"
RELEASE_TAG_PREFIX = "omni.release."
ATTESTATION_TAG_PREFIX = "omni.attestation."
RELEASE_TYPE = "https://omni-insights.dev/release/v1"  # a name; nothing is fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One move of the alias. ``sequence`` grows by one with every move, rollbacks included; ``at`` is ISO 8601 UTC.

    ``attestation`` and ``previous`` are digests of envelopes: the evidence, and the release before this one (None for the first).
    ``stage`` is the deployment that the release is for; None: an older release, for every one of ``environment``. ``who`` is a
    person: in CI whoever approved. ``unseen_allowed_in`` is the stage for which the pair is released although nobody looked at
    some kinds of harm, ``without_judge`` the reason for that, ``without_judge_by`` who allowed it and ``without_judge_until`` its
    last day (UTC). None: the release is no such exception, or an older one that does not say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    task: str
    sequence: int
    kind: Literal["promote", "rollback", "restore"]
    registry_version: int
    pair_name: str
    pair_digest: str
    from_digest: str | None
    gate_run_id: str
    attestation: str
    previous: str | None
    who: str
    why: str
    at: str
    environment: Literal["local", "aws"]
    stage: Stage | None = None
    approved_by: str | None = None
    pull_request: str | None = None
    unseen_allowed_in: Stage | None = None
    without_judge: str | None = None
    without_judge_by: str | None = None
    without_judge_until: str | None = None

    def is_for(self, stage: Stage, environment: str) -> bool:
        """Return whether services of ``stage`` may take this release; older ones state no stage, and are for an environment."""
        return self.environment == environment if self.stage is None else self.stage == stage

    @property
    def exception(self) -> SignedException | None:
        """The exception under which it was made; None if it needed none."""
        return exception_from(_ADAPTER.dump_python(self, mode="json"))

    @property
    def tag(self) -> str:
        """Name of the version tag that holds this release; zero-padded, so that names sort like numbers."""
        return f"{RELEASE_TAG_PREFIX}{self.sequence:06d}"

    @property
    def moment(self) -> datetime:
        """``at`` as an aware time."""
        return datetime.fromisoformat(self.at)

    @property
    def moments(self) -> tuple[datetime, ...]:
        """All times in the statement."""
        return (self.moment,)

    def statement(self) -> dict[str, Any]:
        """Return the in-toto statement to sign."""
        predicate = unsaid(_ADAPTER.dump_python(self, mode="json", exclude={"pair_name", "pair_digest"}))
        return build_statement(f"{self.task}/{self.pair_name}", self.pair_digest, RELEASE_TYPE, predicate)


_ADAPTER: TypeAdapter[Release] = TypeAdapter(Release)


def read_release(text: str, keys: TrustedKeys, what: str) -> tuple[Release, Statement]:
    """Verify a release envelope and return it with its statement.

    Raises:
        RegistryError: it does not verify or lacks fields; ``what`` names it.
    """
    return read_claims(
        _ADAPTER, text, keys=keys, predicate_type=RELEASE_TYPE, what=what, remedy="roll back or release again"
    )


def attestation_tag(digest: str) -> str:
    """Return the name of the version tag that holds the attestation envelope with ``digest``."""
    return f"{ATTESTATION_TAG_PREFIX}{digest[:16]}"


def newest_release_tag(tags: dict[str, str]) -> str | None:
    """Return the name of the tag that claims the highest sequence among a version's ``tags``, verified or not."""
    names = (name for name in tags if name.startswith(RELEASE_TAG_PREFIX))
    return max(names, key=lambda name: (len(name), name), default=None)  # by length first: 1,000,000 has one digit more
