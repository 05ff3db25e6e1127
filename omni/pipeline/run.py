"""Runs stages once: a record per stage says by which inputs it made which outputs, and is written behind them."""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.release.unseen import Say
from omni.pipeline.plan import PipelinePlan, PipelineStage
from omni.pipeline.stages import STAGES, PipelineRun, StageFailed
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A stage that is done: digests (SHA-256) of what it read and wrote by name, what it said, and whether it ran just now."""

    stage: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    said: str
    ran: bool

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {"stage": self.stage, "inputs": dict(self.inputs), "outputs": dict(self.outputs), "said": self.said}


def run_key(task: str, pair: str, customers: Path) -> str:
    """Return the name of a run: the same for the same task, pair and path of the customers' file."""
    return sha256_hex(canonical_json([task, pair, str(customers.resolve())]))[:12]


def run_pipeline(plan: PipelinePlan, run: PipelineRun, say: Say) -> list[StageRecord]:
    """Run the stages in order; one that is done by the same inputs, and whose outputs are there unchanged, is left out.

    Raises:
        StageFailed, ServiceError, HarnessError: a stage could not do its work, or another process runs this pipeline.
    """
    return [run_stage(plan, stage, run, say) for stage in plan.stages]


def run_stage(plan: PipelinePlan, stage: PipelineStage, run: PipelineRun, say: Say) -> StageRecord:
    """Run one stage, unless it is done. See ``run_pipeline``."""
    with _alone(run.folder):
        inputs = _inputs(plan, stage, run)
        record = _record(stage, run)
        if record is not None and record.inputs == inputs and record.outputs == _outputs(stage, run):
            say(f"{stage.id}: done before, {record.said}")
            return record
        say(f"{stage.id}: {stage.what}")
        said = STAGES[stage.id](run)
        made = StageRecord(stage=stage.id, inputs=inputs, outputs=_outputs(stage, run), said=said, ran=True)
        kept = made.to_json() | {"ended": datetime.now(UTC).isoformat(timespec="seconds")}
        write_whole(_path(stage, run), json.dumps(kept, indent=1) + "\n", durable=True)
        say(f"{stage.id}: {said}")
        return made


def _path(stage: PipelineStage, run: PipelineRun) -> Path:
    return run.folder / f"{stage.id}.record.json"


def _record(stage: PipelineStage, run: PipelineRun) -> StageRecord | None:
    try:
        found = json.loads(_path(stage, run).read_text(encoding="utf-8"))
        names = ("stage", "inputs", "outputs", "said")
        return StageRecord(**{name: found[name] for name in names}, ran=False)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, or one that cannot be read: the stage finds by itself what it has done


def _inputs(plan: PipelinePlan, stage: PipelineStage, run: PipelineRun) -> dict[str, str]:
    found = {"customers": _digest(run.customers), "why": sha256_hex(run.why), "steps": sha256_hex(str(run.steps))}
    found |= {name: _digest(run.settings.root / name) for name in _filled(stage, run)}
    for before in plan.stages[: plan.stages.index(stage)]:
        found |= _outputs(before, run)
    return found


def _filled(stage: PipelineStage, run: PipelineRun) -> list[str]:
    return [name.format(task=run.task, pair=run.pair) for name in stage.reads]


def _outputs(stage: PipelineStage, run: PipelineRun) -> dict[str, str]:
    return {name: _digest(run.folder / name) for name in stage.writes}


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files with their names; "" for what is not there."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
    return sha256_hex(canonical_json([[str(one.relative_to(path)), _digest(one)] for one in files])) if files else ""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the run's lock, which the system takes back from a process that was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise StageFailed(f"another process runs this pipeline: {folder}") from err
        yield
