"""What the routing rules read in texts, how a policy is refused, and what a decision says."""

from pathlib import Path

import pytest

from service.core.tasks.route import TASK
from service.core.tasks.route.policy import policy_of, read_policy
from service.core.tasks.route.routing import asked_for_person, decided
from service.core.tasks.route.situation import RouteInputs, UnderstoodMessage
from service.core.tasks.route.urgency import said_word
from service.kit.frame.errors import PairError
from service.kit.settings import REPO_ROOT

POLICY = policy_of()
EXAMPLE = RouteInputs.model_config["json_schema_extra"]["examples"][0]
OWN = (Path(REPO_ROOT) / "service/core/tasks/route/policy.yaml").read_text(encoding="utf-8")


def situation(**fields):
    return RouteInputs.model_validate(EXAMPLE | fields)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Can I speak to a human please"),
        ("en", "put me THROUGH to your manager"),
        ("en", "escalate this now"),
        ("es", "¿Me puede pasar con una persona, por favor?"),
        ("pl", "chciałbym porozmawiać z konsultantem"),
        ("es", "I want to talk to an agent"),  # in English, whatever was recognised
    ],
)
def test_a_wish_for_a_person_is_read(language, text):
    assert asked_for_person(text, language, POLICY)


@pytest.mark.parametrize(
    "text",
    [
        "I don't want to talk to an agent",
        "I talked to an agent yesterday and he fixed it",
        "I’d rather not speak to a person",
        "I want to talk. My agent said so",
        "",
    ],
)
def test_other_mentions_of_people_are_no_wish(text):
    assert asked_for_person(text, "en", POLICY) is None


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("en", "It is URGENT", "URGENT"),
        ("en", "no rush, this is not urgent", None),
        ("en", "It is not the first time. Urgent!", "Urgent"),
        ("es", "es urgente", "urgente"),
        ("es", "no es urgente", None),
        ("pl", "to nie jest pilne", None),
        ("pl", "proszę natychmiast", "natychmiast"),
        ("de", "dringend", None),  # no words of this language
        ("en", "insurgently", None),
    ],
)
def test_words_of_urgency_count_unless_they_are_taken_back(language, text, word):
    message = UnderstoodMessage(
        channel="chat", language=language, text=text, category="inquiry", confidence=1, sentiment=0
    )
    assert said_word(message, POLICY.urgency) == word


def test_the_second_language_is_tried_and_said():
    message = EXAMPLE["message"] | {"language": "fr", "topic": None}
    found = decided(situation(message=message), POLICY)
    assert found.destination == "agent"
    assert "nobody on duty speaks fr: en is tried" in found.reasons


def test_a_policy_that_routes_to_nobody_queues_and_says_so():
    found = decided(situation(agents=[]), POLICY)
    assert (found.destination, found.place, found.wait_minutes) == ("queue", 1, None)
    assert "nobody on duty has en and repairs" in found.reasons


def test_out_of_hours_the_wait_is_until_people_work_again():
    found = decided(situation(agents=[], at="2026-12-24T19:00:00+00:00"), POLICY)
    assert found.opens_at == "2026-12-26T09:00:00+00:00"  # Christmas Day is closed, and the 26th is a Saturday


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("timezone: Europe/London", "timezone: Europe/Nowhere", "timezone: .*no time zone"),
        ("{below: -0.5, points: 2}", "{below: -0.5, above: 0.1, points: 2}", "either below or above"),
        ("person_at: 8", "person_at: soon", "automation.person_at"),
        ("escalation: 3", "escalations: 3", "urgency.category"),
        ("base: 5", "bases: 5", "urgency"),
        ("version:", "version: [", "cannot be read"),
    ],
)
def test_a_wrong_policy_is_refused_by_its_place(old, new, where):
    assert old in OWN
    with pytest.raises(PairError, match=where):
        read_policy(OWN.replace(old, new, 1).encode())


def test_an_agent_who_stands_twice_is_named():
    with pytest.raises(ValueError, match="'agent-ines' stands twice"):
        situation(agents=[EXAMPLE["agents"][0]] * 2)


def test_what_is_kept_has_none_of_the_customer_s_own_words():
    message = EXAMPLE["message"] | {"text": "I’m Ann Lee, 07700 900123: put me through to a person, it is NOT urgent."}
    kept = TASK.without_ids(situation(message=message), lambda text: f"p-{len(text)}")
    assert kept.message.text == "x x x, x x: put me x to a person, x is NOT urgent."
    assert kept.conversation_id == "p-9"
