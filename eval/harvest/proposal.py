"""A proposed case: what was found, where it came from, and what a person decided about it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.cases import Case
from eval.errors import HarvestError
from service.files import OWNER_ONLY, write_whole
from service.settings import Settings

Decision = Literal["open", "accept", "drop", "done"]


class Provenance(BaseModel):
    """Where a proposal comes from; nothing in it leads back to a customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str
    summary_id: str
    week: str
    reason: str  # why it is looked at: not_helpful, edited, degraded, guarded, drifted; joined by "+"
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    answered_by: str


class Proposal(BaseModel):
    """One line of the proposals' file. ``case`` may still lack what only a person can say: facts, a reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Decision = "open"
    why: str = ""  # the person's note
    case: Case
    provenance: Provenance
    shown: str  # the summary that the agent got, redacted
    comment: str | None = None

    @property
    def id(self) -> str:
        """The case's id."""
        return self.case.id


def proposals_path(task: str, settings: Settings) -> Path:
    """Return the file of ``task``'s proposals. Not beside the cases: nobody has read these yet, and git must not take them."""
    return settings.state_dir / "harvest" / f"{task}.jsonl"


def read_proposals(path: Path) -> list[Proposal]:
    """Return the proposals of ``path`` in its order, none when it does not exist.

    Raises:
        HarvestError: a line is none; which and why.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(Proposal.model_validate_json(line))
        except ValidationError as err:
            first = err.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "the object"
            raise HarvestError(f"{path}:{number}: {field}: {first['msg']}; mend the line and run again") from err
    return found


def write_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Replace the file whole, readable by its owner alone: it holds customers' words, redacted by rules and not by a person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{_line(item)}\n" for item in proposals), mode=OWNER_ONLY)


def replaced(proposals: Sequence[Proposal], by: Proposal) -> list[Proposal]:
    """Return ``proposals`` with ``by`` in place of the one of its id."""
    return [by if item.id == by.id else item for item in proposals]


def _line(item: Proposal) -> str:
    # Decision first: whoever edits the file by hand looks for it.
    return json.dumps(item.model_dump(mode="json"), ensure_ascii=False)
