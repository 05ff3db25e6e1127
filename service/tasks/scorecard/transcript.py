"""A call's transcript: turns with speaker, start and text, and how a turn is written in a prompt."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Speaker = Literal["agent", "customer", "system", "unknown"]
MOST_TURNS = 20_000
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w")


class Turn(BaseModel):
    """What one speaker said until the next one spoke; ``start_s`` is seconds from the call's beginning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: Speaker
    start_s: float = Field(ge=0, le=7 * 86_400, allow_inf_nan=False)
    text: Annotated[str, StringConstraints(max_length=100_000)]

    @property
    def spoken(self) -> bool:
        """Whether a person said words here."""
        return self.speaker != "system" and bool(_WORD.search(self.text))


def unscoreable(turns: Sequence[Turn]) -> str | None:
    """Return why nothing about an agent can be said from ``turns``, or None.

    Without a known agent nobody's conduct can be scored, unless nobody was told apart: then a person has to look.
    """
    spoken = {turn.speaker for turn in turns if turn.spoken}
    if not spoken:
        return "nobody says a word"
    if "agent" not in spoken and "unknown" not in spoken:
        return "no turn is the agent's"
    return None


def line_of(index: int, speaker: str, start_s: float, text: str) -> str:
    """Return a turn as one line: ``[12] 03:07 agent: text``."""
    minutes, seconds = divmod(int(start_s), 60)
    return f"[{index}] {minutes:02d}:{seconds:02d} {speaker}: {_SPACES.sub(' ', text).strip()}"
