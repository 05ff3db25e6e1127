"""Reads existing transcripts: our own JSON, WebVTT, and Amazon Transcribe's two JSON forms, recognised by their content."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Facts, Heard
from service.core.tasks.scorecard.transcript import MOST_CHARS, MOST_TURNS, Speaker, Turn

MOST_BYTES = 32 * 1024 * 1024  # a call of three hours has about 2 MB of Transcribe's JSON
_NAMED = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_LANGUAGE = r"^[a-z]{2,3}(?:-[A-Z]{2})?$"
_ROLES: dict[str, Speaker] = {
    **dict.fromkeys(("agent", "advisor", "adviser", "rep", "representative", "operator"), "agent"),
    **dict.fromkeys(("customer", "caller", "client", "member"), "customer"),
    **dict.fromkeys(("system", "ivr", "announcement", "music"), "system"),
}
_SPOKEN_BY = re.compile(r"^(?:<v(?:\.[\w.-]+)?\s+([^>]{1,80})>|([A-Za-z][\w ]{0,30}):\s+)(.*)$", re.S)
_TAG = re.compile(r"</?[a-z][^>]{0,80}>")
_CUE = re.compile(r"^(?:(\d{1,3}):)?(\d{2}):(\d{2})\.(\d{3})\s+-->")
_BREATH_S = 15.0
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a recorder whose clock was never set says 1970 or 1980
_CLOCKS_DIFFER_BY = timedelta(days=1)  # also of a recorder that tells local time as UTC
_REDACTED_WORD = re.compile(r"\[([A-Z][A-Z_]{2,30})\]")
_AUDIO = (b"RIFF", b"ID3", b"fLaC", b"OggS", b"#!AMR", b"\x1aE\xdf\xa3", b"FORM")


class OwnTranscript(BaseModel):
    """Our own transcript format, for systems that already have a transcript; only ``turns`` is required."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: tuple[Turn, ...] = Field(max_length=MOST_TURNS)
    call_date: AwareDatetime | None = None
    agent_id: str | None = Field(default=None, pattern=_NAMED)
    queue: str | None = Field(default=None, pattern=_NAMED)
    form: str | None = Field(default=None, pattern=_NAMED)
    language: str | None = Field(default=None, pattern=_LANGUAGE)


def is_audio(body: bytes) -> bool:
    """Return whether the bytes begin like a recording."""
    if body.startswith(_AUDIO) or body[4:8] == b"ftyp":
        return True
    # An MP3 without a tag begins with its first frame. FF FE is excluded: it is UTF-16's byte order mark more often than MPEG
    # Layer I.
    return len(body) > 1 and body[0] == 0xFF and body[1] & 0xE0 == 0xE0 and body[1] != 0xFE


def channels_of(head: bytes) -> int | None:
    """Return the number of channels of a recording in WAV or FLAC, from its first bytes; None where they do not say."""
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt " and len(head) >= 24:
        return int.from_bytes(head[22:24], "little")
    if head[:4] == b"fLaC" and len(head) > 20:  # RFC 9639: STREAMINFO comes first, 20 bits of rate before 3 of channels
        return (head[20] >> 1 & 0b111) + 1
    return None


def read_transcript(body: bytes, facts: Facts) -> Heard:
    """Return the turns of an existing transcript; facts in the transcript take precedence over ``facts``.

    Raises:
        CallFailed: it has none of the known forms, or is damaged; the message never quotes it.
    """
    if len(body) > MOST_BYTES:
        raise CallFailed(FailureReason.TOO_LARGE, f"a transcript of {len(body)} bytes; the limit is {MOST_BYTES}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable("neither UTF-8 text nor a recording of a known format") from None
    vtt = text.lstrip().startswith("WEBVTT")
    try:
        heard = Heard(turns=_merged(_vtt_turns(text)), by="webvtt", facts=facts) if vtt else _from_json(text, facts)
    except ValidationError as err:
        wrong = sorted(
            {".".join("*" if isinstance(part, int) else str(part) for part in e["loc"][:3]) for e in err.errors()}
        )
        raise _unreadable(f"a transcript with invalid {', '.join(wrong[:5])}") from None
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        ArithmeticError,
    ):  # the last: numbers and dates too large
        form = "WebVTT" if vtt else "Amazon Transcribe's format"
        raise _unreadable(f"{form}, but parts are missing, of a wrong type or out of range") from None
    return _storable(heard)


