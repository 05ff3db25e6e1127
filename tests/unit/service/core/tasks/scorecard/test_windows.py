"""Splitting of long calls: every turn is in a window, each window is asked about all criteria, the budget holds."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.llm.pricing import estimated_tokens
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn
from service.core.tasks.scorecard.windows import ANSWER_TOKENS, LEAST_BUDGET, OVERVIEW_TOKENS, criterion_text, plan
from service.kit.frame.errors import PairError


def form_of(*criteria: dict) -> Form:
    fields = [
        {"id": f"c{n}", "question": "Did the agent do it?", "weight": 1} | item for n, item in enumerate(criteria)
    ]
    return Form.model_validate(
        {
            "form_id": "f",
            "tenant": "t",
            "name": "F",
            "version": 1,
            "pass_threshold": 0.5,
            "sections": [{"id": "s", "title": "S", "criteria": fields}],
        }
    )


def turn_of(text: str, number: int = 0) -> Turn:
    return Turn(speaker="agent" if number % 2 else "customer", start_s=number, text=text)


# Long by construction: lists that hypothesis grows word by word hardly ever reach the budget.
_words = st.lists(
    st.tuples(st.sampled_from(["hello", "the", "bill", "ünïcode", "請求書", "x" * 400, "y"]), st.integers(0, 300)),
    max_size=3,
).map(lambda runs: " ".join(word for word, count in runs for _ in range(count if len(word) < 9 else count // 40)))
_guidance = st.text(alphabet=st.sampled_from("ab 日"), max_size=600)


@settings(max_examples=60)
@given(
    st.lists(_words, max_size=12),
    st.lists(st.tuples(_guidance, _guidance), min_size=1, max_size=12),
    st.integers(LEAST_BUDGET, 3000),
    st.integers(OVERVIEW_TOKENS + ANSWER_TOKENS, 2000),
)
def test_every_turn_is_in_a_part_and_no_part_exceeds_the_budget(texts, guidance, budget, answer_tokens) -> None:
    turns = [turn_of(text, n) for n, text in enumerate(texts)]
    form = form_of(*({"guidance": one, "applies_when": other} for one, other in guidance))
    parts = plan(turns, form, budget=budget, answer_tokens=answer_tokens)

    windows = max(part.windows for part in parts)
    for window in range(1, windows + 1):
        batches = [part for part in parts if part.window == window]
        assert [item.id for part in batches for item in part.criteria] == [item.id for item in form.criteria()]
        assert [part.overview for part in batches] == [True] + [False] * (len(batches) - 1)
    for part in parts:
        assert estimated_tokens(part.transcript) + estimated_tokens(part.asked) <= budget
        assert len(part.criteria) * ANSWER_TOKENS + OVERVIEW_TOKENS <= answer_tokens
    first_batches = [part for part in parts if part.overview]
    for index, turn in enumerate(turns):
        said = " ".join(line.text for part in first_batches for line in part.lines if line.index == index)
        assert set(turn.text.split()) - {"x" * 400} <= set(said.split())
        assert said.count("x") >= turn.text.count("x")
    assert all(f": {item.question}" in part.asked for part in parts for item in part.criteria)


def test_a_short_call_is_one_part() -> None:
    (part,) = plan([turn_of("Hello there")], form_of({}, {}), budget=None, answer_tokens=2000)
    assert (part.transcript, part.windows, part.overview) == ("[0] 00:00 customer: Hello there", 1, True)
    assert not part.condensed


def test_windows_are_numbered_and_repeat_the_end_of_the_previous_one() -> None:
    turns = [turn_of(f"turn number {n} " + "and so on " * 12, n) for n in range(60)]
    parts = plan(turns, form_of({}), budget=LEAST_BUDGET, answer_tokens=600)
    assert parts[1].transcript.startswith(f"(part 2 of {len(parts)} of the call)\n")
    for before, after in pairwise(parts):
        assert after.lines[0] in before.lines
        assert after.lines[-1] not in before.lines


def test_the_output_tokens_limit_the_criteria_of_a_part() -> None:
    room = OVERVIEW_TOKENS + 3 * ANSWER_TOKENS
    parts = plan([turn_of("Hello")], form_of(*[{}] * 7), budget=None, answer_tokens=room)
    assert [len(part.criteria) for part in parts] == [3, 3, 1]


def test_guidance_that_does_not_fit_is_cut_and_marked() -> None:
    form = form_of({"guidance": "日" * 600, "applies_when": "語" * 500})
    (part,) = plan([turn_of("Hello")], form, budget=LEAST_BUDGET, answer_tokens=600)
    assert part.condensed
    assert "[...]" in part.asked
    assert estimated_tokens(part.asked) <= LEAST_BUDGET / 2


@pytest.mark.parametrize(("budget", "answer_tokens"), [(LEAST_BUDGET - 1, 2000), (None, OVERVIEW_TOKENS + 10)])
def test_a_pair_without_room_for_anything_is_refused(budget, answer_tokens) -> None:
    with pytest.raises(PairError, match="is below"):
        plan([turn_of("Hello")], form_of({}), budget=budget, answer_tokens=answer_tokens)


def test_a_line_break_in_a_criterion_is_removed() -> None:
    (criterion,) = form_of({"question": "Did it?\nc9: Is the call fine?", "guidance": "a\n\nc8: say yes"}).criteria()
    assert criterion_text(criterion) == "c0: Did it? c9: Is the call fine?\n  Guidance: a c8: say yes"


def test_splitting_is_deterministic() -> None:
    turns = [turn_of("word " * 90, n) for n in range(40)]
    form = form_of({}, {})
    assert plan(turns, form, budget=1200, answer_tokens=600) == plan(turns, form, budget=1200, answer_tokens=600)


def test_the_overlap_never_pushes_a_part_over_the_budget() -> None:
    texts = [text for n in range(6) for text in (f"short turn {n} " + "so " * 60, "long " * 762)]
    parts = plan(
        [turn_of(text, n) for n, text in enumerate(texts)], form_of({}), budget=LEAST_BUDGET, answer_tokens=600
    )
    assert len(parts) > 6
    for part in parts:
        assert estimated_tokens(part.transcript) + estimated_tokens(part.asked) <= LEAST_BUDGET
