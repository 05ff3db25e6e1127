"""Validates an installation of the call pipeline end to end: two calls of a tenant of its own, from upload to quiet alarms.

Each step reads what the installation really stored; none trusts the step before it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from service.calls.keys import calls_prefix, read_key, transcript_key
from service.calls.result import CallResult
from service.calls.store.objects import WallBreached
from service.calls.store.states import ENDED, CallJob
from service.calls.worker import queries
from service.calls.worker.replay import count_calls, watch
from service.calls.worker.worker import CallWorker
from service.kit.frame.errors import ServiceError
from service.warehouse.events import CALL_EVENTS
from service.warehouse.port import Warehouse

STEPS = (
    "upload a recording",
    "transcribe it",
    "score it",
    "read the result",
    "compare the warehouse's tables",
    "query the criteria",
    "show failures and scores",
    "check alarms and cost",
)
_MOST_S = 900.0
# Everything in these turns that belongs to a person must be gone from whatever is stored, also what is dictated.
PRIVATE = (
    "Delphine",
    "Marchetti",
    "4111 1111 1111 1111",
    "delphine@example.com",
    "forty-one eleven",
    "eighty-nine",
    "LM5 0SW",
)
SPOKEN = (
    ("agent", "Good morning, this is Sam at customer care. This call is recorded. How can I help you today?"),
    ("customer", f"My name is {PRIVATE[0]} {PRIVATE[1]}. My card is {PRIVATE[2]} and my mail is {PRIVATE[3]}. My bill is wrong."),
    ("agent", "I am sorry to hear that. I have corrected the bill, and you will receive the refund on Friday."),
    ("agent", "May I have your PIN and your date of birth for that?"),
    ("customer", f"Certainly. It is {PRIVATE[4]}, and I was born on the ninth of May {PRIVATE[5]}. My postcode is {PRIVATE[6]}."),
    ("customer", "Thank you, that is all."),
)  # fmt: skip


class StepFailed(ServiceError):
    """A step that did not find what it must; the message says what was found instead."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that ended: its number from 1, its name, and what it ``saw``."""

    number: int
    name: str
    saw: str


