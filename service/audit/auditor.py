"""Writes a conversation's events while it is served: in a thread, after the customer has the reply, and never in its way."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

from service.audit.clean import AuditedSession, clean_event, clean_findings, session_of
from service.audit.record import AuditEntry, AuditRecord, ConversationEnd, KeptFinding
from service.audit.step import (
    AuditedTurn,
    ConversationFacts,
    RawEvent,
    is_hallucination,
    start_event,
    turn_events,
)
from service.core.release.served import ServedPair
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply
from service.core.run.task_result import TaskResult
from service.kit.frame.errors import ServiceError
from service.kit.telemetry.log import Event, log, write_line
from service.warehouse.events import SCHEMA_VERSION

_MOST_PENDING = 1_000


class AuditStore(Protocol):
    """Keeps records; blocking. Putting a record again changes nothing."""

    name: str

    def put(self, record: AuditRecord) -> None:
        """Keep ``record``, or raise any error."""


class Auditor:
    """Makes the events of conversations, takes persons out of them, and writes them to the log and to every store."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        environment: str,
        stores: Sequence[AuditStore] = (),
        write: Callable[[str], None] = write_line,
        threads: int = 4,
    ) -> None:
        """Without ``stores`` the log alone has the events. ``now`` returns aware UTC, ``write`` puts a line into the log.

        With several ``threads`` the records of two turns may be written in either order.
        """
        self._now = now
        self._environment = environment
        self._stores = tuple(stores)
        self._write = write
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="audit")
        self._room = threading.BoundedSemaphore(_MOST_PENDING)

    def started(
        self, task: DialogueTask[Any], conversation_id: str, facts: ConversationFacts, *, correlation_id: str
    ) -> None:
        """Write that a conversation begins."""
        event = start_event(facts.started_at or self._now(), facts.channel, facts.session)

        def make() -> AuditRecord:
            # Nothing was said yet, and the ids to take out are those of the session.
            inputs = DialogueInputs(conversation_id=conversation_id, message="-", session=facts.session)
            return self._record(session_of(task, inputs, self._environment), [event], correlation_id)

        self._submit(make, correlation_id)

    def begin(
        self,
        task: DialogueTask[Any],
        inputs: DialogueInputs,
        served: ServedPair,
        *,
        facts: ConversationFacts | None,
        correlation_id: str,
    ) -> AuditedTurn:
        """Return the turn that is being answered; ``facts`` None: the inputs say what is known of the conversation."""
        before = sum(one.by == "customer" for one in inputs.history)
        return AuditedTurn(
            inputs=inputs,
            facts=facts or ConversationFacts(turns=before),
            correlation_id=correlation_id,
            began=self._now(),
            model=served.pair.model,
            offered=tuple(tool.name for tool in served.pair.tools),
            checks=task.checks,
        )

    def ended(
        self, task: DialogueTask[Any], turn: AuditedTurn, result: TaskResult, reply: DialogueReply | None
    ) -> None:
        """Write a turn that was answered; ``reply`` None: it failed."""
        at = self._now()

        def make() -> AuditRecord:
            session = session_of(task, turn.inputs, self._environment)
            events = turn_events(turn, result, reply, at)
            found = clean_findings(session, turn, result, at)
            return self._record(session, events, turn.correlation_id, found)

        self._submit(make, turn.correlation_id)

    def close(self) -> None:
        """Write what is pending."""
        self._pool.shutdown(wait=True)

    def _record(
        self,
        session: AuditedSession,
        events: Sequence[RawEvent],
        correlation_id: str,
        findings: tuple[KeptFinding, ...] = (),
    ) -> AuditRecord:
        return AuditRecord(
            audit_id=correlation_id,
            recorded_at=events[0].at,
            events=tuple(
                clean_event(session, event, correlation_id=correlation_id, number=number)
                for number, event in enumerate(events, 1)
            ),
            findings=findings,
            schema_version=SCHEMA_VERSION,
        )

    def _submit(self, make: Callable[[], AuditRecord], correlation_id: str) -> None:
        if not self._room.acquire(blocking=False):
            log(Event.AUDIT_UNKEPT, request_id=correlation_id, reason=f"{_MOST_PENDING} records are pending")
            return
        try:
            self._pool.submit(self._made, make, correlation_id)
        except RuntimeError:  # the process is ending
            self._room.release()
            log(Event.AUDIT_UNKEPT, request_id=correlation_id, reason="the process is ending")

    def _made(self, make: Callable[[], AuditRecord], correlation_id: str) -> None:
        try:
            keep(make(), stores=self._stores, write=self._write)
        except Exception as err:  # a fault of the audit's own must be seen, and harm nothing
            log(Event.AUDIT_UNKEPT, request_id=correlation_id, reason=type(err).__name__)
        finally:
            self._room.release()


def keep(record: AuditRecord, *, stores: Sequence[AuditStore], write: Callable[[str], None]) -> None:
    """Write a record's events to the log, then the record to each store; a store that fails is logged, and nothing else."""
    for event in record.events:
        write(event.model_dump_json())
        _tell(event)
    for found in record.findings:
        log(
            Event.HALLUCINATION_FOUND if is_hallucination(found.hallucination_type) else Event.CONDUCT_FOUND,
            request_id=found.correlation_id,
            kinds=found.hallucination_type,
            severity=found.severity,
            outcome=found.action_taken,
            task=found.task,
        )
    for store in stores:
        try:
            store.put(record)
        except Exception as err:
            # The message of an error that is not ours may quote what was said.
            why = str(err) if isinstance(err, ServiceError) else type(err).__name__
            log(Event.AUDIT_UNKEPT, request_id=record.audit_id, reason=f"{store.name}: {why}")


def _tell(event: AuditEntry) -> None:
    """Log what metrics are made of."""
    data = event.data or {}
    if event.withheld is not None:
        log(Event.AUDIT_WITHHELD, request_id=event.correlation_id, task=event.task, reason=event.withheld)
    if event.event_type == "validation_check" and data:
        log(
            Event.TURN_VALIDATED,
            request_id=event.correlation_id,
            task=event.task,
            outcome="passed" if data["validation_passed"] else "refused",
            hallucination=data["hallucination_detected"],
        )
    if event.event_type == "conversation_end" and data:
        ended = ConversationEnd.model_validate(data)
        log(
            Event.CONVERSATION_ENDED,
            request_id=event.correlation_id,
            task=event.task,
            outcome=ended.resolution_status,
            turns=ended.total_turns,
        )
