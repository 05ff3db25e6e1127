"""Runs a backfill: items are processed in chunks, within a rate and a budget, and a restart resumes after the finished chunks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from eval.alone import working_alone
from eval.backfill.engines import BackfillEngine
from eval.backfill.work import ChunkDone, Mode, Work, WorkItem, chunk_path, read_done
from eval.errors import BackfillError
from service.canonical import canonical_json, sha256_hex
from service.files import write_whole
from service.pair import Pair
from service.settings import Settings
from service.strict import lines_of

_PLAN = "plan.json"


@dataclass(slots=True, kw_only=True)
class BackfillProgress:
    """The progress of a backfill. An earlier run finished ``resumed`` chunks; ``stopped`` is why this one ended early, or ""."""

    chunks: int
    resumed: int = 0
    done: int = 0
    items: int = 0
    failed: int = 0
    cost_usd: Decimal = Decimal(0)
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOrder:
    """What to do with the items, within which limits. ``pair`` is None for ``rescore``, which calls no model."""

    task: str
    mode: Mode
    folder: Path
    pair: Pair | None = None
    chunk_size: int = 50
    per_second: float | None = None
    budget_usd: Decimal | None = None
    concurrency: int = 4

    def digest(self, items: Sequence[WorkItem]) -> str:
        """Return the digest that identifies the work: task, mode, pair, chunk size and the ids of the items."""
        return sha256_hex(
            canonical_json(
                [self.task, self.mode, self.pair and self.pair.digest, self.chunk_size, [item.id for item in items]]
            )
        )


def backfill(
    order: BackfillOrder,
    items: Sequence[WorkItem],
    engine: BackfillEngine,
    settings: Settings,
    say: Callable[[BackfillProgress], None],
) -> BackfillProgress:
    """Process ``items`` in the order of their ids and return the progress; every finished chunk stays on disk.

    The budget is checked between chunks: a chunk starts only if it fits at the mean cost per item so far.

    Raises:
        AlreadyRunning: another process works in the folder.
        BackfillError: the folder holds other work, or two items have the same id.
    """
    ordered = sorted(items, key=lambda item: item.id)
    if len({item.id for item in ordered}) != len(ordered):
        raise BackfillError("an id occurs twice among the items; give each request one line")
    with working_alone(order.folder.with_name(f".{order.folder.name}.lock"), f"the backfill in {order.folder}"):
        _claim(order, ordered)
        return _work_off(order, ordered, engine, settings, say)


def _work_off(
    order: BackfillOrder,
    ordered: Sequence[WorkItem],
    engine: BackfillEngine,
    settings: Settings,
    say: Callable[[BackfillProgress], None],
) -> BackfillProgress:
    chunks = [
        (number, ordered[at : at + order.chunk_size])
        for number, at in enumerate(range(0, len(ordered), order.chunk_size))
    ]
    state = BackfillProgress(chunks=len(chunks))
    left = []
    for number, some in chunks:
        path = chunk_path(order.folder, number)
        if path.exists():
            _count(state, read_done(path, number))
            state.resumed += 1
        else:
            left.append((number, some))
    work = Work(
        task=order.task,
        mode=order.mode,
        pair=order.pair.content() if order.pair else {},
        folder=str(order.folder),
        # Without secrets: workers sign nothing, and their logs contain no personal data.
        settings=settings.flat(defaults=False),
        per_second=order.per_second,
        concurrency=order.concurrency,
    )
    if left and not _fits(order, state, len(left[0][1])):
        state.stopped = _spent(order, state)
        return state
    for done in engine.run(work, left):
        _count(state, done)
        say(state)
        if state.done < state.chunks and not _fits(order, state, order.chunk_size):
            state.stopped = _spent(order, state)
            break
    return state


def rows_of(folder: Path) -> list[str]:
    """Return the lines of all finished chunks, in the order of their items."""
    return [line for path in sorted(folder.glob("chunk-*.jsonl")) for line in lines_of(path.read_text("utf-8"))]


def _count(state: BackfillProgress, done: ChunkDone) -> None:
    state.done += 1
    state.items += done.items
    state.failed += done.failed
    state.cost_usd += done.cost_usd


def _fits(order: BackfillOrder, state: BackfillProgress, size: int) -> bool:
    if order.budget_usd is None:
        return True
    mean = state.cost_usd / state.items if state.items else Decimal(0)
    return state.cost_usd + mean * size <= order.budget_usd and (state.items == 0 or state.cost_usd < order.budget_usd)


def _spent(order: BackfillOrder, state: BackfillProgress) -> str:
    return f"{state.cost_usd:f} of {order.budget_usd:f} USD are spent, too much for another chunk; raise --budget to continue"


def _claim(order: BackfillOrder, ordered: Sequence[WorkItem]) -> None:
    order.folder.mkdir(parents=True, exist_ok=True)
    plan, digest = order.folder / _PLAN, order.digest(ordered)
    if plan.exists():
        if json.loads(plan.read_text(encoding="utf-8"))["digest"] != digest:
            raise BackfillError(f"{order.folder} holds other work (items, pair or chunk size): choose another --name")
        return
    write_whole(plan, json.dumps({"digest": digest, "items": len(ordered)}))
