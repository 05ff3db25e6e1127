"""Pre-filters: skip regular expressions that cannot match a text because it lacks a word, a digit or a run of letters.

A check may return True although the pattern matches nothing, but never False where it would match. A text with non-ASCII
letters always passes, since ignoring case there is more than converting to lower case.

Python's engine tries every alternative at every character. Looking for the fixed parts of the alternatives first takes a small
share of that; ``Screened`` derives them from the pattern itself, tries the alternatives that may match one by one, and the whole
only if one does. A hundred patterns have two thousand parts, so those that an answer holds are looked up once, by three letters.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import cached_property, lru_cache, partial
from re import _compiler, _parser  # type: ignore[attr-defined]
from re import _constants as ops  # type: ignore[attr-defined]
from typing import Any

_DIGIT = re.compile(r"\d")
# Letters that re.IGNORECASE treats as i, k or s; a word that it matched must also be found in a dictionary.
_SAME = (("\u0130", "I"), ("\u0131", "i"), ("\u017f", "s"), ("\u212a", "K"))
# Translating bytes is four times as fast as translating text, and splitting them is faster than a regular expression.
_SMALL_LETTERS = bytes(ord(chr(code).lower()) if chr(code).isalpha() else ord(" ") for code in range(128)) + bytes(128)


def words_in_order(text: str) -> list[str] | None:
    """Return the runs of letters of an ASCII text in lower case, None for any other text."""
    return text.encode().translate(_SMALL_LETTERS).decode().split() if text.isascii() else None


@lru_cache(maxsize=64)
def plain_words(text: str) -> frozenset[str] | None:
    """Return the distinct runs of letters of an ASCII text in lower case, None for any other text."""
    words = words_in_order(text)
    return None if words is None else frozenset(words)


def same_letters(text: str) -> str:
    """Return ``text``, at the same length, with dotless i, long s and the Kelvin sign replaced by plain letters."""
    return text if text.isascii() else replaced(text, _SAME)


def replaced(text: str, changes: Iterable[tuple[str, str]]) -> str:
    """Return ``text`` with every replacement made; for a dozen of them, ten times as fast as ``str.translate``."""
    for old, new in changes:
        text = text.replace(old, new)
    return text


def holds_word(text: str, words: frozenset[str]) -> bool:
    """Return whether ``text`` may hold one of ``words`` (lower case, letters only) as a whole word."""
    known = plain_words(text)
    return known is None or not known.isdisjoint(words)


def holds_part(text: str, parts: Iterable[str]) -> bool:
    """Return whether ``text`` may hold one of ``parts`` (lower case), also inside of words."""
    if not text.isascii():
        return True
    lower = text.lower()
    for part in parts:  # noqa: SIM110 - `any` with a generator takes twice as long; this runs dozens of times a text
        if part in lower:
            return True
    return False


def holds_digit(text: str) -> bool:
    """Return whether ``text`` holds a digit of any script (exact, unlike the other checks)."""
    return _DIGIT.search(text) is not None


Parts = frozenset[str]
_screened: "list[Screened]" = []
# The parts of all patterns that were used, by their first three letters; those that are shorter under "".
_HEAD = 3
_by_head: dict[str, tuple[str, ...]] = {}
_indexed: set[str] = set()
_indexing = threading.Lock()
# Interactions are read by few patterns: there one of fewer parts looks for them itself, and so does each in a longer text.
_LEAST_INDEXED, _MOST_CHARS = 16, 1_500


class _Alternative:
    """One alternative of a pattern: parts that each match holds one of, in several sets, and its own compiled pattern."""

    def __init__(self, parsed: Any, flags: int) -> None:
        self.needed = _needed_by(parsed)
        self._parsed, self._flags = parsed, flags

    def may_be_in(self, lacks: Callable[[Parts], bool]) -> bool:
        """Return whether a text holds a part of every set; ``lacks`` says of a set that it holds none."""
        return not any(map(lacks, self.needed))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Without what stands around all alternatives, such as a word's boundary: it may match more than the whole does."""
        found: re.Pattern[str] = _compiler.compile(self._parsed, self._flags)
        return found


