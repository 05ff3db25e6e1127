"""The port between whoever keeps the production pair at hand and the requests that are answered with it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from service.pair import Pair

RolloutArm = Literal["production", "candidate"]
PairOrigin = Literal["registry", "last_known_good", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPair:
    """A verified pair as it is served: ``source`` says where it came from; ``file`` occurs in the harness only.

    ``rollout_arm`` says on which side of a rollout it answers.

    The envelopes are the statements that it was verified with, kept so that a cold start can verify them again.
    """

    pair: Pair
    registry_version: int
    sequence: int
    released_at: str
    released_by: str
    source: PairOrigin
    release_envelope: str = ""
    attestation_envelope: str = ""
    rollout_arm: RolloutArm = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSourceStatus:
    """What an operator wants to know: ``last_error`` says why the newest alias target is not served."""

    served: ServedPair | None
    last_refresh_at: str | None
    last_error: str | None
    age_s: float | None


class PairSource(Protocol):
    """Holds the production pair of one task, refreshed in the background, read without waiting."""

    def current(self) -> ServedPair:
        """Return the pair to serve now; never waits for the registry.

        Raises:
            RegistryError: nothing verified has been found yet.
        """
        ...

    def status(self) -> PairSourceStatus:
        """Return what is served and what the last look at the registry found."""
        ...

    def start(self) -> None:
        """Begin refreshing in the background."""
        ...

    def stop(self) -> None:
        """Stop refreshing."""
        ...
