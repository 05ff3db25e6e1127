"""The release statement: which digest is in production for a task, since when, who moved it, why, and on which gate run."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from service.errors import RegistryError

ALIAS = "production"
DIGEST_TAG = "omni.pair_digest"
NAME_TAG = "omni.pair_name"
ENVIRONMENT_TAG = "omni.environment"
RELEASE_TAG_PREFIX = "omni.release."


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One move of the alias. ``sequence`` grows by one with every move, rollbacks included; times are ISO 8601 UTC."""

    task: str
    sequence: int
    kind: Literal["promote", "rollback", "restore"]
    registry_version: int
    pair_name: str
    pair_digest: str
    from_digest: str | None
    gate_run_id: str
    who: str
    why: str
    at: str
    environment: Literal["local", "aws"]

    @property
    def tag(self) -> str:
        """Name of the version tag that holds this release; zero-padded, so that names sort as numbers do."""
        return f"{RELEASE_TAG_PREFIX}{self.sequence:06d}"

    def to_json(self) -> str:
        """Return the statement as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Release":
        """Read a statement back.

        Raises:
            RegistryError: it is not one of ours.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as err:
            raise RegistryError(
                f"a release tag in the registry cannot be read ({err}); roll back or release again"
            ) from err


def newest_release(tags: dict[str, str]) -> Release | None:
    """Return the release with the highest sequence among a version's ``tags``, or None."""
    names = sorted(name for name in tags if name.startswith(RELEASE_TAG_PREFIX))
    return Release.from_json(tags[names[-1]]) if names else None
