"""Recordings heard by the bundled Whisper; only where the extras ``speech`` and ``voices`` are installed."""

import io
import tracemalloc
import wave

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Facts
from service.calls.keys import read_key

pytest.importorskip("faster_whisper", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("espeakng_loader", reason="not installed: make setup EXTRAS=1")

import av

from service.calls.hear import whisper
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


def test_a_recording_that_ends_after_its_head_is_no_silent_call():
    # RFC 9639, STREAMINFO: 16 kHz, two channels of 16 bits, and then no frame.
    described = (16_000 << 44 | 1 << 41 | 15 << 36).to_bytes(8, "big")
    head = b"fLaC\x80\x00\x00\x22\x10\x00\xff\xff" + bytes(6) + described + bytes(16)
    with pytest.raises(CallFailed, match="ends before its sound begins") as caught:
        WhisperTranscriber().hear(SOURCE, head + bytes(5000), Facts())
    assert caught.value.reason is FailureReason.UNREADABLE


def flac(seconds, rate=16_000, layout="stereo"):
    """Return silence that is small as a file and large when decoded."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        for _ in range(seconds // 10):
            frame = av.AudioFrame(format="s16", layout=layout, samples=10 * rate)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_a_recording_that_is_too_long_is_refused_before_it_is_decoded_whole(monkeypatch):
    body = flac(3600)
    assert len(body) < 10_000_000
    monkeypatch.setattr(whisper, "LONGEST_S", 60)
    tracemalloc.start()
    try:
        with pytest.raises(CallFailed) as caught:
            whisper._has_two_sides(body)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason is FailureReason.TOO_LARGE
    assert most < 30_000_000  # the whole recording takes 230 MB


def test_many_channels_at_a_high_rate_count_as_what_they_are_decoded(monkeypatch):
    monkeypatch.setattr(whisper, "LONGEST_S", 60)
    assert whisper._has_two_sides(flac(50, rate=48_000)) is False
    with pytest.raises(CallFailed, match="more samples than") as caught:
        whisper._has_two_sides(flac(10, rate=192_000, layout="7.1"))
    assert caught.value.reason is FailureReason.TOO_LARGE


def test_a_recording_that_ends_its_decoder_fails_alone(monkeypatch):
    monkeypatch.setattr(whisper, "_READER_CPU_S", 1)
    with pytest.raises(CallFailed, match="process that decodes") as caught:
        WhisperTranscriber().hear(SOURCE, flac(600, rate=96_000, layout="7.1"), Facts())
    assert caught.value.reason is FailureReason.UNREADABLE


def test_a_long_recording_is_heard_in_windows_with_the_times_of_the_whole(monkeypatch):
    sound = spoken(SAID)
    whole = WhisperTranscriber().hear(SOURCE, sound, Facts()).turns
    monkeypatch.setattr(whisper, "_WINDOW_S", 4)
    monkeypatch.setattr(whisper, "_CUT_S", 2)
    turns = WhisperTranscriber().hear(SOURCE, sound, Facts()).turns
    assert {turn.speaker for turn in turns} == {"agent", "customer"}
    assert turns[-1].start_s == pytest.approx(whole[-1].start_s, abs=1.0)
    assert "bill" in " ".join(turn.text for turn in turns)


def wav(rate, seconds):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(bytes(2 * rate * seconds))
    return file.getvalue()


@pytest.mark.parametrize(("rate", "is_read"), [(1, False), (3_999, False), (4_000, True), (8_000, True)])
def test_a_rate_far_below_a_telephones_is_refused_before_it_is_made_larger(rate, is_read):
    if is_read:
        assert sum(map(len, whisper._pieces(wav(rate, 2)))) == pytest.approx(2 * 16_000, abs=100)
        return
    with pytest.raises(CallFailed, match=f"{rate} Hz") as caught:
        list(whisper._pieces(wav(rate, 2)))
    assert caught.value.reason is FailureReason.UNREADABLE


def aac(seconds):
    """Return noise as AAC, with the place of each packet in the file."""
    import numpy as np

    file, noise = io.BytesIO(), np.random.default_rng(0)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="stereo")
        for _ in range(seconds):
            samples = noise.normal(0, 0.1, (2, 16_000)).astype("float32")
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.rate = 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue())) as container:
        return file.getvalue(), [(one.pos, one.size) for one in container.demux(audio=0) if one.size]


def test_a_damaged_packet_does_not_end_a_recording():
    body, packets = aac(20)
    place, size = packets[len(packets) // 4]
    damaged = body[:place] + b"\xff" * size + body[place + size :]
    whole, rest = (sum(map(len, whisper._pieces(one))) for one in (body, damaged))
    assert 0.97 * whole < rest < whole


def test_a_recording_of_which_every_packet_is_damaged_is_no_silence():
    body, packets = aac(2)
    for place, size in packets:
        body = body[:place] + b"\xff" * size + body[place + size :]
    with pytest.raises(CallFailed) as caught:
        list(whisper._pieces(body))
    assert caught.value.reason is FailureReason.UNREADABLE
