"""Plants faults in the gold run of a case; each must fail the case, or the case does not check what it seems to."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eval.dialogue.agents import PLACEHOLDER, GoldTurn
from eval.dialogue.scenario import CONFIRMATION, ConversationScenario, DialogueExpectations, GoldReply, GoldUse
from eval.dialogue.states import equal
from service.core.run.dialogue.turn import HandoverNote
from service.core.statements.grounding.text import form_occurs

Gold = tuple[GoldTurn, ...]
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One fault of a case's gold run: its ``kind``, what was changed, and the run with it."""

    kind: str
    what: str
    gold: Gold


def mutations_of(scenario: ConversationScenario, expected: DialogueExpectations) -> Iterator[Mutation]:
    """Yield every planted fault that makes sense for a case."""
    gold: Gold = expected.gold
    yield from _of_calls(gold, expected)
    yield from _of_replies(gold, expected)
    yield from _of_handover(gold, expected)
    yield from _of_the_customers_course(gold, scenario)


def _of_calls(gold: Gold, expected: DialogueExpectations) -> Iterator[Mutation]:
    wanted, earlier = {call.tool for call in expected.calls}, list[GoldUse]()
    to_confirm = {call.tool for call in (*expected.calls, *expected.may_call) if call.confirmed}
    for turn, number, use in _uses(gold):
        if turn and use.use in to_confirm:
            sooner = (*gold[turn - 1][:-1], use, *gold[turn - 1][-1:])
            without = _with(gold, turn, number, None)
            yield Mutation(kind="called before confirmation", what=use.use, gold=_replaced(without, turn - 1, sooner))
        if use.use not in wanted:
            continue
        yield Mutation(kind="call left out", what=use.use, gold=_with(gold, turn, number, None))
        if use in earlier:
            continue  # a repetition, such as a second try: its arguments were changed with those of the first
        earlier.append(use)
        for name, value in use.arguments.items():
            if not any(call.tool == use.use and name in call.arguments for call in expected.calls):
                continue
            changed = use.model_copy(update={"arguments": {**use.arguments, name: _another(value)}})
            kind = "argument changed"
            yield Mutation(kind=kind, what=f"{use.use}.{name}", gold=_instead(gold, use, changed))
    if any(call.asked_with for call in (*expected.calls, *expected.may_call)):
        yield Mutation(kind="confirmed something else", what="every question", gold=_asking(gold, "Shall I go on?"))
    last = len(gold) - 1
    for call in expected.forbidden_calls:
        like = next((use.arguments for _, _, use in _uses(gold) if use.use == call.tool), {})
        extra = GoldUse(use=call.tool, arguments={**like, **call.arguments})
        yield Mutation(kind="forbidden call made", what=call.tool, gold=_replaced(gold, last, (extra, *gold[last])))


def _of_replies(gold: Gold, expected: DialogueExpectations) -> Iterator[Mutation]:
    last = len(gold) - 1
    for fact in expected.told:
        without = tuple(
            tuple(
                _vague(step) if isinstance(step, GoldReply) and _may_tell(step, fact.accepted) else step
                for step in turn
            )
            for turn in gold
        )
        if without != gold:
            yield Mutation(kind="fact not told", what=fact.statement, gold=without)
    for claim in expected.claims:
        stated = _stated(claim.accepted[0])
        yield Mutation(kind="false claim made", what=claim.claim, gold=_said_too(gold, last, stated))


def _of_handover(gold: Gold, expected: DialogueExpectations) -> Iterator[Mutation]:
    last = len(gold) - 1
    final = _reply(gold[last])
    if final is None:
        return
    if expected.handover is None:
        note = HandoverNote(reason="asked for a person", context="The customer needs help.")
        handing = final.model_copy(update={"action": "handover", "asks": (), "handover": note})
        yield Mutation(kind="handed over for nothing", what="last turn", gold=_final(gold, handing))
        return
    kept = final.model_copy(update={"action": "answer", "handover": None})
    yield Mutation(kind="not handed over", what="last turn", gold=_final(gold, kept))
    if final.handover is None:
        return
    bare = final.handover.model_copy(update={"context": "The customer needs help."})
    yield Mutation(
        kind="handed over without context",
        what="last turn",
        gold=_final(gold, final.model_copy(update={"handover": bare})),
    )
    other = final.handover.model_copy(update={"reason": "something else"})
    yield Mutation(
        kind="handed over for another reason",
        what="last turn",
        gold=_final(gold, final.model_copy(update={"handover": other})),
    )
    stalling = (GoldReply(say="Are you sure?", action="clarify", asks=("confirmation",)),)
    late = (*gold[:last], *(stalling,) * expected.handover.by_turn, gold[last])
    yield Mutation(kind="handed over late", what=f"after turn {expected.handover.by_turn}", gold=late)