def _from_json(text: str, facts: Facts) -> Heard:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("neither JSON nor WebVTT nor a recording of a known format") from None
    if not isinstance(found, dict):
        raise _unreadable(f"JSON, but a {type(found).__name__} instead of an object")
    if "turns" in found:
        return _own(found, facts)
    if isinstance(found.get("results"), dict):
        return _standard(found, facts)
    if isinstance(found.get("Transcript"), list):
        return _analytics(found, facts)
    raise _unreadable("JSON without 'turns' (our format), 'results' or 'Transcript' (Amazon Transcribe's)")


def _storable(heard: Heard) -> Heard:
    """Refuse what could be read, but not be stored and read back; otherwise the call would be tried again for ever."""
    for number, turn in enumerate(heard.turns):
        if len(turn.text) > MOST_CHARS:
            raise CallFailed(
                FailureReason.TOO_LARGE, f"turn {number} has {len(turn.text)} characters; the limit is {MOST_CHARS}"
            )
    try:
        "".join([*(turn.text for turn in heard.turns), heard.job or "", *(heard.claimed or ())]).encode()
    except UnicodeEncodeError:
        raise _unreadable("a text holds half a surrogate pair, which is no character") from None
    return heard


def _own(found: dict[str, Any], facts: Facts) -> Heard:
    own = OwnTranscript.model_validate(found)
    said = {
        name: value
        for name in ("call_date", "agent_id", "queue", "form", "language")
        if (value := getattr(own, name)) is not None
    }
    if own.call_date is not None:
        said["call_date"] = own.call_date.astimezone(UTC)
    return Heard(turns=own.turns, by="ready-json", facts=replace(facts, **said))


def _standard(found: dict[str, Any], facts: Facts) -> Heard:
    """Amazon Transcribe's batch output: by channel, by voice, or one text without speakers."""
    results = found["results"]
    channels = results.get("channel_labels", {}).get("channels")
    if channels:
        words = [(label["channel_label"], item) for label in channels for item in label["items"]]
        agent = facts.agent_channel or "ch_0"  # by default the first recorded channel is the agent's
        speakers: dict[str, Speaker] = (
            {label["channel_label"]: "customer" for label in channels} if len(channels) == 2 else {}
        )
        speakers |= {agent: "agent"}
    else:
        words = [(item.get("speaker_label", ""), item) for item in results["items"]]
        voices = {label for label, _ in words}
        # A transcript does not say which voice is the agent's: the object's metadata does, or it is unknown.
        agent = facts.agent_speaker or ""
        speakers = (
            {voice: "agent" if voice == agent else "customer" for voice in voices} if agent in voices and agent else {}
        )
    claimed = None
    if found.get("isRedacted") or any(item.get("redactions") for _, item in words):
        kinds = (
            entry.get("type") or entry.get("category") or "PII" for _, item in words for entry in _redactions(item)
        )
        claimed = dict(Counter(str(kind).lower()[:40] for kind in kinds))
    turns = _merged(_spoken(words, speakers))
    name = str(found.get("jobName", "")) or None
    facts = _in_language(facts, results.get("language_code"))
    return Heard(turns=turns, by="amazon-transcribe-file", facts=facts, job=name, claimed=claimed)


def _in_language(facts: Facts, code: object) -> Facts:
    return replace(facts, language=code) if isinstance(code, str) and re.fullmatch(_LANGUAGE, code) else facts


def _redactions(item: dict[str, Any]) -> list[dict[str, Any]]:
    found = [entry for entry in item.get("redactions", []) if isinstance(entry, dict)]
    if found:
        return found
    content = item["alternatives"][0]
    inner = [entry for entry in content.get("redactions", []) if isinstance(entry, dict)]
    return inner or ([{"category": "PII"}] if _REDACTED_WORD.fullmatch(content["content"]) else [])


def _spoken(words: list[tuple[str, dict[str, Any]]], speakers: dict[str, Speaker]) -> Iterator[tuple[str, Turn]]:
    # Punctuation has no time: it takes that of the previous word of its channel.
    placed: list[tuple[float, str, str]] = []
    for label, item in words:
        content = str(item["alternatives"][0]["content"])
        if item["type"] == "punctuation" and placed and placed[-1][1] == label:
            start, _, before = placed[-1]
            placed[-1] = (start, label, before + content)
        elif item["type"] != "punctuation":
            placed.append((float(item["start_time"]), label, content))
    for start, label, text in sorted(placed, key=lambda word: word[0]):
        yield label, Turn(speaker=speakers.get(label, "unknown"), start_s=start, text=text)


