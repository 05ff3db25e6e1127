"""A tenant's own words, which redaction keeps (company, products, places), and its agents' names, which become ``[agent]``.

A listed word is kept where patterns or a finder take it for somebody's name or address by its capital alone. It is no name of
the tenant's where a person is named by it: after a title, beside a name, or where a caller says or spells a name. Numbers are
looked for as if nothing were listed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from service.core.redaction.entities import EntitySpan
from service.core.statements.grounding.names import ordinary

MOST_WORDS = 200
MOST_AGENTS = 2_000
_LONGEST = 60
_FEWEST_LETTERS = 3
_WRITTEN = r"^[^\W\d_](?:[^\W\d_]|[ .'’&-])*$"
_LETTER = re.compile(r"[^\W\d_]")
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|mister|madam|dame|lord|lady)\.?\s+$", re.I)
# "Will you hold?" begins a sentence with a verb, "Will here" with a name.
_BEGINS = re.compile(r"(?:^|[.!?:]\s)[\s\"']*$")
_GOES_ON = re.compile(r"\s+(?!(?:here|speaking|from|at|with|and)\b)[^\W\d_A-Z]")
_GIVES_NAME = r"(?:name(?:'s| is)|this is|i'm|i am|through to|speaking (?:to|with))\s+"


def _word(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise ValueError("a word is empty; leave it out")
    if len(text) > _LONGEST:
        raise ValueError(
            f"a word has {len(text)} characters, at most {_LONGEST} are allowed: list names, not sentences"
        )
    if not re.match(_WRITTEN, text):
        raise ValueError(
            f"{text!r} holds more than letters, spaces and .'&-; a digit or pattern would let numbers through"
        )
    if len(_LETTER.findall(text)) < _FEWEST_LETTERS:
        raise ValueError(f"{text!r} has fewer than {_FEWEST_LETTERS} letters, which would be kept in too many places")
    return text


OwnWord = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_word),
    WithJsonSchema({"type": "string", "minLength": _FEWEST_LETTERS, "maxLength": _LONGEST}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWords:
    """``words`` that are kept, in any case, and names of ``agents``, as they are written; both are checked as ``OwnWord``.

    After "my name is" an agent's name counts in any case, and a common word ("May") counts only there.
    """

    words: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    _words: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _joined: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _agents: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words, agents = _any_of(self.words), _any_of(self.agents)
        names = _any_of([name for name in self.agents if not ordinary(name)])
        named = rf"(?i:(?P<said>{_GIVES_NAME})(?:{agents}))" + f"|(?:{names})" * bool(names)
        for name, pattern, any_of in (
            ("_words", rf"(?i)(?<![\w@./-])(?:{words})(?![\w@]|[./-]\w)", words),
            ("_joined", rf"(?i)\[name\][ -](?:{words})(?!\w)|(?<!\w)(?:{words})[ -]\[name\]", words),
            ("_agents", rf"(?<![\w@.])(?:{named})(?![\w@])", agents),
        ):
            object.__setattr__(self, name, re.compile(pattern) if any_of else None)

    def places(self, text: str, *, fewest: int = 1) -> list[tuple[int, int]]:
        """Return where ``text`` holds listed words that name no person; those of fewer than ``fewest`` words are left out."""
        if self._words is None:
            return []
        return [
            found.span()
            for found in self._words.finditer(text)
            if len(found[0].split()) >= fewest and not _TITLE.search(text[max(found.start() - 12, 0) : found.start()])
        ]

    def without_joined(self, text: str) -> str:
        """Return ``text`` with each listed word beside ``[name]`` taken into it: it is part of that name."""
        return text if self._joined is None else self._joined.sub("[name]", text)

    def with_agents(self, text: str) -> str:
        """Return ``text`` with the names of agents replaced by ``[agent]``."""
        if self._agents is None:
            return text
        return self._agents.sub(_typed, text)

    def not_personal(self, text: str, spans: Sequence[EntitySpan]) -> list[EntitySpan]:
        """Return ``spans`` without the names and addresses that are listed words and nothing else."""
        places = self.places(text)
        return [
            span
            for span in spans
            if span.kind not in ("name", "address") or not _covered(text, span.start, span.end, places)
        ]


def _typed(found: re.Match[str]) -> str:
    if (
        found["said"] is None
        and _BEGINS.search(found.string[: found.start()])
        and _GOES_ON.match(found.string, found.end())
    ):
        return found[0]
    return f"{found['said'] or ''}[agent]"


def _covered(text: str, start: int, end: int, places: Sequence[tuple[int, int]]) -> bool:
    inside = [(max(a, start), min(b, end)) for a, b in places if a < end and b > start]
    rest, at = "", start
    for a, b in inside:
        rest, at = rest + text[at:a], b
    return bool(inside) and not re.search(r"\w", (rest + text[at:end]).removesuffix("'s"))


def _any_of(words: Sequence[str]) -> str:
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    return "|".join(r"\s+".join(map(re.escape, word.split())) for word in longest_first)


NO_WORDS = OwnWords()
