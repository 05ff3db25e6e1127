"""The release statement: a signed record of one move of a task's production alias (digest, time, who, why, evidence)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter

from service.core.release.judge_exception import SignedException, exception_from, unsaid
from service.core.release.statements import Statement, TrustedKeys, build_statement, read_claims
from service.kit.frame.errors import RegistryError
from service.kit.settings import Stage

ALIAS = "production"
DIGEST_TAG = "omni.pair_digest"
NAME_TAG = "omni.pair_name"
ENVIRONMENT_TAG = "omni.environment"
RELEASE_TAG_PREFIX = "omni.release."
ATTESTATION_TAG_PREFIX = "omni.attestation."
RELEASE_TYPE = "https://omni-insights.dev/release/v1"  # a name; nothing is fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStep:
    """What a release and a step of a rollout state alike. ``sequence`` grows by one with every step; ``at`` is ISO 8601 UTC.

    ``attestation`` is the digest of the evidence's envelope. ``stage`` is the deployment that the step is for; None: an older
    one, for every deployment of ``environment``. ``who`` is a person: in CI whoever approved. ``unseen_allowed_in`` is the stage
    for which the pair is released although nobody looked at some kinds of harm, ``without_judge`` the reason for that,
    ``without_judge_by`` who allowed it and ``without_judge_until`` its last day (UTC). None: the step is no such exception, or an
    older one that does not say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    tag_prefix: ClassVar[str]
    statement_type: ClassVar[str]

    task: str
    sequence: int
    registry_version: int
    pair_name: str
    pair_digest: str
    gate_run_id: str
    attestation: str
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
        """Return whether services of ``stage`` may take this step; older ones state no stage, and are for an environment."""
        return self.environment == environment if self.stage is None else self.stage == stage

    @property
    def tag(self) -> str:
        """Name of the version tag that holds this step; zero-padded, so that names sort like numbers."""
        return f"{self.tag_prefix}{self.sequence:06d}"

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
        stated = unsaid(_adapter(type(self)).dump_python(self, mode="json", exclude={"pair_name", "pair_digest"}))
        return build_statement(f"{self.task}/{self.pair_name}", self.pair_digest, self.statement_type, stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(SignedStep):
    """One move of the alias, rollbacks included. ``previous`` is the digest of the release before it, None for the first."""

    tag_prefix: ClassVar[str] = RELEASE_TAG_PREFIX
    statement_type: ClassVar[str] = RELEASE_TYPE

    kind: Literal["promote", "rollback", "restore"]
    from_digest: str | None
    previous: str | None

    @property
    def exception(self) -> SignedException | None:
        """The exception under which it was made; None if it needed none."""
        return exception_from(_adapter(Release).dump_python(self, mode="json"))


Step = TypeVar("Step", bound=SignedStep)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[Step]) -> TypeAdapter[Step]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def read_step(kind: type[Step], text: str, keys: TrustedKeys, what: str, remedy: str) -> tuple[Step, Statement]:
    """Verify an envelope and return its step with its statement.

    Raises:
        RegistryError: it does not verify or lacks fields; ``what`` names it, ``remedy`` says what to do.
    """
    return read_claims(_adapter(kind), text, keys=keys, predicate_type=kind.statement_type, what=what, remedy=remedy)


def read_release(text: str, keys: TrustedKeys, what: str) -> tuple[Release, Statement]:
    """Verify a release envelope and return it with its statement; raises as ``read_step`` does."""
    return read_step(Release, text, keys, what, "roll back or release again")


def verified_steps(
    kind: type[Step], task: str, versions: Iterable[Mapping[str, str]], keys: TrustedKeys
) -> Iterator[Step]:
    """Yield the steps of ``task`` in the ``versions``' tags that verify; `omni verify` reports forged ones."""
    for name, text in (item for tags in versions for item in tags.items() if item[0].startswith(kind.tag_prefix)):
        try:
            step, _ = read_step(kind, text, keys, name, "")
        except RegistryError:
            continue
        if step.task == task:
            yield step


def attestation_tag(digest: str) -> str:
    """Return the name of the version tag that holds the attestation envelope with ``digest``."""
    return f"{ATTESTATION_TAG_PREFIX}{digest[:16]}"


def newest_tag(tags: Mapping[str, str], prefix: str = RELEASE_TAG_PREFIX) -> str | None:
    """Return the name of the tag that claims the highest sequence among a version's ``tags``, verified or not."""
    names = (name for name in tags if name.startswith(prefix))
    return max(names, key=lambda name: (len(name), name), default=None)  # by length first: 1,000,000 has one digit more
