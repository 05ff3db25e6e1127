"""The source that accounts for a text: its statements, each with the way in which it may account for a sentence."""

from dataclasses import dataclass
from typing import Literal

# verbatim: a passage of one source statement, in other spellings at most; wording: an approved one; tool: a passage of a
# tool's result of this conversation; echo: the customer's own words; label: a term that the task's form gives.
How = Literal["verbatim", "wording", "tool", "echo", "label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One text of a source; ``how`` a sentence that repeats it is accounted for. A passage never spans two statements."""

    text: str
    how: How = "verbatim"
