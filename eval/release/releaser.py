"""Who releases: the person at this machine, or in CI the one who approved, with the pull request that was merged."""

import getpass
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from eval.spine.errors import Refused
from service.kit.frame.display.inert import one_line

_LONGEST = 120
_NUMBER = re.compile(r"\d{1,9}")
_MERGED = re.compile(r"\(#(\d{1,9})\)|^Merge pull request #(\d{1,9})")
_REF = re.compile(r"refs/pull/(\d{1,9})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Releaser:
    """Who released, who approved it, and the number or address of the pull request; the last two None where nobody said."""

    who: str
    approved_by: str | None = None
    pull_request: str | None = None

    @classmethod
    def of(
        cls, environment: Mapping[str, str], *, approved_by: str | None = None, pull_request: str | None = None
    ) -> Self:
        """Return the releaser; what GitHub says in its variables stands in for what nobody typed.

        Raises:
            Refused: this is CI, whose user is nobody, and no person is named; or the pull request is neither number nor address.
        """
        request = _request(pull_request) if pull_request else _request_of_event(environment)
        approver = one_line(approved_by, _LONGEST).strip() if approved_by else None
        if not _is_ci(environment):
            return cls(who=getpass.getuser(), approved_by=approver, pull_request=request)
        person = approver or _person(environment.get("GITHUB_ACTOR", ""))
        if person is None:
            raise Refused(
                "this is CI, whose user did not decide anything: name who approved the release with --approved-by (and the pull "
                "request with --pull-request)"
            )
        return cls(who=person, approved_by=person, pull_request=request)


def _is_ci(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name, "").lower() in ("1", "true") for name in ("CI", "GITHUB_ACTIONS"))


def _person(name: str) -> str | None:
    return None if not name or name.endswith("[bot]") else one_line(name, _LONGEST)


def _request(text: str) -> str:
    found = text.strip().removeprefix("#")
    if _NUMBER.fullmatch(found) or (found.startswith("https://") and len(found) <= _LONGEST and found.isprintable()):
        return found
    raise Refused(f"--pull-request is a number or an https address, not {one_line(text, 60)!r}")


def _request_of_event(environment: Mapping[str, str]) -> str | None:
    """Return the number that GitHub's event names: of the pull request itself, or in the message of its merge."""
    ref = _REF.match(environment.get("GITHUB_REF", ""))
    if ref is not None:
        return ref[1]
    try:
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        first_line = str(event["head_commit"]["message"]).partition("\n")[0]
    except (KeyError, OSError, ValueError, TypeError):
        return None
    merged = _MERGED.search(first_line)
    return None if merged is None else merged[1] or merged[2]
