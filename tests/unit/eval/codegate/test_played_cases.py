"""The code gate plays conversations out, as an evaluation does."""

from dataclasses import replace

import pytest
from throw_away import ThrowAway

from eval.codegate.answers import ANSWERS, AskedPair, answer_cases
from eval.codegate.judging import judge_sides
from eval.spine.results import Verdict
from service.kit.settings import Settings


@pytest.fixture
def settings(tmp_path):
    house = ThrowAway(tmp_path, "parcels")
    yield Settings(root=tmp_path, state_dir=tmp_path / "state")
    house.remove()


def test_conversations_are_played_and_compared_by_what_came_of_them(settings):
    good, again = (answer_cases(AskedPair(task="parcels", name="courteous"), settings) for _ in range(2))
    assert set(good.parts) == {ANSWERS}
    assert len(good.parts[ANSWERS]) == 4 * 48
    assert {item.result.failure for item in good.parts[ANSWERS]} == {None}
    same = judge_sides(good, again, settings)
    assert (same.verdict, same.parts[0].different, same.left_out) == (Verdict.PASS, 0, 0)
    hasty = replace(answer_cases(AskedPair(task="parcels", name="hasty"), settings), pair="courteous")
    worse = judge_sides(good, hasty, settings)
    assert worse.verdict is Verdict.FAIL
    assert [figure.metric for figure in worse.parts[0].figures] == ["conversation_right"]
