"""Recordings heard by the bundled Whisper; only where the extras ``speech`` and ``voices`` are installed."""

import io
import wave

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Facts
from service.calls.keys import read_key

pytest.importorskip("faster_whisper", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("espeakng_loader", reason="not installed: make setup EXTRAS=1")

from service.calls.hear.whisper import WhisperTranscriber
from service.local.voices import spoken

SOURCE = read_key("acme/calls/x.wav", etag="e")
SAID = [
    ("agent", "Good morning, how can I help you today?"),
    ("customer", "My bill is wrong."),
    ("agent", "I am sorry to hear that."),
]


def mono(body):
    with wave.open(io.BytesIO(body)) as stereo:
        rate, frames = stereo.getframerate(), stereo.readframes(stereo.getnframes())
    left, right = memoryview(frames).cast("h")[::2], memoryview(frames).cast("h")[1::2]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(b"".join((a + b).to_bytes(2, "little", signed=True) for a, b in zip(left, right, strict=True)))
    return file.getvalue()


def test_two_channels_are_two_speakers_and_one_channel_is_unknown():
    hears, sound = WhisperTranscriber(), spoken(SAID)
    turns = hears.hear(SOURCE, sound, Facts()).turns
    assert [turn.speaker for turn in turns] == ["agent", "customer", "agent"]
    assert "help you today" in turns[0].text
    assert "bill is wrong" in turns[1].text
    assert [turn.speaker for turn in hears.hear(SOURCE, sound, Facts(agent_channel="ch_1")).turns][1] == "agent"
    assert {turn.speaker for turn in hears.hear(SOURCE, mono(sound), Facts()).turns} == {"unknown"}


def test_silence_has_no_turns_and_an_invalid_recording_fails():
    hears = WhisperTranscriber()
    assert hears.hear(SOURCE, spoken([("agent", " ")]), Facts()).turns == ()
    with pytest.raises(CallFailed) as caught:
        hears.hear(SOURCE, b"RIFF\x10 this is no sound", Facts())
    assert caught.value.reason is FailureReason.UNREADABLE
