"""What was heard in a call, whoever listened: turns, and what is known about the call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.calls.keys import CallObject
from service.tasks.scorecard.transcript import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What came with a call besides its words; None where nobody said.

    ``agent_channel`` and ``agent_speaker`` say which channel ("ch_0") or voice ("spk_1") of a recording is the agent's.
    """

    call_date: datetime | None = None
    agent_id: str | None = None
    queue: str | None = None
    form: str | None = None
    agent_channel: str | None = None
    agent_speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A transcript before redaction: it lives in memory only. ``by`` names the transcriber and its version.

    ``claimed`` counts what the transcriber says that it took out, by kind; None when it says nothing.
    """

    turns: tuple[Turn, ...]
    by: str
    facts: Facts = field(default_factory=Facts)
    job: str | None = None
    claimed: dict[str, int] | None = None


class Transcriber(Protocol):
    """Hears recordings. Blocking."""

    def hear(self, source: CallObject, body: bytes, facts: Facts) -> Heard:
        """Return what is said in a recording.

        Raises:
            CallFailed: nobody can hear it.
            NotReady: it takes longer; ask again.
        """
        ...
