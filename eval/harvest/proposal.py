"""A proposed case with its provenance and the reviewer's decision, and the file that holds the proposals."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.spine.cases import Case, Expectations
from eval.spine.errors import HarvestError
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.frame.strict import NotStrict, lines_of, parse_json
from service.kit.settings import Settings

Decision = Literal["open", "accept", "drop", "done"]


class Provenance(BaseModel):
    """Where a proposal comes from; it contains nothing that identifies a customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request_id: str
    summary_id: str
    week: str
    reason: str  # why it is a candidate: not_helpful, edited, degraded, guarded, drifted, overruled; joined by "+"
    pair: str
    pair_digest: str
    prompt_version: str
    registry_version: int
    answered_by: str


class Proposal(BaseModel):
    """One line of the proposals file. ``case`` may still lack facts and a reference, which a person adds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Decision = "open"
    why: str = ""  # the reviewer's note
    case: Case
    provenance: Provenance
    shown: str  # the output that the agent saw, redacted
    said_reason: str | None = None  # what the person named as wrong
    comment: str | None = None

    @property
    def id(self) -> str:
        """The case's id."""
        return self.case.id


def proposals_path(task: str, settings: Settings) -> Path:
    """Return the path of ``task``'s proposals, outside the datasets, because git must not track unreviewed texts."""
    return settings.state_dir / "harvest" / f"{task}.jsonl"


def read_proposals(path: Path, expectations: type[Expectations] = Expectations) -> list[Proposal]:
    """Return the proposals of ``path`` in file order; an empty list if the file does not exist.

    ``expectations`` is the model of the cases' labels, which a task may have of its own.

    Raises:
        HarvestError: a line is not a proposal; the message names the line and the field.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        if not line.strip():
            continue
        try:
            found.append(_parsed(line, expectations))
        except ValidationError as err:
            first = err.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "the object"
            raise HarvestError(f"{path}:{number}: {field}: {first['msg']}; mend the line and run again") from err
        except NotStrict as err:
            raise HarvestError(f"{path}:{number}: {err}; mend the line and run again") from err
    return found


def write_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Replace the whole file; only its owner can read it, because it holds customers' texts that only rules have redacted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{_line(item)}\n" for item in proposals), mode=OWNER_ONLY)


def replaced(proposals: Sequence[Proposal], by: Proposal) -> list[Proposal]:
    """Return ``proposals`` with ``by`` in place of the proposal with the same id."""
    return [by if item.id == by.id else item for item in proposals]


def _parsed(line: str, expectations: type[Expectations]) -> Proposal:
    raw = parse_json(line)
    labels = raw["case"].get("expectations") if isinstance(raw, dict) and isinstance(raw.get("case"), dict) else None
    if isinstance(labels, dict):
        raw["case"]["expectations"] = expectations.model_validate(labels)
    return Proposal.model_validate(raw)


def _line(item: Proposal) -> str:
    # The decision comes first, because people edit it by hand.
    return json.dumps(item.model_dump(mode="json"), ensure_ascii=False)
