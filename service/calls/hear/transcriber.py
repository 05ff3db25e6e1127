"""The transcriber port, and its result: a call's turns and the known facts about the call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.calls.keys import CallObject
from service.core.tasks.scorecard.transcript import Turn

BILLED_TRANSCRIBER = "amazon-transcribe"  # bills by the minute; the others run here, or a file said the words


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts delivered with a call; None means unknown. ``language`` is a code such as "en-US".

    ``agent_channel`` ("ch_0") and ``agent_speaker`` ("spk_1") are the agent's channel and voice in a recording.
    """

    call_date: datetime | None = None
    agent_id: str | None = None
    queue: str | None = None
    form: str | None = None
    language: str | None = None
    agent_channel: str | None = None
    agent_speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A transcript before redaction, kept in memory only. ``by`` names the transcriber and its version.

    ``claimed`` counts the details that the transcriber reports to have removed, by kind; None when it reports nothing.
    """

    turns: tuple[Turn, ...]
    by: str
    facts: Facts = field(default_factory=Facts)
    job: str | None = None
    claimed: dict[str, int] | None = None


class Transcriber(Protocol):
    """Transcribes recordings. Blocking."""

    @property
    def language(self) -> str:
        """The language in which it hears calls that declare none, as "en-US"."""

    def hear(self, source: CallObject, body: bytes, facts: Facts) -> Heard:
        """Return the transcript of a recording.

        Raises:
            CallFailed: the recording cannot be transcribed.
            NotReady: transcription takes longer; try again later.
        """