def _analytics(found: dict[str, Any], facts: Facts) -> Heard:
    """Amazon Transcribe Call Analytics: turns with roles."""
    turns = [
        Turn(
            speaker=_ROLES.get(str(turn["ParticipantRole"]).lower(), "unknown"),
            start_s=float(turn["BeginOffsetMillis"]) / 1000,
            text=str(turn["Content"]),
        )
        for turn in found["Transcript"]
    ]
    tags = Counter(tag.lower() for turn in turns for tag in _REDACTED_WORD.findall(turn.text))
    said_so = str(found.get("ContentMetadata", {}).get("Output", "")) == "Redacted"
    claimed = dict(tags) if said_so or tags else None
    name = str(found.get("JobName", "")) or None
    facts = _in_language(facts, found.get("LanguageCode"))
    turns.sort(key=lambda turn: turn.start_s)
    return Heard(turns=_bounded(turns), by="amazon-call-analytics", facts=facts, job=name, claimed=claimed)


def _vtt_turns(text: str) -> Iterator[tuple[str, Turn]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    for block in lines[1:]:
        rows = block.strip().split("\n")
        times = next((number for number, row in enumerate(rows) if " --> " in row), None)
        if times is None:
            continue  # a note, a style, or an empty block
        cue = _CUE.match(rows[times].strip())
        if cue is None:
            raise _unreadable("a WebVTT cue whose time is not [hh:]mm:ss.mmm")
        hours, minutes, seconds, thousandths = (int(part or 0) for part in cue.groups())
        said = "\n".join(rows[times + 1 :]).strip()
        spoken = _SPOKEN_BY.match(said)
        speaker: Speaker = "unknown"
        voice = ""
        if spoken is not None:
            voice = (spoken[1] or "").strip()
            speaker = _ROLES.get((spoken[1] or spoken[2]).strip().lower(), "unknown")
            # "Yes: I did" does not begin with a speaker's name: remove only a voice tag or a role.
            said = spoken[3] if spoken[1] or speaker != "unknown" else said
            voice = voice or (speaker if speaker != "unknown" else "")
        words = " ".join(_TAG.sub("", said).split())
        if words:
            start_s = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
            yield voice, Turn(speaker=speaker, start_s=start_s, text=words)


def _merged(spoken: Iterable[tuple[str, Turn]]) -> tuple[Turn, ...]:
    """Join consecutive words of one speaker into a turn; words of unknown speakers only for ``_BREATH_S`` seconds."""
    found: list[tuple[str, Turn, list[str]]] = []
    for voice, turn in spoken:
        if found and found[-1][0] == voice and (voice or turn.start_s - found[-1][1].start_s < _BREATH_S):
            found[-1][2].append(turn.text)
        else:
            found.append((voice, turn, [turn.text]))
    return _bounded([first.model_copy(update={"text": " ".join(words)}) for _, first, words in found])


def _bounded(turns: list[Turn]) -> tuple[Turn, ...]:
    if len(turns) > MOST_TURNS:
        raise CallFailed(FailureReason.TOO_LARGE, f"{len(turns)} turns; the limit is {MOST_TURNS}")
    return tuple(turns)


def facts_of(metadata: dict[str, str], modified: datetime) -> Facts:
    """Return the facts in an S3 object's metadata.

    Reads ``agent-id``, ``queue``, ``form``, ``call-date``, ``language``, ``agent-channel`` and ``agent-speaker``. Ignores
    malformed values and impossible dates: none of them decides whose data the call is.
    """
    named = {
        name: value if (value := metadata.get(name.replace("_", "-"))) and re.fullmatch(_NAMED, value) else None
        for name in ("agent_id", "queue", "form", "agent_channel", "agent_speaker")
    }
    moment: datetime | None = None
    try:
        moment = datetime.fromisoformat(metadata.get("call-date", ""))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        moment = modified
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # a date in year 1 or 9999 whose zone takes it out of the calendar
        moment = modified.astimezone(UTC)
    if not is_possible_date(moment, modified):
        moment = modified.astimezone(UTC)
    language = metadata.get("language", "")
    return Facts(call_date=moment, language=language if re.fullmatch(_LANGUAGE, language) else None, **named)


def is_possible_date(call_date: datetime, uploaded: datetime) -> bool:
    """Return whether a call of this date can have been uploaded then: pages show a tenant's newest calls and their weeks."""
    return _EARLIEST <= call_date <= uploaded + _CLOCKS_DIFFER_BY


def _unreadable(detail: str) -> CallFailed:
    return CallFailed(FailureReason.UNREADABLE, detail)
