"""Takes persons out of events and findings before anything is written; what cannot be cleaned is withheld."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from service.audit.record import TYPE_OF, AuditEntry, KeptFinding
from service.audit.step import AuditedTurn, RawEvent, action_taken, tool_results
from service.core.redaction.free_text import RedactionFailed
from service.core.redaction.persons import Persons, json_text, texts_in, with_texts
from service.core.redaction.texts import WITHHELD
from service.core.run.dialogue.task import DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.run.task_result import TaskResult
from service.kit.telemetry.fields import account_hash, pseudonym_of

# A text column of Redshift takes 65,535 bytes.
_MOST_BYTES = 60_000
# Fields that a customer, a model or a tool may have put personal data into; all others hold names of our own and numbers.
_PERSONAL = frozenset(
    {"transcript", "user_message", "tool_input", "tool_output", "response_text", "reason", "customer_phone"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedSession:
    """Whom and what a conversation's events are about. ``persons`` is None, and ``why`` says it, if nobody knows their ids."""

    session_id: str
    contact_id: str | None
    user_id: str | None
    task: str
    environment: str
    persons: Persons | None
    why: str = ""


def session_of(task: DialogueTask[Any], inputs: DialogueInputs, environment: str) -> AuditedSession:
    """Return the session of a turn's inputs; fails closed: without the ids of persons, all data is withheld later."""
    persons: Persons | None = Persons()
    why, user = "", None
    try:
        assert persons is not None
        if task.without_ids(inputs, persons.pseudonym) is None:
            persons, why = None, f"task {task.name!r} does not say which ids to take out"
        unit = task.unit(inputs)
        user = None if unit is None or unit == inputs.conversation_id else account_hash(unit)
    except Exception as err:  # fail closed
        persons, why = None, type(err).__name__
    contact = inputs.session.get("contact_id")
    return AuditedSession(
        session_id=pseudonym_of(inputs.conversation_id),
        contact_id=None if contact is None else pseudonym_of(contact),
        user_id=user,
        task=task.name,
        environment=environment,
        persons=persons,
        why=why,
    )


def clean_event(session: AuditedSession, raw: RawEvent, *, correlation_id: str, number: int) -> AuditEntry:
    """Return an event as it may be kept; its data is None if it cannot be cleaned."""
    data, withheld = None, None
    try:
        data = _changed(raw.data.model_dump(mode="json"), _persons(session).clean_json)
        _check_length(json_text(data))
    except Exception as err:  # fail closed
        data, withheld = None, _reason(err)
    return AuditEntry(
        event_id=f"{correlation_id}-{number:02d}",
        timestamp=raw.at,
        level=raw.level,
        session_id=session.session_id,
        contact_id=session.contact_id,
        user_id=session.user_id,
        event_type=TYPE_OF[type(raw.data)],
        correlation_id=correlation_id,
        task=session.task,
        environment=session.environment,
        data=data,
        withheld=withheld,
        error=raw.error,
    )


def clean_findings(
    session: AuditedSession, turn: AuditedTurn, result: TaskResult, at: datetime
) -> tuple[KeptFinding, ...]:
    """Return the findings of a turn as they may be kept; a text that cannot be cleaned is withheld."""
    used = tool_results(turn, result)
    names = "+".join(dict.fromkeys(str(one["tool_name"]) for one in used))
    query = _clean_text(session, turn.inputs.message)
    told = _clean_text(session, json_text(used)) if used else None
    return tuple(
        KeptFinding(
            log_id=f"{turn.correlation_id}-f{number:02d}",
            timestamp=at,
            user_query=query,
            tool_name=names or None,
            tool_results=told,
            model_response=_clean_text(session, found.answer),
            hallucination_type=found.kind,
            severity=found.severity,
            validation_details=_clean_text(session, f"{found.told} {found.value}".strip()),
            action_taken=action_taken(found, result),
            session_id=session.session_id,
            correlation_id=turn.correlation_id,
            task=session.task,
        )
        for number, found in enumerate(result.findings, 1)
    )


def personal_texts_in(data: Mapping[str, Any]) -> list[str]:
    """Return the texts of an event's data that a person, a model or a tool wrote, in the order of ``with_personal_texts``."""
    return [text for value in _personal_values(data) for text in texts_in(value)]


def with_personal_texts(data: Mapping[str, Any], texts: Iterator[str]) -> dict[str, Any]:
    """Return an event's data with the next of ``texts``, as many as ``personal_texts_in`` gives."""
    changed: dict[str, Any] = _changed(data, lambda value: with_texts(value, islice(texts, len(texts_in(value)))))
    return changed


def _personal_values(data: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    _changed(data, lambda value: found.append(value))
    return found


def _persons(session: AuditedSession) -> Persons:
    if session.persons is None:
        raise RedactionFailed(session.why)
    return session.persons


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return ``value`` with its personal fields changed."""
    if isinstance(value, Mapping):
        return {name: change(one) if name in _PERSONAL else _changed(one, change) for name, one in value.items()}
    return [_changed(one, change) for one in value] if isinstance(value, list) else value


def _clean_text(session: AuditedSession, text: str) -> str:
    try:
        clean = _persons(session).clean_output(text)
        _check_length(clean)
        return clean
    except Exception:  # fail closed
        return WITHHELD


def _check_length(text: str) -> None:
    size = len(text.encode(errors="surrogatepass"))
    if size > _MOST_BYTES:
        raise RedactionFailed(f"{size} bytes are too long to keep")


def _reason(err: Exception) -> str:
    # The message of any other error may quote the text.
    return str(err) if isinstance(err, RedactionFailed) else type(err).__name__
