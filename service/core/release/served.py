"""The protocol through which requests get the pair in production, and the types that it returns."""

from dataclasses import dataclass
from typing import Literal, Protocol

from service.core.unit.pair import Pair

RolloutArm = Literal["production", "candidate"]
PairOrigin = Literal["registry", "last_known_good", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPair:
    """A verified pair in service. ``source`` is where it was loaded from; ``file`` occurs in the harness only.

    ``rollout_arm`` is its side of a rollout. The envelopes hold the signed statements that it was verified with, so that a cold
    start can verify them again.
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
    """The state of a pair source, for operators; ``last_error`` explains why the newest alias target is not served.

    ``refused`` is the name of that target, if it was found.
    """

    served: ServedPair | None
    last_refresh_at: str | None
    last_error: str | None
    age_s: float | None
    refused: str | None = None


class PairSource(Protocol):
    """Holds the pair in production of one task and refreshes it in the background; reading it never blocks."""

    def current(self) -> ServedPair:
        """Return the pair to serve now; never waits for the registry.

        Raises:
            RegistryError: no verified pair has been found yet.
        """

    def status(self) -> PairSourceStatus:
        """Return the served pair and the outcome of the last refresh."""

    def start(self) -> None:
        """Start refreshing in the background."""

    def stop(self) -> None:
        """Stop refreshing."""
