"""Histories within a token budget: which interactions stay whole, are shortened or counted, and that the budget holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.llm.pricing import estimated_tokens
from service.core.tasks.summarize.history import history_text, is_open
from service.core.unit.interaction import Interaction
from service.core.unit.pair import MINIMUM_HISTORY_TOKENS

START = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
SMALL_TALK = "The customer called and talked about the weather at length with us. " * 4


def _item(number: int, **changes: Any) -> Interaction:
    fields = {
        "interaction_id": f"i{number}",
        "channel": "agent",
        "timestamp": START + timedelta(days=number),
        "intent": f"intent{number}",
        "text": f"{SMALL_TALK}Number {number}.",
    }
    return Interaction.model_validate(fields | changes)


def _history(count: int = 30, **special: Any) -> list[Interaction]:
    changes = {int(name.removeprefix("n")): value for name, value in special.items()}
    return [_item(number, **changes.get(number, {})) for number in range(1, count + 1)]


def test_a_history_within_the_budget_is_unchanged() -> None:
    items = _history(3)
    whole = history_text(items)
    assert whole.count(SMALL_TALK.strip()) == 3
    assert history_text(items, estimated_tokens(whole)) == whole
    assert history_text(items, estimated_tokens(whole) - 1) != whole


def test_the_newest_and_open_interactions_are_whole_and_others_shortened_or_counted() -> None:
    items = _history(30, n4={"outcome": "escalated to supervisor", "text": f"{SMALL_TALK}Case 4 waits."})
    text = history_text(items, 1000)
    assert "Number 30." in text
    assert "Case 4 waits." in text
    assert "[4] Sep 05 2026 09:00 | agent | intent4 | outcome: escalated to supervisor" in text
    assert "Number 6." not in text
    assert estimated_tokens(text) <= 1000
    assert "contacts from" in text.splitlines()[0]


def test_interactions_with_money_come_before_routine_ones() -> None:
    items = _history(60, n5={"text": f"{SMALL_TALK}A fee of $45.10 was promised back. {SMALL_TALK}"})
    text = history_text(items, 900)
    assert "A fee of $45.10 was promised back. […]" in text
    assert "[6] " not in text


def test_whole_shortened_and_counted_add_up() -> None:
    items = _history(200)
    text = history_text(items, MINIMUM_HISTORY_TOKENS)
    first = text.splitlines()[0]
    counted = int(first.split("] ")[1].split()[0])
    assert counted + sum(line.startswith("[") for line in text.splitlines()[1:]) == 200
    assert "agent " in first


def test_a_newest_interaction_over_the_budget_keeps_start_and_end() -> None:
    items = [_item(1), _item(2, text="Begins here. " + "word " * 3000 + "Ends with $77.20 due.")]
    text = history_text(items, 300)
    assert "Begins here." in text
    assert text.endswith("Ends with $77.20 due.")
    assert estimated_tokens(text) <= 300


@pytest.mark.parametrize(
    ("outcome", "later", "expected"),
    [
        ("open", None, True),
        ("escalated to supervisor", None, True),
        ("callback promised", None, True),
        ("not resolved", None, True),
        ("closed", None, False),
        ("requested form, completed", None, False),
        (None, None, False),
        ("open", "resolved", False),
        ("open", "not resolved", True),
    ],
)
def test_an_open_outcome_is_closed_by_a_later_interaction(
    outcome: str | None, later: str | None, expected: bool
) -> None:
    after = [_item(2, intent="intent1", outcome=later)] if later else []
    assert is_open(_item(1, outcome=outcome), after) is expected


def test_an_interaction_with_another_intent_closes_nothing() -> None:
    assert is_open(_item(1, outcome="open"), [_item(2, outcome="closed")])


@given(
    texts=st.lists(st.text(max_size=400), min_size=1, max_size=40),
    outcomes=st.lists(st.sampled_from(["open", "closed", None]), min_size=40, max_size=40),
    budget=st.integers(min_value=MINIMUM_HISTORY_TOKENS, max_value=3000),
)
@pytest.mark.acceptance("promise-06")
def test_the_budget_holds_for_any_text_and_the_result_is_deterministic(
    texts: list[str], outcomes: list[str | None], budget: int
) -> None:
    items = [_item(number, text=text, outcome=outcomes[number]) for number, text in enumerate(texts)]
    found = history_text(items, budget)
    assert estimated_tokens(found) <= budget
    assert found == history_text(items, budget)
    assert f"[{len(items)}] " in found


def test_a_token_is_four_ascii_characters_or_one_other() -> None:
    assert [estimated_tokens(text) for text in ("", "abcd", "abcde", "日本", "abcd日")] == [0, 1, 2, 2, 2]
