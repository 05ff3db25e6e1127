"""Conditions of criteria: what other criteria were answered and what is known of the call, evaluated in code.

A condition is data, so it is checked when the form is saved, and no model interprets it. Where an answer that it needs is
missing, whether it holds is unknown, unless the other tests decide it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from service.core.tasks.scorecard.transcript import Turn

_Answer = Literal["yes", "no", "na"]
MOST_TESTS = 12
MOST_PHRASES = 20
_CriterionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]
_Phrase = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,79}$")]
_WORD = re.compile(r"\w+(?:'\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFacts:
    """What conditions may ask about a call. ``verdicts`` holds the answers so far; None: a criterion without one."""

    turns: Sequence[Turn]
    verdicts: Mapping[str, _Answer | None]


class _Test(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CriterionTest(_Test):
    """Holds when another criterion of the form has one of these answers."""

    criterion: _CriterionId
    answered: tuple[_Answer, ...] = Field(min_length=1, max_length=3)

    def holds(self, facts: ConditionFacts) -> bool | None:
        """Return whether the test holds; None when the criterion has no answer."""
        verdict = facts.verdicts.get(self.criterion)
        return None if verdict is None else verdict in self.answered

    def said(self) -> str:
        """Return the test in words."""
        return f"{self.criterion} is {' or '.join(self.answered)}"


class FigureTest(_Test):
    """Holds when a figure of the call lies in a range; ``duration_s`` counts to the start of the last turn."""

    fact: Literal["duration_s", "turns", "agent_turns", "customer_turns"]
    at_least: float | None = Field(default=None, ge=0, le=1_000_000)
    at_most: float | None = Field(default=None, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _has_a_range(self) -> "FigureTest":
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"{self.fact} needs at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"{self.fact}: at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    def holds(self, facts: ConditionFacts) -> bool:
        """Return whether the figure lies in the range, ends included."""
        figure = _figure(self.fact, facts.turns)
        return (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)

    def said(self) -> str:
        """Return the test in words."""
        ends = [
            f"{word} {end:g}"
            for word, end in (("at least", self.at_least), ("at most", self.at_most))
            if end is not None
        ]
        return f"{self.fact} is {' and '.join(ends)}"


class WordsTest(_Test):
    """Holds when one of these words or phrases was said, whole words in any case; ``by`` None: by anyone."""

    words: tuple[_Phrase, ...] = Field(min_length=1, max_length=MOST_PHRASES)
    by: Literal["agent", "customer"] | None = None

    @field_validator("words")
    @classmethod
    def _has_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in words:
            if not _WORD.search(phrase):
                raise ValueError(f"{phrase!r} holds no word")
        return words

    def holds(self, facts: ConditionFacts) -> bool:
        """Return whether a turn has one of the phrases."""
        wanted = [_words(phrase) for phrase in self.words]
        said = [_words(turn.text) for turn in facts.turns if self.by in (None, turn.speaker)]
        return any(phrase in turn for turn in said for phrase in wanted)

    def said(self) -> str:
        """Return the test in words."""
        who = "someone" if self.by is None else f"the {self.by}"
        return f"{who} says {' or '.join(map(repr, self.words))}"


def _kind(value: Any) -> str:
    named = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return next((name for name in ("fact", "words") if name in named), "criterion")


ConditionTest = Annotated[
    Annotated[CriterionTest, Tag("criterion")]
    | Annotated[FigureTest, Tag("fact")]
    | Annotated[WordsTest, Tag("words")],
    Discriminator(_kind),
]


class Condition(BaseModel):
    """When a criterion applies: every test of ``all`` holds, at least one of ``any``, and none of ``none``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    all: tuple[ConditionTest, ...] = Field(default=(), max_length=MOST_TESTS)
    any: tuple[ConditionTest, ...] = Field(default=(), max_length=MOST_TESTS)
    none: tuple[ConditionTest, ...] = Field(default=(), max_length=MOST_TESTS)

    @model_validator(mode="after")
    def _asks_something(self) -> "Condition":
        if not (self.all or self.any or self.none):
            raise ValueError("the condition has no test: give all, any or none")
        return self

    def criteria(self) -> tuple[str, ...]:
        """Return the ids of the criteria whose answers the condition needs, each once."""
        tests = (*self.all, *self.any, *self.none)
        return tuple(dict.fromkeys(test.criterion for test in tests if isinstance(test, CriterionTest)))

    def holds(self, facts: ConditionFacts) -> bool | None:
        """Return whether the condition holds; None when that depends on a criterion without an answer."""
        parts = [test.holds(facts) for test in self.all]
        parts += [None if (held := test.holds(facts)) is None else not held for test in self.none]
        if self.any:
            some = [test.holds(facts) for test in self.any]
            parts.append(True if True in some else None if None in some else False)
        return False if False in parts else None if None in parts else True

    def said(self) -> str:
        """Return the condition in words."""
        parts = [test.said() for test in self.all]
        if self.any:
            parts.append(" or ".join(test.said() for test in self.any))
        parts += [f"not: {test.said()}" for test in self.none]
        return "; ".join(parts)


def in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the criteria in an order in which each comes after those that its condition needs.

    ``needs`` has for each criterion of a form the criteria that its condition names.

    Raises:
        ValueError: a condition names an unknown criterion, or criteria depend on each other in a circle.
    """
    ordered: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            raise ValueError(f"applies_when goes in a circle: {circle}; take one of these conditions away")
        if name in ordered:
            return
        path.append(name)
        for needed in needs[name]:
            if needed not in needs:
                raise ValueError(
                    f"applies_when of {name!r} names criterion {needed!r}, which the form does not have; "
                    f"it has {', '.join(needs)}"
                )
            visit(needed)
        path.pop()
        ordered.append(name)

    for name in needs:
        visit(name)
    return ordered


def _figure(fact: str, turns: Sequence[Turn]) -> float:
    if fact == "duration_s":
        return max((turn.start_s for turn in turns), default=0.0)
    speaker = {"agent_turns": "agent", "customer_turns": "customer"}.get(fact)
    return sum(turn.spoken and speaker in (None, turn.speaker) for turn in turns)


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold().replace('’', chr(39))))} "
