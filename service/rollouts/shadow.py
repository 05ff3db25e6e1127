"""Shadow answers: a candidate answers real requests without showing them; both answers are kept for the harness to score.

Ids in the kept inputs are replaced by pseudonyms.
"""

import asyncio
import hashlib
import hmac
import json
import os
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

from pydantic import BaseModel

from service.llm.reliability import Reliability
from service.release.rollout import RolloutCandidate
from service.task import Task, TaskContext, TaskResult
from service.telemetry.log import Event, log

# No request waits for a shadow: when this many are running, further ones are skipped and counted.
_MOST_IN_FLIGHT = 8
_MOST_BYTES = 100_000_000


class Shadow:
    """Runs candidates after the response is ready, and appends one line per request to ``<folder>/<task>.jsonl``."""

    def __init__(self, folder: Path, *, most_in_flight: int = _MOST_IN_FLIGHT, most_bytes: int = _MOST_BYTES) -> None:
        self._folder, self._most_in_flight, self._most_bytes = folder, most_in_flight, most_bytes
        # A random key of this process: pseudonyms join lines of its traffic and cannot be traced back to a person.
        self._key = token_bytes(32)
        self._appending = threading.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._reliability: Reliability | None = None
        self.kept = self.left_out = self.failed = 0

    def submit(
        self,
        task: Task[Any],
        inputs: BaseModel,
        context: TaskContext,
        shown: TaskResult,
        candidate: RolloutCandidate,
        *,
        now: datetime,
    ) -> None:
        """Start the candidate on a request that was answered with ``shown``; returns at once."""
        if len(self._running) >= self._most_in_flight or shown.arm == "none":
            self.left_out += 1
            return
        # Its own breakers and hedges: a bad candidate must not open the breaker of a model that serves real requests.
        self._reliability = self._reliability or Reliability(context.clock)
        unseen = replace(context, pair=candidate.served.pair, patience=1.0, reliability=self._reliability)
        running = asyncio.get_running_loop().create_task(
            self._run(task, inputs, unseen, context.pair.digest, shown, candidate, now)
        )
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def drain(self) -> None:
        """Wait for the running shadows."""
        await asyncio.gather(*self._running)

    async def _run(
        self,
        task: Task[Any],
        inputs: BaseModel,
        context: TaskContext,
        shown_digest: str,
        shown: TaskResult,
        candidate: RolloutCandidate,
        now: datetime,
    ) -> None:
        try:
            unseen = await task.run(inputs, context)
            kept = task.without_ids(inputs, self._pseudonym)
            if kept is None:
                self.left_out += 1
                return
            row = {
                "at": now.isoformat(),
                "task": task.name,
                "rollout": candidate.rollout.sequence,
                "inputs": kept.model_dump(mode="json"),
                "shown": {"pair_digest": shown_digest} | _answer(shown),
                "unseen": {"pair_digest": context.pair.digest} | _answer(unseen),
            }
            await asyncio.to_thread(self._append, task.name, json.dumps(row, ensure_ascii=False))
        except Exception as err:  # a failed shadow must not affect any request
            self.failed += 1
            log(Event.SHADOW_FAILED, task=task.name, error=type(err).__name__)

    def _append(self, name: str, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.jsonl"
        data = f"{line}\n".encode()
        # One at a time: concurrent writers would all see room in the file, and one could truncate another's line.
        with self._appending:
            # Readable by the owner alone, because the interactions are the customers' own words. Each line is one write in append
            # mode, which is atomic between workers; each worker may exceed the bound by one line.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size + len(data) > self._most_bytes:
                    self.left_out += 1
                    return
                if os.write(handle, data) < len(data):
                    os.ftruncate(handle, size)  # the disk is full: no half line
                    raise OSError("short write")
                self.kept += 1
            finally:
                os.close(handle)

    def _pseudonym(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:16]


def _answer(result: TaskResult) -> dict[str, Any]:
    return {
        "output": result.output,
        "arm": result.arm,
        "model": result.model,
        "answered_by": result.answered_by,
        "latency_ms": round(result.latency_ms, 1),
        "cost_usd": None if result.cost is None else format(result.cost.metered_usd, "f"),
        "failure": result.failure,
        "guarded": list(result.guarded),
        "repaired": result.repaired,
    }
