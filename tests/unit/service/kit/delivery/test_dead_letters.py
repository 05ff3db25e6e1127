"""A dead letter says what failed and why, and goes when that has arrived or failed for another reason."""

import json
from datetime import UTC, datetime

import pytest

from service.kit.delivery.dead_letters import DeadLetters

NOW = datetime(2026, 11, 23, 10, 0, 0, 5000, UTC)


@pytest.fixture
def objects():
    return {}


@pytest.fixture
def letters(objects):
    made = DeadLetters(
        prefix="dead/",
        suffix=".x.json",
        write=objects.__setitem__,
        keys=lambda prefix: sorted(key for key in objects if key.startswith(prefix)),
        delete=lambda keys: [objects.pop(key, None) for key in keys],
    )
    for name, reason in (("a/1", "torn"), ("b", "torn"), ("c", "large")):
        made.bury(name, reason, "said so", NOW, {"object_key": name})
    return made


def test_a_letter_says_what_failed_why_and_when(letters, objects):
    assert list(objects) == ["dead/torn/a/1.x.json", "dead/torn/b.x.json", "dead/large/c.x.json"]
    assert json.loads(objects["dead/torn/a/1.x.json"]) == {
        "object_key": "a/1", "reason": "torn", "detail": "said so", "at": "2026-11-23T10:00:00.005Z"
    }  # fmt: skip
    assert [(one.name, one.reason) for one in letters.waiting()] == [("c", "large"), ("a/1", "torn"), ("b", "torn")]
    assert [one.name for one in letters.waiting("torn")] == ["a/1", "b"]


def test_a_replay_deletes_what_arrived_or_has_another_letter_and_nothing_else(letters, objects):
    letters.replayed(list(letters.waiting()), {"a/1": None, "b": "torn"})
    assert sorted(objects) == ["dead/large/c.x.json", "dead/torn/b.x.json"]
    letters.replayed(list(letters.waiting()), {"b": "large"})
    assert sorted(objects) == ["dead/large/c.x.json"]
