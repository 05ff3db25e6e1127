"""Reads ``infra/pipeline.yaml``: the stages of the pipeline, what each reads and writes, and how long it may take."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from omni.schedule.plan import Duration
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, parse_yaml, read_strict

PLAN_FILE = Path("infra") / "pipeline.yaml"
StageId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,40}$")]
_FILE = re.compile(r"[a-z_]+\.jsonl?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PipelineStage(_Part):
    """One stage; the meaning of its fields stands in ``infra/pipeline.yaml``."""

    id: StageId
    what: str = Field(min_length=3, max_length=200)
    reads: tuple[str, ...]
    writes: tuple[str, ...] = Field(min_length=1)
    timeout: Duration

    @property
    def timeout_s(self) -> int:
        """The timeout in seconds."""
        found: timedelta = self.timeout
        return int(found.total_seconds())


class PipelinePlan(_Part):
    """The stages in their order."""

    stages: tuple[PipelineStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        written = [name for stage in self.stages for name in stage.writes]
        if wrong := [name for name in written if not _FILE.fullmatch(name)]:
            raise ValueError(f"a stage writes {wrong[0]!r}: name a file such as answers.jsonl")
        for what, names in (("id", [stage.id for stage in self.stages]), ("file", written)):
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{what} {twice[0]!r} stands twice")
        return self

    def stage(self, name: str) -> PipelineStage:
        """Return the stage ``name``.

        Raises:
            ConfigurationError: there is none; the message names those there are.
        """
        for stage in self.stages:
            if stage.id == name:
                return stage
        raise ConfigurationError(f"no stage {name!r}; stages: {', '.join(stage.id for stage in self.stages)}")


def read_plan(path: Path, known: Callable[[str], bool]) -> PipelinePlan:
    """Read the declaration; ``known`` tells whether there is code for a stage.

    Raises:
        ConfigurationError: it is missing or wrong, or a stage has no code; the message names the place.
    """
    try:
        _, raw = parse_yaml(read_strict(path, MOST_YAML_BYTES))
        plan = PipelinePlan.model_validate(raw)
    except NotStrict as err:
        where = f"{path}:{err.line}" if err.line else str(path)
        raise ConfigurationError(f"{where}: {err}") from err
    except OSError as err:
        raise ConfigurationError(f"{path} cannot be read: {err.strerror}") from err
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        raise ConfigurationError(f"{path}: {'.'.join(map(str, first['loc'])) or 'top'}: {first['msg']}") from err
    for stage in plan.stages:
        if not known(stage.id):
            raise ConfigurationError(f"{path}: stage {stage.id!r} has no code in omni/pipeline/stages.py")
    return plan