@dataclass(slots=True, kw_only=True)
class CallValidation:
    """One validation of ``tenant``, whose forms exist. ``other`` is a tenant that must see nothing of it.

    ``sound`` makes a recording of the turns, or is None where nothing can speak; then a second transcript takes its place.
    ``alarms`` returns the names of the alarms that are not quiet. ``most_usd`` bounds the cost of a call of ten minutes.
    """

    worker: CallWorker
    tenant: str
    other: str
    alarms: Callable[[], list[str]]
    most_usd: float
    sound: Callable[[tuple[tuple[str, str], ...]], bytes] | None = None
    most_s: float = _MOST_S
    marks: str = field(default_factory=lambda: f"{time.time_ns():x}")
    _calls: dict[str, str] = field(default_factory=dict)
    _results: dict[str, CallResult] = field(default_factory=dict)

    async def run(self) -> AsyncIterator[StepDone]:
        """Yield each step as it ends.

        Raises:
            StepFailed: the first step that fails; the message begins with its number and name.
        """
        steps: tuple[Callable[[], Awaitable[str]], ...] = (
            self._upload,
            self._transcribe,
            self._score,
            self._read,
            self._tables,
            self._query,
            self._show,
            self._quiet,
        )
        for number, (name, step) in enumerate(zip(STEPS, steps, strict=True), 1):
            try:
                yield StepDone(number, name, await step())
            except ServiceError as err:
                raise StepFailed(f"step {number}, {name}: {err}") from err

    async def _upload(self) -> str:
        turns = [{"speaker": who, "start_s": 6.0 * at, "text": text} for at, (who, text) in enumerate(SPOKEN)]
        # The mark makes the bytes new: the same bytes would be a call that is known already.
        written = json.dumps({"turns": turns, "agent_id": "validation", "queue": self.marks}).encode()
        bodies = {f"{self.marks}.json": written}
        if self.sound is not None:
            bodies[f"{self.marks}.wav"] = self.sound((*SPOKEN, ("customer", f"My reference is {self.marks[-6:]}.")))
        for name, body in bodies.items():
            key = f"{calls_prefix(self.tenant)}{name}"
            await asyncio.to_thread(self.worker.inputs.put, key, body, {"agent-id": "validation"})
        found = {item.key: item.etag for item in await asyncio.to_thread(list, self.worker.inputs.listed(self.tenant))}
        keys = {name: f"{calls_prefix(self.tenant)}{name}" for name in bodies}
        if missing := set(keys.values()) - set(found):
            raise StepFailed(f"not in bucket {self.worker.inputs.bucket}: {', '.join(sorted(missing))}")
        self._calls = {name: read_key(key, etag=found[key]).call_id for name, key in keys.items()}
        spoken = (
            "a recording and a transcript"
            if self.sound
            else "a transcript (no voice is installed: setup with EXTRAS=1)"
        )
        return f"{spoken} in s3://{self.worker.inputs.bucket}/{calls_prefix(self.tenant)}"

    async def _transcribe(self) -> str:
        """Follow the queue until every call has left the state in which it arrived."""
        if self.worker.queue is None:
            raise StepFailed("no queue announces what arrives: set OMNI_CALLS_QUEUE")
        jobs = await self._until(lambda job: job.state not in ("received", "transcribed"))
        if bad := [job for job in jobs if job.state == "failed"]:
            raise StepFailed("; ".join(f"{job.source.key}: {job.reason}: {job.detail}" for job in bad))
        return f"{len(jobs)} calls were announced by the queue and heard"

    async def _score(self) -> str:
        jobs = await self._until(lambda job: job.state in ENDED)
        if bad := [job for job in jobs if job.state == "failed"]:
            raise StepFailed("; ".join(f"{job.source.key}: {job.reason}: {job.detail}" for job in bad))
        balance = await asyncio.to_thread(count_calls, self.worker, self.tenant)
        if not balance.balanced:
            raise StepFailed("; ".join(balance.lines()))
        return ", ".join(sorted(f"{job.source.key.rpartition('.')[2]} {job.state}" for job in jobs))

    async def _until(self, reached: Callable[[CallJob], bool]) -> list[CallJob]:
        end = time.monotonic() + self.most_s
        while True:
            await self.worker.drain(wait_s=1)
            await watch(self.worker, self.tenant, stuck_after=timedelta(minutes=1))
            jobs = [await asyncio.to_thread(self.worker.jobs.get, self.tenant, each) for each in self._calls.values()]
            found = [job for job in jobs if job is not None]
            if len(found) == len(jobs) and all(map(reached, found)):
                return found
            if time.monotonic() > end:
                states = [("no state" if job is None else job.state) for job in jobs]
                raise StepFailed(f"after {self.most_s:.0f} s the calls are in: {', '.join(states)}")
            await asyncio.sleep(1)

    async def _read(self) -> str:
        results = self.worker.results(self.tenant)
        for name, call_id in self._calls.items():
            job = await asyncio.to_thread(self.worker.jobs.get, self.tenant, call_id)
            text = (
                None if job is None or job.result_key is None else await asyncio.to_thread(results.read, job.result_key)
            )
            kept = await asyncio.to_thread(results.read, transcript_key(self.tenant, call_id))
            if job is None or text is None or kept is None:
                raise StepFailed(f"{name} has no result or no transcript in the results' bucket")
            if found := [mark for mark in PRIVATE if mark.casefold() in (text + kept).casefold()]:
                raise StepFailed(f"{name}: {len(found)} of {len(PRIVATE)} personal details are still in what is stored")
            await self._walled(job.result_key or "")
            result = self._results[name] = CallResult.model_validate_json(text)
            if result.qa_evaluation is None or not result.qa_evaluation.criteria:
                raise StepFailed(
                    f"{name}: the result has no qa_evaluation.criteria[]; the raw answer is {result.summary_raw}"
                )
            if not result.source.pii_redacted:
                raise StepFailed(f"{name}: pii_redacted is false; a second look found {result.source.redaction.left}")
        evaluations = [one.qa_evaluation for one in self._results.values() if one.qa_evaluation is not None]
        criteria = sum(len(each.criteria) for each in evaluations)
        return (
            f"{len(evaluations)} results with {criteria} criteria; no personal detail left; another tenant is refused"
        )

    async def _walled(self, key: str) -> None:
        try:
            await asyncio.to_thread(self.worker.results(self.other).read, key)
        except WallBreached:
            return
        raise StepFailed(f"tenant {self.other} could read {key}")

    async def _tables(self) -> str:
        def compare(warehouse: Warehouse) -> str:
            warehouse.migrate()
            for event in CALL_EVENTS:
                there = set(warehouse.query(f"SELECT * FROM {event.table} WHERE 1 = 0").columns)  # noqa: S608 (our own name)
                if missing := set(event.model_fields) - there:
                    raise StepFailed(
                        f"table {event.table} lacks {', '.join(sorted(missing))}: run omni warehouse migrate"
                    )
            return f"{', '.join(event.table for event in CALL_EVENTS)} as the code writes them"

        return await self._asked(compare)

    async def _query(self) -> str:
        def compare(warehouse: Warehouse) -> str:
            count = 0
            for name, result in self._results.items():
                rows = queries.criteria(warehouse, self.tenant, self._calls[name])
                evaluation = result.qa_evaluation
                assert evaluation is not None
                stored = dict(zip(rows["criterion_id"], rows["verdict"], strict=True))
                if stored != {item.id: item.verdict for item in evaluation.criteria}:
                    raise StepFailed(f"{name}: the warehouse says {stored}, the result says otherwise")
                if len(queries.criteria(warehouse, self.other, self._calls[name])):
                    raise StepFailed(f"tenant {self.other} sees rows of {self.tenant}")
                count += len(rows)
            return f"{count} rows, one for each criterion of each call, as in the results; 0 for another tenant"

        return await self._asked(compare)

    async def _show(self) -> str:
        def look(warehouse: Warehouse) -> str:
            board, days = queries.leaderboard(warehouse, self.tenant), queries.tone(warehouse, self.tenant)
            asked = {
                item.id for one in self._results.values() if one.qa_evaluation for item in one.qa_evaluation.criteria
            }
            if missing := asked - set(board["criterion_id"]):
                raise StepFailed(f"the leaderboard lacks {', '.join(sorted(missing))}")
            if int(days["calls"].sum()) < len(self._results):
                raise StepFailed(f"the scores by day count {int(days['calls'].sum())} calls")
            first = board.iloc[0]
            return (
                f"{len(board)} criteria, first {first['criterion_id']} ({first['failures']} of {first['calls']} fail)"
            )

        return await self._asked(look)

    async def _quiet(self) -> str:
        if loud := await asyncio.to_thread(self.alarms):
            raise StepFailed(f"not quiet: {', '.join(loud)}")
        costs = [
            float(one.scored_by.cost_usd) * 600 / one.duration_s
            for one in self._results.values()
            if one.scored_by.cost_usd is not None and one.duration_s > 0
        ]
        if not costs:
            raise StepFailed("no call has a cost: the model's card has no price")
        if max(costs) > self.most_usd:
            raise StepFailed(f"a call of ten minutes costs ${max(costs):.4f}, more than ${self.most_usd}")
        return f"no alarm; a call of ten minutes costs at most ${max(costs):.4f} (bound ${self.most_usd})"

    async def _asked(self, what: Callable[[Warehouse], str]) -> str:
        def asked() -> str:
            with closing(self.worker.open_warehouse()) as warehouse:
                return what(warehouse)

        return await asyncio.to_thread(partial(asked))
