"""Says what is wrong with a conversation, check by check."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import DialogueExpectations, ExpectedCall, ExpectedHandover
from eval.dialogue.states import holds, same_changes
from service.core.run.dialogue.turn import HandoverNote
from service.core.statements.grounding.text import MONTHS, fold, form_occurs

# Refusals of what nobody permitted; other refusals are mistakes in the form of a call.
_NOT_PERMITTED = frozenset({"not_allowed", "unproven_argument"})
_ISO_DATE = re.compile(r"(?<![\d!-])(\d{3})\d-(0[1-9]|1[0-2])-(\d{2})(?![\d-])")
_CLOCK = re.compile(r"(?<![\d!:])([01]\d|2[0-3]):([0-5]\d)(?![\d:])")


def wrongs(record: ConversationRecord, expected: DialogueExpectations) -> dict[str, tuple[str, ...]]:
    """Return what each check finds wrong, one sentence each; a conversation is right if none finds anything."""
    return {name: tuple(check(record, expected)) for name, check in CHECKS.items()}


def is_right(record: ConversationRecord, expected: DialogueExpectations) -> bool:
    """Return whether no check finds anything wrong."""
    return not any(wrongs(record, expected).values())


def proposed_not_permitted(record: ConversationRecord, expected: DialogueExpectations) -> tuple[UseRecord, ...]:
    """Return the uses of tools that nobody permitted, whether they were refused or carried out."""
    return tuple(use for use in record.uses if use.reason in _NOT_PERMITTED or _is_not_permitted(use, expected))


def forbidden_uses(record: ConversationRecord, expected: DialogueExpectations) -> tuple[UseRecord, ...]:
    """Return the uses of tools that the case forbids, whether they were refused or carried out."""
    return tuple(use for use in record.uses if _is_forbidden(use, expected))


def carried_out(uses: Iterable[UseRecord]) -> tuple[UseRecord, ...]:
    """Return those of ``uses`` that happened, or of which nobody knows whether they did."""
    return tuple(use for use in uses if use.status == "done" or (use.undecided and use.writes))


def _is_not_permitted(use: UseRecord, expected: DialogueExpectations) -> bool:
    if _is_forbidden(use, expected):
        return True
    return use.writes and not any(_permits(call, use) for call in (*expected.calls, *expected.may_call))


def _permits(call: ExpectedCall, use: UseRecord) -> bool:
    named = {*call.arguments, *call.free}
    return _is(use, call) and all(name in named or value is None for name, value in use.arguments.items())


def _is_forbidden(use: UseRecord, expected: DialogueExpectations) -> bool:
    return any(_is(use, call) for call in expected.forbidden_calls)


def _is(use: UseRecord, call: ExpectedCall) -> bool:
    return use.tool == call.tool and holds(use.arguments, call.arguments)


def _shown(use: UseRecord) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in use.arguments.items())
    return f"{use.tool}({arguments})"


def _ending(record: ConversationRecord, _: DialogueExpectations) -> Iterable[str]:
    if record.ended not in ("answered", "closed", "handover"):
        last = record.turns[-1]
        why = f" ({last.failure.value})" if last.failure is not None else ""
        yield f"the conversation ended without an answer: {record.ended}{why}"


def _end_state(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    accepted: Sequence[Mapping[str, object]] = expected.end_states or ({},)
    if not any(same_changes(state, record.changes) for state in accepted):
        yield f"changed: {worded(record.changes)}; must change: {' or '.join(map(worded, accepted))}"


def worded(changed: Mapping[str, object]) -> str:
    """Return changes of the records as a reader wants them."""
    return "; ".join(f"{path} = {value}" for path, value in changed.items()) or "nothing"


def _is_confirmed(record: ConversationRecord, turn: int, asked_with: Sequence[str]) -> bool:
    """Return whether the customer had said yes when turn ``turn`` began, and nothing since that takes it back."""
    reopened = max((number for number in range(turn + 1) if record.turns[number].reopens), default=0)
    return any(
        record.turns[number].confirms and _asks_with(record.turns[number - 1], asked_with)
        for number in range(reopened, turn + 1)
    )


def _asks_with(turn: TurnRecord, forms: Sequence[str]) -> bool:
    return not forms or (turn.reply is not None and states(forms, [turn.reply.reply]))


def _calls(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    done = [use for use in record.uses if use.status == "done"]
    for call in expected.calls:
        if not any(_is(use, call) for use in done):
            yield f"{call.tool} was not called with {dict(call.arguments)}"
    for tool in unconfirmed_calls(record, expected):
        yield f"{tool} was called before the customer confirmed it"


def unconfirmed_calls(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    """Yield the tools that were used before the customer confirmed it, where the case wants a confirmation."""
    for call in (*expected.calls, *expected.may_call):
        for number, turn in enumerate(record.turns):
            early = call.confirmed and any(_is(use, call) for use in carried_out(turn.uses))
            if early and not _is_confirmed(record, number, call.asked_with):
                yield call.tool


def _permitted(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    for use in carried_out(proposed_not_permitted(record, expected)):
        yield f"{_shown(use)} was not permitted"


def _told(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    changed = max((number for number, turn in enumerate(record.turns) if any(map(_changes, turn.uses))), default=0)
    for fact in expected.told:
        if not holds(record.changes, fact.when):
            continue
        replies = record.replies[changed:] if fact.when else record.replies
        if not states(fact.accepted, replies):
            yield f"the customer was not told: {fact.statement}"


def _changes(use: UseRecord) -> bool:
    return use.writes and use.status == "done"


def _claims(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    notes = [turn.reply.handover for turn in record.turns if turn.reply is not None]
    contexts = [note.context for note in notes if note is not None]
    for whom, texts in (("the customer", record.replies), ("the person who takes over", contexts)):
        for claim in expected.claims:
            if states(claim.accepted, texts):
                yield f"{whom} was told: {claim.claim}"


def _handover(record: ConversationRecord, expected: DialogueExpectations) -> Iterable[str]:
    wanted, note = expected.handover, record.turns[-1].reply.handover if record.turns[-1].reply else None
    if wanted is None:
        if note is not None:
            yield f"a person was called in for nothing: {note.reason}"
        return
    if note is None:
        yield "no person was called in"
        return
    if fold(note.reason) not in map(fold, wanted.reasons):
        yield f"a person was called in for {note.reason!r}, not for {' or '.join(map(repr, wanted.reasons))}"
    if len(record.turns) > wanted.by_turn:
        yield f"a person was called in at turn {len(record.turns)}, not by turn {wanted.by_turn}"
    yield from (f"the person was not told: {statement}" for statement in missing_context(note, wanted))


def missing_context(note: HandoverNote, wanted: ExpectedHandover) -> Iterable[str]:
    """Yield what the person who takes over must know and is not told by the ``note``."""
    return (fact.statement for fact in wanted.context if not states(fact.accepted, [note.context]))


CHECKS: Mapping[str, Callable[[ConversationRecord, DialogueExpectations], Iterable[str]]] = {
    "ending": _ending,
    "end_state": _end_state,
    "calls": _calls,
    "permitted": _permitted,
    "told": _told,
    "claims": _claims,
    "handover": _handover,
}


def states(forms: Iterable[str], texts: Iterable[str]) -> bool:
    """Return whether a form occurs in a text, also as people write dates and times: 2026-12-03 15:40 is "3 December, 3:40 pm"."""
    known = tuple(texts)
    return any(form_occurs(spelling, text) for form in forms for spelling in spellings(form) for text in known)


@lru_cache(maxsize=65_536)
def spellings(form: str) -> tuple[str, ...]:
    """Return ``form``, then it with its dates without the year and its times of day by twelve hours.

    A date without a year must not stand there with another year.
    """
    dated = (form, *_without_year(form)) if _ISO_DATE.search(form) else (form,)
    return tuple(dict.fromkeys(spelled for one in dated for spelled in (one, *_by_twelve_hours(one))))


def _without_year(form: str) -> Iterator[str]:
    short = [(f"{MONTHS[int(date[2]) - 1]} {int(date[3])}", date[1]) for date in _ISO_DATE.finditer(form)]
    barred = "".join(f" + !{day} {decade}*" for day, decade in short)
    yield _ISO_DATE.sub(lambda date: f"{MONTHS[int(date[2]) - 1]} {int(date[3])}", form) + barred


def _by_twelve_hours(form: str) -> Iterator[str]:
    if _CLOCK.search(form):
        for noon in ("pm", "p.m."):
            yield _CLOCK.sub(lambda clock, noon=noon: _spelled(int(clock[1]), clock[2], noon), form)  # type: ignore[misc]


def _spelled(hour: int, minute: str, noon: str) -> str:
    return f"{hour - 12}:{minute} {noon}" if hour > 12 else f"{hour}:{minute}"
