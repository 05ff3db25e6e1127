"""Ready transcripts in every form that comes, and what is none."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.formats import facts_of, is_audio, is_possible_date, read_transcript
from service.calls.hear.transcriber import Facts
from service.local.call_samples import as_transcribe, as_vtt

NONE = Facts()
TURNS = [
    {"speaker": "agent", "start_s": 0.0, "text": "Hello, this is Sam."},
    {"speaker": "customer", "start_s": 4.5, "text": "My bill is wrong."},
    {"speaker": "agent", "start_s": 9.25, "text": "Let me look."},
]


def said(heard):
    return [(turn.speaker, turn.start_s, turn.text) for turn in heard.turns]


WANTED = [(turn["speaker"], turn["start_s"], turn["text"]) for turn in TURNS]


@pytest.mark.acceptance("score-06")
def test_our_own_json_says_more_than_turns():
    body = {
        "turns": TURNS,
        "call_date": "2026-11-16T09:00:00+02:00",
        "agent_id": "a-1",
        "queue": "q",
        "form": "support",
    }
    heard = read_transcript(json.dumps(body).encode(), Facts(agent_id="other"))
    assert said(heard) == WANTED
    assert heard.facts.call_date == datetime(2026, 11, 16, 7, tzinfo=UTC)
    assert (heard.facts.agent_id, heard.facts.form) == ("a-1", "support")


@pytest.mark.acceptance("call-step-05")
def test_webvtt_and_transcribe_give_the_same_turns():
    assert said(read_transcript(as_vtt(TURNS).encode(), NONE)) == WANTED
    assert said(read_transcript(json.dumps(as_transcribe(TURNS, "job-1")).encode(), NONE)) == WANTED


def test_webvtt_with_roles_before_a_colon_notes_and_no_speakers():
    text = (
        "\ufeffWEBVTT - call\n\nNOTE made by hand\n\n1\n00:01.000 --> 00:02.000 align:start\nAgent: Hello\n\n"
        "00:03.000 --> 00:04.000\nYes: I did\n\n00:30.000 --> 00:31.000\n<i>much</i> later\n"
    )
    assert said(read_transcript(text.encode(), NONE)) == [
        ("agent", 1.0, "Hello"), ("unknown", 3.0, "Yes: I did"), ("unknown", 30.0, "much later"),
    ]  # fmt: skip


def test_voices_are_unknown_until_the_metadata_names_the_agents():
    items = [
        {
            "type": "pronunciation",
            "start_time": "0.1",
            "speaker_label": "spk_0",
            "alternatives": [{"content": "Hello"}],
        },
        {"type": "punctuation", "speaker_label": "spk_0", "alternatives": [{"content": "."}]},
        {"type": "pronunciation", "start_time": "2.0", "speaker_label": "spk_1", "alternatives": [{"content": "Hi"}]},
    ]
    body = json.dumps({"jobName": "j", "results": {"items": items}}).encode()
    heard = read_transcript(body, NONE)
    assert said(heard) == [("unknown", 0.1, "Hello."), ("unknown", 2.0, "Hi")]
    assert heard.claimed is None
    assert [turn.speaker for turn in read_transcript(body, Facts(agent_speaker="spk_1")).turns] == ["customer", "agent"]
    assert [turn.speaker for turn in read_transcript(body, Facts(agent_speaker="spk_9")).turns] == [
        "unknown",
        "unknown",
    ]


def test_details_that_transcribe_removed_are_counted_if_flagged():
    items = [
        {"type": "pronunciation", "start_time": "0.1", "alternatives": [{"content": "I'm"}]},
        {"type": "pronunciation", "start_time": "0.5", "alternatives": [{"content": "[PII]"}],
         "redactions": [{"confidence": "0.9", "type": "NAME", "category": "PII"}]},
    ]  # fmt: skip
    heard = read_transcript(json.dumps({"isRedacted": True, "results": {"items": items}}).encode(), NONE)
    assert heard.claimed == {"name": 1}
    assert said(heard) == [("unknown", 0.1, "I'm [PII]")]


def test_call_analytics_names_roles_itself():
    body = {
        "JobName": "a-1", "LanguageCode": "en-US",
        "Transcript": [
            {"ParticipantRole": "CUSTOMER", "BeginOffsetMillis": 3000, "Content": "I'm [NAME]."},
            {"ParticipantRole": "AGENT", "BeginOffsetMillis": 500, "Content": "Hello."},
        ],
    }  # fmt: skip
    heard = read_transcript(json.dumps(body).encode(), NONE)
    assert said(heard) == [("agent", 0.5, "Hello."), ("customer", 3.0, "I'm [NAME].")]
    assert (heard.claimed, heard.job) == ({"name": 1}, "a-1")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not json", b"[1, 2]", b"{}", b'{"turns": 1}', b'{"turns": [], "secret": 1}',
        b"\xff\xfe\x00broken", b'{"turns": [{"spe',
        b'{"results": {}}', b'{"results": {"items": [{"type": "pronunciation"}]}}', b'{"Transcript": [{}]}',
        b"WEBVTT\n\nsoon --> later\nhello", b'{"results": {"items": [1]}}',
        b'{"turns": [{"speaker": "agent", "start_s": -1, "text": "Delphine"}]}',
    ],
)  # fmt: skip
def test_an_unreadable_transcript_is_refused_without_quoting_it(body):
    with pytest.raises(CallFailed) as caught:
        read_transcript(body, NONE)
    assert caught.value.reason is FailureReason.UNREADABLE
    assert "Delphine" not in str(caught.value)


LONG = "a" * 100_001
LINE = "b" * 60_000
FAR = "0001-01-01T00:00:00+14:00"


def transcribe(**results):
    return json.dumps({"results": results}).encode()


def word(content="x", start="1.0", **more):
    return {"type": "pronunciation", "start_time": start, "alternatives": [{"content": content}], **more}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"WEBVTT\n\n00:01.000 --> 00:02.000\n{LONG}", "unreadable"),
        ("WEBVTT\n\n999:01:00.000 --> 999:02:00.000\nhello", "unreadable"),
        # Each cue is short enough; one speaker's cues in a row are one turn.
        (f"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Agent>{LINE}\n\n00:02.000 --> 00:03.000\n<v Agent>{LINE}", "too_large"),
        (transcribe(items=[word(LINE, speaker_label="a"), word(LINE, speaker_label="a")]), "too_large"),
        (transcribe(items=[word(start=10**400)]), "unreadable"),
        (transcribe(items=[word("\ud800")]), "unreadable"),
        (transcribe(items=[word(redactions=[{"type": "\ud800"}])]), "unreadable"),
        (json.dumps({"jobName": "\ud800", "results": {"items": [word()]}}).encode(), "unreadable"),
        (json.dumps({"Transcript": [{"ParticipantRole": "x", "BeginOffsetMillis": 10**400, "Content": "x"}]}), "unreadable"),
        (json.dumps({"turns": TURNS, "call_date": FAR}).encode(), "unreadable"),
    ],
    ids=["cue", "hours", "merged-cues", "merged-words", "start", "surrogate", "kind", "job", "offset", "date"],
)  # fmt: skip
def test_what_could_be_read_and_not_be_kept_has_a_reason(body, reason):
    with pytest.raises(CallFailed) as caught:
        read_transcript(body.encode() if isinstance(body, str) else body, NONE)
    assert caught.value.reason == reason


@pytest.mark.parametrize("date", [FAR, "2036-11-16T00:00:00Z", "0001-01-02T00:00:00Z", "9999-12-30T00:00:00Z"])
def test_an_impossible_date_in_the_metadata_is_ignored(date):
    modified = datetime(2026, 11, 16, tzinfo=UTC)
    assert facts_of({"call-date": date}, modified).call_date == modified


@pytest.mark.parametrize(
    ("date", "possible"),
    [
        ("1999-12-31T23:59:59Z", False),
        ("2000-01-01T00:00:00Z", True),
        ("2026-11-17T00:00:00Z", True),
        ("2026-11-17T00:00:01Z", False),
    ],
)
def test_a_call_is_no_older_than_2000_and_no_newer_than_its_upload_by_a_day(date, possible):
    assert is_possible_date(datetime.fromisoformat(date), datetime(2026, 11, 16, tzinfo=UTC)) == possible


@given(st.text(alphabet="WEBVT0123456789:.-> \n<v/Agent", max_size=80))
def test_any_webvtt_is_a_transcript_or_a_reason(text):
    with contextlib.suppress(CallFailed):
        read_transcript(f"WEBVTT\n\n{text}".encode(), NONE)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["results", "items", "turns", "Transcript", "channel_labels", "channels", "x"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_transcript_or_a_reason(body):
    with contextlib.suppress(CallFailed):
        read_transcript(json.dumps(body).encode(), NONE)


def test_three_hours_are_read():
    turns = [
        {"speaker": "agent" if n % 2 else "customer", "start_s": n * 5.0, "text": "Still here."} for n in range(2200)
    ]
    assert len(read_transcript(json.dumps({"turns": turns}).encode(), NONE).turns) == 2200


def test_recordings_are_told_by_their_first_bytes():
    assert is_audio(b"RIFF....WAVE")
    assert is_audio(b"\x00\x00\x00\x18ftypM4A ")
    assert is_audio(b"\xff\xfb\x90\x00")
    assert not is_audio(b'{"turns": []}')
    assert not is_audio(b"WEBVTT")
    assert not is_audio(b"\xff\xfe\x00b")  # UTF-16 is no MP3: its second byte has 111 in front too
    assert not is_audio(b"")


def test_metadata_that_is_not_well_formed_counts_as_absent():
    at = datetime(2026, 11, 21, tzinfo=UTC)
    facts = facts_of({"agent-id": "a-1", "queue": "../x", "call-date": "yesterday", "form": "support"}, at)
    assert (facts.agent_id, facts.queue, facts.form, facts.call_date) == ("a-1", None, "support", at)
    assert facts_of({"call-date": "2026-11-20T10:00:00+01:00"}, at).call_date == datetime(2026, 11, 20, 9, tzinfo=UTC)
