"""The source that accounts for a text: its statements, each with the way in which it may account for a sentence."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from service.core.statements.accounting.wording import SpelledText, stems_of, worded
from service.core.statements.grounding.quotable import cleaned

# verbatim: a passage of one source statement, in other spellings at most; wording: an approved one; tool: a passage of a
# tool's result of this conversation; echo: the customer's own words; label: a term that the task's form gives.
How = Literal["verbatim", "wording", "tool", "echo", "label"]


@dataclass(frozen=True, kw_only=True)
class SourceStatement:
    """One text of a source; ``how`` a sentence that repeats it is accounted for. A passage never spans two statements.

    ``heads`` are what may stand before a passage of it, such as the day and channel of an interaction: no other head may.
    ``items`` make it a list, of which any selection in any order is a passage behind a head; ``text`` is then what readers see.
    The ``text`` of a wording may have one ``{blank}``, which only words of an echo or a tool's result fill.
    """

    text: str
    how: How = "verbatim"
    heads: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    @cached_property
    def words(self) -> SpelledText:
        """Its words, with the places where a clause begins or ends."""
        return worded(cleaned(self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of its words that carry meaning."""
        return stems_of(f"{self.text} {' '.join(self.items)}")

    @cached_property
    def head_words(self) -> frozenset[tuple[str, ...]]:
        """The words of each head."""
        return frozenset(worded(head).words for head in self.heads)

    @cached_property
    def blank(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """The words before and behind a wording's ``{blank}``; None without one."""
        if self.how != "wording" or "{" not in self.text:
            return None
        return worded(self.text.partition("{")[0]).words, worded(self.text.partition("}")[2]).words

    @cached_property
    def item_words(self) -> tuple[tuple[str, ...], ...]:
        """The words of each item, longest first."""
        return tuple(sorted((worded(item).words for item in self.items), key=len, reverse=True))


class AccountSource:
    """The statements that may account for a text; one source can account for any number of texts."""

    def __init__(self, statements: tuple[SourceStatement, ...]) -> None:
        """Keep the statements; their words are read when a sentence first needs them."""
        self.statements = statements

    @cached_property
    def heads(self) -> frozenset[tuple[str, ...]]:
        """The heads of all statements."""
        return frozenset[tuple[str, ...]]().union(*(one.head_words for one in self.statements))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of the words that carry meaning in any statement."""
        return frozenset[str]().union(*(one.stems for one in self.statements))
