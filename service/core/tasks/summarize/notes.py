"""Reads interactions into notes: their cleaned text in blocks, its language, and what in it must not be quoted."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from service.core.statements.grounding.language import language_of
from service.core.statements.grounding.lexicon import OPENERS, ORDINARY
from service.core.statements.grounding.quotable import addresses_reader, cleaned
from service.core.unit.interaction import Interaction
from service.kit.frame.patterns import pattern_texts

_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
# Years from 2040 are typing errors in notes written before 2040.
_IMPOSSIBLE_DATE = re.compile(r"\b\d{1,2}/\d{1,2}/20[4-9]\d\b")
_REPLY = re.compile(r"^[ \t]*[↳→⤷]\s*@(\w{1,40}):?(.{0,400})", re.M)
_GIVEN_NAME = re.compile(r"\b[A-Z][a-z]{1,20}\b")
# "Customer: ..." or "Tamsin (agent): ..." at the start of a line of a dialogue.
_LABEL = re.compile(
    r"^[ \t]*([A-Za-z][\w.'-]{0,20}(?: [\w.'-]{1,20}){0,2})(?: ?\(([\w .'-]{1,20})\))?[ \t]?:[ \t]+(?=\S)", re.M
)
_ROLES = {
    **dict.fromkeys(("customer", "cust", "caller", "cx", "you", "me"), "Customer"),
    **dict.fromkeys(("agent", "rep", "csr", "advisor", "representative"), "Agent"),
    **dict.fromkeys(("bot", "virtual assistant"), "Bot"),
}
_NO_SPEAKERS = frozenset("subject re from to date note remarks comments ref case items type amount".split())
_FIGURE = re.compile(r"\d{1,2}/\d{1,2}|\$\s?\d|\d\.\d\d\b|\b[A-Z]{2,4}-\d{2,}")
_CHANNELS = {"mobile_app": "mobile app"}
# Only the start and end of a longer text are read: 200 interactions of 20,000 characters must not use up the deadline.
_HEAD_CHARS, _TAIL_CHARS = 3000, 1500


@dataclass(frozen=True)
class Note:
    """One interaction with its cleaned text; ``bystanders`` are names of other people who wrote in its thread."""

    item: Interaction
    text: str
    language: str | None
    bystanders: frozenset[str]

    @cached_property
    def when(self) -> str:
        """Day and channel, as the digest shows them: "Nov 3 email"."""
        return f"{self.item.timestamp:%b} {self.item.timestamp.day} {channel_name(self.item)}"

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Paragraphs, or the lines of a text without paragraphs."""
        paragraphs = [part for part in _PARAGRAPH_END.split(self.text) if part.strip()]
        return tuple(paragraphs if len(paragraphs) > 1 else (line for line in self.text.split("\n") if line.strip()))

    @cached_property
    def foreign(self) -> dict[str, str]:
        """The text in each language other than English: the whole text, or single lines of an English one."""
        if self.language:
            return {self.language: self.text}
        found: dict[str, str] = {}
        for line in self.text.split("\n"):
            if line.strip() and (language := language_of(line)):
                found[language] = f"{found.get(language, '')}{line}\n"
        return found

    @cached_property
    def spoilt(self) -> frozenset[int]:
        """Indexes of the blocks that hold an instruction to a model, and of those below that may continue it."""
        found = frozenset(n for n, block in enumerate(self.blocks) if addresses_reader(block) or asks_for_a_text(block))
        if not found and addresses_reader(" ".join(self.text.split())):
            return frozenset(range(len(self.blocks)))  # an instruction wrapped over several lines
        return found | self._continued(found) if found else found

    def _continued(self, spoilt: frozenset[int]) -> frozenset[int]:
        """Return the lines below an instruction that may belong to it: up to the next speaker, day, amount or id."""
        if _PARAGRAPH_END.search(self.text):
            return frozenset()
        more: set[int] = set()
        inside = False
        for number, line in enumerate(self.blocks):
            inside = number in spoilt or (inside and not self.spoken(line)[0] and _FIGURE.search(line) is None)
            if inside:
                more.add(number)
        return frozenset(more)

    @cached_property
    def speakers(self) -> frozenset[str]:
        """The labels of a dialogue's lines, in lower case: known roles, and names before at least two lines."""
        counted = Counter(match[1].lower() for match in _LABEL.finditer(self.text))
        return frozenset(
            label for label, count in counted.items() if label in _ROLES or (count > 1 and label not in _NO_SPEAKERS)
        )

    def spoken(self, line: str) -> tuple[str, str]:
        """Return who says ``line`` ("" outside a dialogue) and the line without the label."""
        match = _LABEL.match(line)
        if match is None or (match[1].lower() not in self.speakers and (match[2] or "").lower() not in _ROLES):
            return "", line
        role = _ROLES.get(match[1].lower()) or _ROLES.get((match[2] or "").lower())
        return role or match[1], line[match.end() :]


def read_note(item: Interaction) -> Note:
    """Return ``item`` as a note; at most 4,500 characters of its text are read."""
    raw = item.text
    if len(raw) > _HEAD_CHARS + _TAIL_CHARS:
        # Cut at white space, so that no part of a number or word is quoted.
        raw = f"{raw[:_HEAD_CHARS].rpartition(' ')[0]}\n{raw[-_TAIL_CHARS:].partition(' ')[2]}"
    bystanders: set[str] = set()
    if item.channel == "social":
        for match in _REPLY.finditer(raw):
            names = (name for name in _GIVEN_NAME.findall(match[2]) if name.lower() not in ORDINARY | OPENERS)
            bystanders |= {match[1].lower(), *(name.lower() for name in names)}
        raw = _REPLY.sub("", raw)
    text = _IMPOSSIBLE_DATE.sub("", cleaned(raw)) if item.timestamp.year < 2040 else cleaned(raw)
    return Note(item, text, language_of(text), frozenset(bystanders))


def channel_name(item: Interaction) -> str:
    """Return the channel in words."""
    return _CHANNELS.get(item.channel, item.channel)


_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "planted")

_ORDERED = re.compile(_TEXTS["ordered"], re.I)
_ADDRESSED = re.compile(_TEXTS["addressed"], re.I)
_CODE = re.compile(_TEXTS["code"], re.I | re.M)


def asks_for_a_text(text: str) -> bool:
    """Return whether ``text`` asks for a piece of writing, a manner of answering, or a role, or holds program code."""
    return any(pattern.search(text) is not None for pattern in (_ADDRESSED, _ORDERED, _CODE))
