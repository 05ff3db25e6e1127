"""Turns candidates into proposals: fetches their inputs, pseudonymizes them, and drops copies of known cases and proposals."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from eval.casecheck.files import CaseLine, case_paths, read_case_file
from eval.casecheck.overlap import copied_passages, reworded_cases
from eval.harvest.candidates import HarvestCandidate
from eval.harvest.case_source import CaseSource, Origin
from eval.harvest.proposal import Proposal, Provenance, read_proposals
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case
from eval.spine.errors import HarvestError, InputsUnfit
from service.core.run.task import Task

REGRESSION = "regression"


@dataclass(slots=True, kw_only=True)
class Proposed:
    """The new proposals, and for the candidates left out a count by reason."""

    new: list[Proposal] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestContext:
    """What proposing and accepting need; ``folder`` holds the case files, ``key`` makes the pseudonyms."""

    task: Task[Any]
    source: CaseSource[Any]
    rules: CaseRules
    folder: Path
    key: bytes
    against: tuple[str, ...] = ()  # stems of the sets to compare with; empty: all sets

    @property
    def case_model(self) -> type[BaseModel]:
        """The model of a case's inputs: the task's own, or what the suite plays cases from."""
        return self.rules.scenario_model or self.task.input_model

    def sets(self) -> list[CaseLine]:
        """Return the cases of the sets to compare with; ``HarvestError`` if a set named in ``against`` does not exist."""
        paths = case_paths(self.folder)
        unknown = set(self.against) - {path.stem for path in paths} - {REGRESSION}
        if unknown:
            raise HarvestError(f"no set {', '.join(sorted(unknown))}; sets: {', '.join(path.stem for path in paths)}")
        wanted = [path for path in paths if not self.against or path.stem in self.against]
        return [line for path in wanted for line in read_case_file(path, self.task.input_model, self.rules)[0]]

    def set_names(self) -> list[str]:
        """Return the names of the task's sets, without that of harvested cases."""
        return [path.stem for path in case_paths(self.folder) if path.stem != REGRESSION]

    def proposals(self, path: Path) -> list[Proposal]:
        """Return the proposals of ``path``, their expectations as the task's model reads them (see ``read_proposals``)."""
        return read_proposals(path, self.rules.expectations)

    def line(self, case: Case, *, file: str, number: int) -> CaseLine:
        """Return ``case`` as a line of ``file``, in the form that the case checker compares."""
        inputs = self.case_model.model_validate(case.inputs)
        return CaseLine(file=file, line=number, case=case, inputs=inputs, rules=self.rules)


def propose(
    candidates: Sequence[HarvestCandidate],
    earlier: Sequence[Proposal],
    origin: Origin[BaseModel],
    context: HarvestContext,
    *,
    week: str,
    most: int,
) -> Proposed:
    """Return at most ``most`` new proposals from ``week``'s candidates, in their order.

    Raises:
        StoreError: a store does not answer.
        CaseError: a case file cannot be read.
    """
    found = Proposed()
    seen = {item.provenance.summary_id for item in earlier}
    lines = context.sets()
    lines += [context.line(item.case, file="earlier", number=number) for number, item in enumerate(earlier, start=1)]
    for candidate in candidates:
        if len(found.new) == most:
            found.left_out["beyond --most"] += 1
            continue
        if candidate.summary_id in seen:
            found.left_out["proposed before"] += 1
            continue
        seen.add(candidate.summary_id)
        try:
            inputs = origin.inputs(candidate.source_key, candidate.generated_at)
            if inputs is None:
                found.left_out["history gone"] += 1
                continue
            proposal = _proposal(candidate, inputs, context, week)
        except InputsUnfit as err:
            found.left_out[str(err)] += 1
            continue
        except HarvestError:
            found.left_out["not redactable"] += 1
            continue
        line = context.line(proposal.case, file="new", number=len(found.new) + 1)
        if copy := _copied(line, lines):
            found.left_out[f"copy of {copy}"] += 1
            continue
        lines.append(line)
        found.new.append(proposal)
    return found


def _copied(line: CaseLine, others: Sequence[CaseLine]) -> str | None:
    """Return the file of the first case that tells the same story, or None.

    The cheap comparison by n-grams runs first and finds most copies; the comparison by vectors needs all texts at once.
    """
    for problems in (copied_passages, reworded_cases):
        for problem in problems([*others, line]):
            if problem.file == line.file and problem.line == line.line and problem.also:
                return problem.also
    return None


def _proposal(candidate: HarvestCandidate, original: BaseModel, context: HarvestContext, week: str) -> Proposal:
    source, rules = context.source, context.rules
    inputs = source.without_persons(original, context.key)
    name = hashlib.sha256(candidate.summary_id.encode()).hexdigest()[:8]
    edited = candidate.edited_summary and source.redacted(candidate.edited_summary, original)
    drafted = source.case_inputs(inputs)
    case = Case(
        id=f"reg-{week.lower()}-{name}",
        inputs=drafted.model_dump(mode="json"),
        expectations=source.expectations(edited, inputs, rules),
        slices={**rules.observed(drafted), "reason": candidate.reasons[0]},
        origin=f"feedback of {week}, {candidate.pair} {candidate.pair_digest[:12]}",
    )
    return Proposal(
        case=case,
        provenance=Provenance(
            **{name: getattr(candidate, name) for name in Provenance.model_fields.keys() - {"week", "reason"}},
            week=week,
            reason="+".join(candidate.reasons),
        ),
        shown=source.redacted(candidate.shown, original),
        said_reason=candidate.said_reason,
        comment=candidate.comment and source.redacted(candidate.comment, original),
    )
