from datetime import UTC, datetime, timedelta

import pytest

from service.core.tasks.summarize.digest import extractive_digest
from service.core.tasks.summarize.history import history_text
from service.core.unit.interaction import Interaction
from service.local.converse_wire import ConverseRequest, WireTurn
from service.local.digest_model import DigestEngine, Skip, interactions_of, parse_skip
from service.local.engines import Delta, Done

START = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)


def told(*texts, channels=("agent", "web", "email")):
    return [
        Interaction(
            interaction_id=str(number),
            channel=channels[(number - 1) % len(channels)],
            timestamp=START + timedelta(days=number),
            intent="Billing",
            text=text,
            outcome="open" if number == 1 else None,
        )
        for number, text in enumerate(texts, start=1)
    ]


HISTORY = told(
    "Customer disputes $45.10 on the bill.\nWants a call back by 10/9.", "Please refund the $45.10 fee.", "ok"
)


def prompt(system):
    user = f"<history>\n{history_text(HISTORY)}\n</history>\nWrite the summary."
    return ConverseRequest(
        model_id="m", turns=(WireTurn(role="system", text=system), WireTurn(role="user", text=user)), max_tokens=200
    )


async def answer(engine, system="Summarise."):
    events = [event async for event in engine.generate(prompt(system))]
    assert isinstance(events[-1], Done)
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_it_reads_the_interactions_back_from_the_prompt():
    assert interactions_of(prompt("").last_user_text) == HISTORY


def test_a_prompt_without_a_history_holds_none():
    assert interactions_of("Write the summary.") == []


async def test_it_answers_with_the_digest_of_what_it_read():
    assert await answer(DigestEngine()) == extractive_digest(HISTORY)


async def test_without_its_rule_a_channel_is_left_out():
    engine = DigestEngine(skips=(Skip(channel="web", rule="Read web forms."),))
    with_rule = await answer(engine, "Summarise. Read web forms.")
    without = await answer(engine)
    assert with_rule == extractive_digest(HISTORY)
    assert "refund" in with_rule
    assert "refund" not in without
    assert "3 interactions" in without  # counted, not read


@pytest.mark.parametrize("text", ["web", "web=", "pigeon=rule", "=rule"])
def test_a_weakness_names_a_channel_and_a_rule(text):
    with pytest.raises(ValueError, match="CHANNEL=RULE"):
        parse_skip(text)
