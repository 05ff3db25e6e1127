"""How urgent a message is: points with the reason for each, summed without a bound, so that the sum can rank a queue."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import lru_cache

from service.core.tasks.route.decision import UrgencyFactor
from service.core.tasks.route.policy import RoutingPolicy, UrgencyRules
from service.core.tasks.route.situation import RouteInputs, UnderstoodMessage

LEAST_SHOWN, MOST_SHOWN = 1, 10
_NEGATED_WITHIN = 3  # words between a negation and what it takes back
_WORD = re.compile(r"\w[\w'’]*")
_SENTENCE = r"(?:[^\w.!?;]+\w[\w']*)"


def urgency_factors(situation: RouteInputs, policy: RoutingPolicy) -> tuple[UrgencyFactor, ...]:
    """Return what makes up the urgency of the message, the base first; factors of no points are left out."""
    return tuple(factor for factor in _factors(situation, policy) if factor.points or factor.name == "base")


def shown(raw: int) -> int:
    """Return a raw urgency as people see it, from 1 to 10."""
    return max(LEAST_SHOWN, min(MOST_SHOWN, raw))


def _factors(situation: RouteInputs, policy: RoutingPolicy) -> Iterator[UrgencyFactor]:
    rules, message, customer = policy.urgency, situation.message, situation.customer
    yield UrgencyFactor(name="base", points=rules.base, because="every message")
    step = next((one for one in rules.sentiment if one.holds(message.sentiment)), None)
    if step is not None:
        yield UrgencyFactor(name="sentiment", points=step.points, because=f"sentiment {message.sentiment:+.2f}")
    yield UrgencyFactor(
        name="category", points=rules.category.get(message.category, 0), because=f"{_a(message.category)} was read"
    )
    yield UrgencyFactor(
        name="tier", points=rules.tier.get(customer.tier, 0), because=f"the customer's value is {customer.tier}"
    )
    yield from _repeat(situation, rules)
    if word := said_word(message, rules):
        yield UrgencyFactor(name="words", points=rules.word_points, because=f"the message says {word!r}")
    if not policy.calendar.is_open(situation.at):
        yield UrgencyFactor(name="after_hours", points=rules.after_hours, because="nobody works at this time")


def _repeat(situation: RouteInputs, rules: UrgencyRules) -> Iterator[UrgencyFactor]:
    topic = situation.message.topic
    if topic is None:
        return
    ages = [
        situation.at - one.at for one in situation.customer.contacts if one.topic == topic and one.at < situation.at
    ]
    if not ages:
        return
    latest = min(ages)
    for step in rules.repeat:
        if latest <= timedelta(days=step.days):
            because = f"the customer came with {topic} {_ago(latest)} before"
            yield UrgencyFactor(name="repeat", points=step.points, because=because)
            return


def said_word(message: UnderstoodMessage, rules: UrgencyRules) -> str | None:
    """Return the first word of the message that makes it urgent, None if there is none or each is negated."""
    words = rules.words.get(message.language, ())
    if not words:
        return None
    negations = rules.negations.get(message.language, ())
    for found in phrase_pattern(words).finditer(message.text):
        if not negated(message.text[: found.start()], negations):
            return found.group()
    return None


def negated(before: str, negations: Iterable[str]) -> bool:
    """Return whether the words just before, in the same sentence, take back what follows."""
    pattern = _negation_pattern(tuple(negations))
    return pattern is not None and pattern.search(before) is not None


@lru_cache(maxsize=64)
def phrase_pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for any of some phrases, as whole words, the longest first."""
    ordered = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(_flexible, ordered))})(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=64)
def _negation_pattern(negations: tuple[str, ...]) -> re.Pattern[str] | None:
    if not negations:
        return None
    any_of = "|".join(map(_flexible, sorted(negations, key=len, reverse=True)))
    return re.compile(rf"(?<!\w)(?:{any_of}){_SENTENCE}{{0,{_NEGATED_WITHIN}}}[^\w.!?;]*$", re.IGNORECASE)


def masked(text: str, languages: Iterable[str], policy: RoutingPolicy) -> str:
    """Return ``text`` with an x for each word that the policy does not look for in these languages; it is decided alike."""
    known = _vocabulary(policy.model_dump_json(include={"urgency", "person"}), tuple(languages))
    return _WORD.sub(lambda word: word.group() if _plain(word.group()) in known else "x", text)


@lru_cache(maxsize=16)
def _vocabulary(words: str, languages: tuple[str, ...]) -> frozenset[str]:
    rules = json.loads(words)
    found: set[str] = set()
    for language in languages:
        person = rules["person"].get(language, {})
        lists = (
            rules["urgency"]["words"].get(language, ()),
            rules["urgency"]["negations"].get(language, ()),
            *person.values(),
        )
        found.update(_plain(word) for phrases in lists for phrase in phrases for word in _WORD.findall(phrase))
    return frozenset(found)


def _plain(word: str) -> str:
    return word.replace("’", "'").casefold()


def _flexible(phrase: str) -> str:
    # Phones write ’ for ', and people any number of spaces.
    return re.escape(phrase).replace("'", "['’]").replace(r"\ ", r"\s+")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _ago(age: timedelta) -> str:
    if age.days:
        return f"{age.days} {'day' if age.days == 1 else 'days'}"
    hours = age // timedelta(hours=1)
    return f"{hours} {'hour' if hours == 1 else 'hours'}" if hours else "less than an hour"
