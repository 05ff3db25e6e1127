"""Good answers to fresh cases: how often does the guard object to what a careful person wrote?

``datasets/<task>/contrasts/certification.jsonl`` holds cases that nothing was tuned on, ``alarms.jsonl`` cases whose false alarms
were read and mended.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.labels.contrasts.sets import FOLDER
from eval.spine.cases import numbered_lines
from eval.spine.errors import CaseError
from figures.stats import Interval, rate_interval
from service.core.run.guard import Guard, kinds_of
from service.core.run.task import Task

CERTIFICATION, TUNED_ON = "certification", "alarms"
MOST_FALSE_ALARMS = 0.05


class FreshCase(BaseModel):
    """One line: a request's inputs and good answers to it, each by another hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    inputs: Mapping[str, Any]
    answers: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """How many of ``answers`` good answers the guard refuses; ``kinds`` counts the refused ones by kind of finding."""

    cases: int
    answers: int
    refused: int
    kinds: Mapping[str, int]

    @property
    def share(self) -> Interval:
        """The share that is refused, with Wilson's interval; the answers to one case are counted as independent."""
        return rate_interval(self.refused, self.answers)


def count_false_alarms(task: Task[Any], name: str, datasets_dir: Path) -> FalseAlarms | None:
    """Return the guard's false alarms on the fresh cases of file ``name``; None if the task has no such file or no guard.

    Raises:
        CaseError: a line is wrong; the message names file and line.
    """
    path = datasets_dir / task.name / FOLDER / f"{name}.jsonl"
    if not path.exists():
        return None
    cases = refused = answers = 0
    kinds: Counter[str] = Counter()
    for number, line in numbered_lines(path):
        try:
            case = FreshCase.model_validate_json(line)
            inputs = task.input_model.model_validate(case.inputs)
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise CaseError(f"{path}:{number}: {field}: {first['msg']}; mend the line and run again") from err
        guard: Guard | None = task.guard(inputs)
        if guard is None:
            return None
        cases += 1
        for answer in case.answers:
            found = kinds_of(guard(answer))
            answers, refused = answers + 1, refused + bool(found)
            kinds.update(found)
    return FalseAlarms(cases=cases, answers=answers, refused=refused, kinds=dict(kinds))
