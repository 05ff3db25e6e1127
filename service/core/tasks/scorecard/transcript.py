"""A call's transcript: its turns, whether it can be scored, and the line of a turn in a prompt."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Speaker = Literal["agent", "customer", "system", "unknown"]
MOST_TURNS = 20_000
MOST_CHARS = 100_000  # of a turn
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w")


class Turn(BaseModel):
    """The words of one speaker until the next one speaks; ``start_s`` is in seconds from the start of the call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: Speaker
    start_s: float = Field(ge=0, le=7 * 86_400, allow_inf_nan=False)
    text: Annotated[str, StringConstraints(max_length=MOST_CHARS)]

    @property
    def spoken(self) -> bool:
        """Whether a person speaks in this turn, and the text has words."""
        return self.speaker != "system" and bool(_WORD.search(self.text))


def unscoreable(turns: Sequence[Turn]) -> str | None:
    """Return why a call with these ``turns`` cannot be scored, or None if it can.

    A call without an agent cannot be scored. If speakers are unknown, the agent may be among them: the call is scored and goes
    to review.
    """
    spoken = {turn.speaker for turn in turns if turn.spoken}
    if not spoken:
        return "no words are spoken"
    if "agent" not in spoken and "unknown" not in spoken:
        return "no turn is the agent's"
    return None


def line_of(index: int, speaker: str, start_s: float, text: str) -> str:
    """Return a turn as one line: ``[12] 03:07 agent: text``."""
    minutes, seconds = divmod(int(start_s), 60)
    return f"[{index}] {minutes:02d}:{seconds:02d} {speaker}: {_SPACES.sub(' ', text).strip()}"