def _of_the_customers_course(gold: Gold, scenario: ConversationScenario) -> Iterator[Mutation]:
    looping = (GoldReply(say="Could you tell me that again?", action="clarify", asks=("confirmation",)),)
    yield Mutation(kind="asks for ever", what="every turn", gold=(looping,))
    if len(gold) > 1:
        yield Mutation(kind="ends too early", what="first turn", gold=(_ended(gold[0]),))
    if scenario.customer.corrects is not None:
        before = scenario.customer.knows[scenario.customer.corrects.fact]
        unheard = _with_old_value(gold, before.value, scenario.customer.corrects.then.value)
        if unheard != gold:
            yield Mutation(kind="correction not heard", what=scenario.customer.corrects.fact, gold=unheard)


def _uses(gold: Gold) -> Iterator[tuple[int, int, GoldUse]]:
    for turn, steps in enumerate(gold):
        for number, step in enumerate(steps):
            if isinstance(step, GoldUse):
                yield turn, number, step


def _with(gold: Gold, turn: int, number: int, step: GoldUse | None) -> Gold:
    steps = list(gold[turn])
    steps[number : number + 1] = [] if step is None else [step]
    return _replaced(gold, turn, tuple(steps))


def _instead(gold: Gold, use: GoldUse, other: GoldUse) -> Gold:
    return tuple(tuple(other if step == use else step for step in turn) for turn in gold)


def _replaced(gold: Gold, turn: int, steps: GoldTurn) -> Gold:
    return (*gold[:turn], steps, *gold[turn + 1 :])


def _asking(gold: Gold, text: str) -> Gold:
    """Return the run with ``text`` for every question for a confirmation."""
    return tuple(
        tuple(
            step.model_copy(update={"say": text}) if isinstance(step, GoldReply) and CONFIRMATION in step.asks else step
            for step in turn
        )
        for turn in gold
    )


def _reply(turn: GoldTurn) -> GoldReply | None:
    return next((step for step in turn if isinstance(step, GoldReply)), None)


def _final(gold: Gold, reply: GoldReply) -> Gold:
    last = tuple(reply if isinstance(step, GoldReply) else step for step in gold[-1])
    return (*gold[:-1], last)


def _said_too(gold: Gold, turn: int, text: str) -> Gold:
    steps = tuple(
        step.model_copy(update={"say": f"{step.say} {text}"}) if isinstance(step, GoldReply) else step
        for step in gold[turn]
    )
    return _replaced(gold, turn, steps)


def _may_tell(step: GoldReply, accepted: Sequence[str]) -> bool:
    return bool(PLACEHOLDER.search(step.say)) or any(form_occurs(form, step.say) for form in accepted)


def _vague(step: GoldReply) -> GoldReply:
    # A question goes on asking, or the customer would not understand it, and not miss the fact.
    return step.model_copy(update={"say": "Please tell me." if step.asks else "That is how it is."})


def _stated(form: str) -> str:
    """Return a sentence in which a surface form occurs."""
    parts = [part.strip().removesuffix("*") for part in form.split(" + ") if not part.strip().startswith("!")]
    return f"{' '.join(parts)}."


def _ended(turn: GoldTurn) -> GoldTurn:
    return tuple(
        step.model_copy(update={"action": "answer", "asks": (), "handover": None})
        if isinstance(step, GoldReply)
        else step
        for step in turn
    )


def _with_old_value(gold: Gold, before: str, after: str) -> Gold:
    """Return the run with the value that the customer took back in the arguments of its calls."""

    def unheard(step: GoldUse | GoldReply) -> GoldUse | GoldReply:
        if isinstance(step, GoldReply):
            return step
        arguments = {name: before if equal(value, after) else value for name, value in step.arguments.items()}
        return step.model_copy(update={"arguments": arguments})

    return tuple(tuple(map(unheard, turn)) for turn in gold)


def _another(value: Any) -> Any:
    """Return another value of the same shape."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return value[1:] if len(value) > 1 else [*value, *value]
    text = str(value)
    if _DIGITS.search(text):
        return _DIGITS.sub(
            lambda match: str((int(match[0]) + 1) % 10 ** len(match[0])).zfill(len(match[0])), text, count=1
        )
    return f"{text} other"