class Screened:
    """A compiled pattern, and for each of its alternatives the parts of which a match holds one, several times over.

    For ``(?:as instructed|(?:per|under) the (?:rules|prompt))`` these are "as instructed"; and one of "rules" and "prompt", one
    of "per" and "under", and " the ". Texts with other letters than ASCII are never screened, since ignoring case there is
    more than converting to lower case. It is compiled at its first use or by ``compile_screened``, not when it is imported.
    """

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._source, self._flags, self._least_indexed = pattern, flags, _LEAST_INDEXED
        _screened.append(self)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self._source, self._flags)

    @cached_property
    def alternatives(self) -> tuple[_Alternative, ...]:
        """Its alternatives; empty if nothing is known of one of them, which may match any text."""
        parsed = _parser.parse(self._source, self._flags)
        found = tuple(_Alternative(one, parsed.state.flags) for one in _alternatives(parsed))
        if not all(one.needed for one in found):
            return ()
        _index(frozenset[str]().union(*(parts for one in found for parts in one.needed)))
        return found

    @cached_property
    def rarest(self) -> Parts:
        """Parts of which a text holds one, if any alternative matches."""
        return _shortest({part for one in self.alternatives for part in one.needed[0]})

    def within(self, prose: str) -> "Screened | None":
        """Return what finds the same in any part of ``prose``, in less time; None if that is nothing."""
        if not self.rarest or not prose.isascii():
            return self
        left = self._left(prose, indexed=True)
        if not left:
            return None
        narrowed = copy(self)
        narrowed.alternatives, narrowed._least_indexed = tuple(left), _MOST_CHARS
        narrowed.rarest = frozenset[str]().union(*(one.needed[0] for one in left))
        return narrowed

    def may_match(self, text: str) -> bool:
        """Return False only if the pattern matches nowhere in ``text``."""
        if not self.rarest or not text.isascii():
            return True
        left = self._left(text, indexed=len(self.rarest) >= self._least_indexed)
        return any(one.pattern.search(text) for one in left)

    def _left(self, text: str, *, indexed: bool) -> list[_Alternative]:
        """Return the alternatives of which ``text`` holds all that they need; ``indexed``: other patterns read it as well."""
        lacks: Callable[[Parts], bool]
        if not indexed or len(text) > _MOST_CHARS:
            lacks = partial(_lacks, text.lower())
        else:
            lacks = _parts_in(text, len(_indexed)).isdisjoint
        return [] if lacks(self.rarest) else [one for one in self.alternatives if one.may_be_in(lacks)]

    def search(self, text: str) -> re.Match[str] | None:
        """See ``re.Pattern.search``."""
        return self.pattern.search(text) if self.may_match(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """See ``re.Pattern.finditer``."""
        return self.pattern.finditer(text) if self.may_match(text) else iter(())

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """See ``re.Pattern.sub``."""
        return self.pattern.sub(replacement, text) if self.may_match(text) else text


def compile_screened() -> None:
    """Compile every ``Screened`` that exists; it takes a tenth of a second, once a process."""
    while _screened:
        screened = _screened.pop()
        _ = screened.pattern, screened.rarest  # cached properties: the access computes them


def screened_is_compiled() -> bool:
    """Return whether nothing is left for ``compile_screened``."""
    return not _screened


def _lacks(lower: str, parts: Parts) -> bool:
    for part in parts:  # noqa: SIM110 - `all` with a generator takes twice as long
        if part in lower:
            return False
    return True


def _index(parts: Parts) -> None:
    with _indexing:
        for part in parts - _indexed:
            head = part[:_HEAD] if len(part) >= _HEAD else ""
            _by_head[head] = (*_by_head.get(head, ()), part)
        _indexed.update(parts)


@lru_cache(maxsize=64)
def _parts_in(text: str, indexed: int) -> Parts:
    """Return the parts of all ``indexed`` patterns that ``text`` holds; their number tells apart what was kept before."""
    lower = text.lower()
    under = [(start, _by_head.get(lower[start : start + _HEAD], ())) for start in range(len(lower))]
    found = [part for start, parts in under if parts for part in parts if lower.startswith(part, start)]
    return frozenset(found).union(part for part in _by_head.get("", ()) if part in lower)


def _alternatives(parsed: Any) -> list[Any]:
    """Return the alternatives that a whole parsed pattern consists of."""
    items = [item for item in parsed if item[0] is not ops.AT]
    if len(items) == 1 and items[0][0] is ops.SUBPATTERN:
        return _alternatives(items[0][1][3])
    if len(items) == 1 and items[0][0] is ops.BRANCH:
        return list(items[0][1][1])
    return [parsed]


def _needed_by(parsed: Any) -> tuple[Parts, ...]:
    """Return sets of parts in lower case, the presumably rarest first; each match of ``parsed`` holds one of every set."""
    return tuple(_shortest(parts) for parts in sorted({found for found in _candidates(parsed) if found}, key=_rarity))


def _rarity(parts: frozenset[str]) -> tuple[int, int]:
    return -min(map(len, parts)), len(parts)


def _shortest(parts: Iterable[str]) -> Parts:
    """Return ``parts`` without those that hold another one and are therefore found with it."""
    known = frozenset(parts)
    return frozenset(part for part in known if not any(other in part for other in known - {part}))


def _required_of(parsed: Any) -> frozenset[str] | None:
    """Return parts of which each match of a parsed sequence holds one, or None if there are none for sure."""
    return min((found for found in _candidates(parsed) if found), key=_rarity, default=None)


def _candidates(parsed: Any) -> Iterator[frozenset[str] | None]:
    letters = ""
    for operation, argument in parsed:
        letter = _letter(operation, argument)
        if letter is not None:
            letters += letter
            continue
        if letters:
            yield frozenset({letters})
            letters = ""
        if operation is ops.SUBPATTERN:
            yield _required_of(argument[3])
        elif operation is ops.BRANCH:
            yield _either(argument[1])
        elif operation in (ops.MAX_REPEAT, ops.MIN_REPEAT) and argument[0] >= 1:
            yield _required_of(argument[2])
    if letters:
        yield frozenset({letters})


def _letter(operation: Any, argument: Any) -> str | None:
    """Return the ASCII letter in lower case that one item of a parsed sequence is, "m" for "[Mm]", or None."""
    codes = [argument] if operation is ops.LITERAL else []
    if operation is ops.IN and all(kind is ops.LITERAL for kind, _ in argument):
        codes = [code for _, code in argument]
    letters = {chr(code).lower() if code < 128 else None for code in codes}
    return letters.pop() if len(letters) == 1 else None


def _either(branches: Any) -> frozenset[str] | None:
    required = [_required_of(branch) for branch in branches]
    return None if None in required else frozenset[str]().union(*(parts for parts in required if parts))
