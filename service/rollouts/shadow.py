"""Shadow answers: a candidate answers real requests without showing them; both answers are kept for `omni shadow report`.

Ids in the kept inputs are replaced by pseudonyms.
"""

import asyncio
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any, Protocol

from pydantic import BaseModel

from service.core.llm.reliability import Reliability
from service.core.release.rollout import RolloutCandidate
from service.core.run.task import Task, TaskContext, TaskResult
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log
from service.rollouts.shadow_record import AnswerRecord, ShadowRecord

# No request waits for a shadow: when this many are running, further ones are skipped and counted.
_MOST_IN_FLIGHT = 8
_MOST_BYTES = 100_000_000


class ShadowArchive(Protocol):
    """Where records outlive this machine."""

    def put_json(self, key: str, text: str) -> str:
        """Write ``text`` as object ``key``. Blocking.

        Raises:
            StoreError: the store failed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowKeeping:
    """What may be kept of a request whose caller knows that it holds no ids, and where: ``put`` blocks, and may raise."""

    inputs: BaseModel
    put: Callable[[ShadowRecord], None]


class Shadow:
    """Runs candidates after the response is ready, and keeps one record per request.

    A task whose inputs must not be stored (``Task.without_ids``) has no shadow answers: its candidate is not asked.

    A record becomes an object of ``archive``; without an archive, or while it fails, a line of ``<folder>/<task>.jsonl``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        archive: ShadowArchive | None = None,
        most_in_flight: int = _MOST_IN_FLIGHT,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._folder, self._archive = folder, archive
        self._most_in_flight, self._most_bytes = most_in_flight, most_bytes
        # A random key of this process: pseudonyms join lines of its traffic and cannot be traced back to a person.
        self._key = token_bytes(32)
        self._appending = threading.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._reliability: Reliability | None = None
        self._private: set[str] = set()
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
        keeping: ShadowKeeping | None = None,
    ) -> None:
        """Start the candidate on a request that was answered with ``shown``; returns at once.

        ``context`` is the request's, with the tools of the candidate instead of its own. With ``keeping`` the record goes there
        alone, and the task is not asked what may be stored.
        """
        if len(self._running) >= self._most_in_flight or shown.arm == "none":
            self.left_out += 1
            return
        # Its own breakers and hedges: a bad candidate must not open the breaker of a model that serves real requests.
        self._reliability = self._reliability or Reliability(context.clock)
        pair = candidate.served.pair
        # Nobody has asked for what a shadow would write.
        tools = None if context.tools is None else context.tools.only_reading(pair.tools)
        unseen = replace(context, pair=pair, patience=1.0, reliability=self._reliability, tools=tools)
        running = asyncio.get_running_loop().create_task(
            self._run(task, inputs, unseen, context.pair.digest, shown, candidate, now, keeping)
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
        keeping: ShadowKeeping | None,
    ) -> None:
        try:
            kept = task.without_ids(inputs, self._pseudonym) if keeping is None else keeping.inputs
            if kept is None:  # an answer that nobody may compare is not worth a call
                self._leave_out(task.name)
                return
            unseen = await task.run(inputs, context)
            record = ShadowRecord(
                id=token_bytes(8).hex(),
                at=now,
                task=task.name,
                rollout=candidate.rollout.sequence,
                inputs=kept.model_dump(mode="json"),
                shown=AnswerRecord.of(shown, shown_digest),
                unseen=AnswerRecord.of(unseen, context.pair.digest),
            )
            if keeping is None:
                await asyncio.to_thread(self._keep, record)
            else:
                await asyncio.to_thread(keeping.put, record)
                self.kept += 1
        except Exception as err:  # a failed shadow must not affect any request
            self.failed += 1
            log(Event.SHADOW_FAILED, task=task.name, error=type(err).__name__)

    def _leave_out(self, task: str) -> None:
        self.left_out += 1
        if task not in self._private:
            self._private.add(task)
            log(Event.SHADOW_LEFT_OUT, task=task, reason="the task's inputs must not be stored")

    def _keep(self, record: ShadowRecord) -> None:
        text = record.model_dump_json()
        if self._archive is not None:
            try:
                self._archive.put_json(record.object_key, text)
            except StoreError as err:  # the report reads the file of this machine, too
                log(Event.SHADOW_FAILED, task=record.task, error=type(err).__name__)
            else:
                self.kept += 1
                return
        self._append(record.task, text)

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
