"""Processes one chunk of a backfill and writes its rows, all or none; the same on every engine."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from eval.run.models import RunModels
from service.cards import ModelCards
from service.files import write_whole
from service.guard import kinds_of
from service.pair import Pair
from service.settings import Settings
from service.strict import lines_of
from service.task import Task, TaskContext, load_task

_PATIENCE = 10.0  # no agent is waiting, so a slow answer is better than the digest

Mode = Literal["summarise", "rescore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One past request: the task's inputs, and for ``rescore`` the text of its answer."""

    id: str
    inputs: Mapping[str, Any]
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every worker needs, as plain values that can be sent to another process.

    ``per_second`` is this worker's share of the rate, None for no limit; ``concurrency`` is its number of parallel model calls.
    """

    task: str
    mode: Mode
    pair: Mapping[str, Any]  # Pair.content()
    folder: str
    settings: Mapping[str, Any]
    per_second: float | None = None
    concurrency: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDone:
    """A chunk whose rows are on disk."""

    number: int
    items: int
    failed: int
    cost_usd: Decimal


def chunk_path(folder: Path, number: int) -> Path:
    """Return the path of a chunk's rows; the file exists only if the chunk is done."""
    return folder / f"chunk-{number:06d}.jsonl"


def read_done(path: Path, number: int) -> ChunkDone:
    """Return the counts and the cost of a finished chunk."""
    rows = [json.loads(line) for line in lines_of(path.read_text(encoding="utf-8"))]
    return _done(number, rows)


def work_chunk(work: Work, number: int, items: Sequence[WorkItem]) -> ChunkDone:
    """Process ``items`` and write their rows, unless the chunk's file exists already. Blocking."""
    path = chunk_path(Path(work.folder), number)
    if path.exists():
        return read_done(path, number)
    rows = asyncio.run(_rows(work, items))
    write_whole(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    return _done(number, rows)


async def _rows(work: Work, items: Sequence[WorkItem]) -> list[dict[str, Any]]:
    settings = Settings(**work.settings)
    task: Task[Any] = load_task(work.task)
    if work.mode == "rescore":
        return [_rescored(task, item) for item in items]
    pair = Pair.from_content(work.pair)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    free, pace = asyncio.Semaphore(work.concurrency), _Pace(work.per_second)
    with ExitStack() as stack:
        gateway = RunModels(stack, cards, settings, task).gateway([pair])

        async def one(item: WorkItem) -> dict[str, Any]:
            async with free:
                await pace.wait()
                context = TaskContext(pair=pair, gateway=gateway, cards=cards, patience=_PATIENCE)
                result = await task.run(task.input_model.model_validate(item.inputs), context)
                # Without timestamp and latency, so that the same history gives the same row.
                return {
                    "id": item.id,
                    "pair_digest": pair.digest,
                    "output": result.output,
                    "arm": result.arm,
                    "answered_by": result.answered_by,
                    "failure": result.failure,
                    "guarded": list(result.guarded),
                    "repaired": result.repaired,
                    "cost_usd": None if result.cost is None else format(result.cost.metered_usd, "f"),
                }

        return list(await asyncio.gather(*map(one, items)))


def _rescored(task: Task[Any], item: WorkItem) -> dict[str, Any]:
    guard = task.guard(task.input_model.model_validate(item.inputs))
    findings = () if guard is None else guard(item.text or "")
    return {"id": item.id, "findings": len(findings), "kinds": list(kinds_of(findings)), "cost_usd": "0"}


class _Pace:
    """Lets one item through every ``1 / per_second`` seconds."""

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 0.0 if per_second is None else 1 / per_second
        self._last = time.monotonic()  # the previous chunk may have sent its last item just now

    async def wait(self) -> None:
        now = time.monotonic()
        self._last = max(self._last + self._gap_s, now)
        await asyncio.sleep(self._last - now)


def _done(number: int, rows: Sequence[Mapping[str, Any]]) -> ChunkDone:
    return ChunkDone(
        number=number,
        items=len(rows),
        failed=sum(bool(row.get("failure")) for row in rows),
        cost_usd=sum((Decimal(row["cost_usd"] or 0) for row in rows), Decimal(0)),
    )
