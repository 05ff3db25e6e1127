"""Writes sample calls of two tenants from the dev cases: transcripts in every accepted format, and files that must be refused."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local import voices

TENANTS = ("brindlewick-energy", "osprey-quay-cu")
_AGENTS = ("a-104", "a-117", "a-122")
# Several days, so that a trend has more than one point.
_DAYS = ("2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")


def write_samples(settings: Settings, folder: Path) -> Iterator[str]:
    """Write calls and forms into ``folder``, one subfolder per tenant; yield a printable line per tenant.

    Raises:
        ConfigurationError: the dev cases are missing.
    """
    source = settings.datasets_dir / "scorecard" / "dev.jsonl"
    if not source.is_file():
        raise ConfigurationError(f"{source} does not exist: the samples are made from these dev cases")
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in source.read_text(encoding="utf-8").splitlines():
        inputs = json.loads(line)["inputs"]
        calls[inputs["tenant"]].append(inputs)
    for tenant in TENANTS:
        place = folder / tenant
        forms = {inputs["form"]["form_id"]: inputs["form"] for inputs in calls[tenant]}
        for name, form in forms.items():
            _write(place / "forms" / f"{name}.json", json.dumps(form, indent=1))
        for number, inputs in enumerate(calls[tenant]):
            _write_call(place, number, inputs)
        _write_awkward(place, calls[tenant][0], next(iter(forms)))
        audio = _write_spoken(place, calls[tenant][1])
        yield f"{place}: {len(calls[tenant])} calls on {len(forms)} forms, 8 awkward ones, {audio}"
    _write(folder / "no-such-tenant" / "lost.json", json.dumps({"turns": calls[TENANTS[0]][0]["turns"]}))
    yield f"{folder / 'no-such-tenant'}: a call of a tenant that does not exist"


def _write_call(place: Path, number: int, inputs: dict[str, Any]) -> None:
    at = f"{_DAYS[number % len(_DAYS)]}T{9 + number % 8:02d}:15:00+00:00"
    about = {"call_date": at, "agent_id": _AGENTS[number % len(_AGENTS)], "queue": "support"}
    folder = place / inputs["form"]["form_id"]
    turns = inputs["turns"]
    if number % 3 == 0:
        _write(folder / f"{number:02d}.json", json.dumps({**about, "turns": turns}, indent=1))
        return
    name = f"{number:02d}.vtt" if number % 3 == 1 else f"{number:02d}.transcribe.json"
    _write(folder / name, as_vtt(turns) if number % 3 == 1 else json.dumps(as_transcribe(turns, f"job-{number}")))
    _write(folder / f"{name}.meta.json", json.dumps({key.replace("_", "-"): value for key, value in about.items()}))


def _write_awkward(place: Path, inputs: dict[str, Any], form: str) -> None:
    folder, turns = place / form, inputs["turns"]
    first = json.dumps({"turns": turns, "agent_id": _AGENTS[0]})
    _write(folder / "monday" / "same-name.json", first)
    _write(folder / "tuesday" / "same-name.json", json.dumps({"turns": turns[:-1], "agent_id": _AGENTS[0]}))
    _write(folder / "tuesday" / "same-call-again.json", first)  # the same bytes: one call
    _write(folder / "silence.json", json.dumps({"turns": []}))
    music = [{"speaker": "system", "start_s": n * 30.0, "text": "(music)"} for n in range(4)]
    _write(folder / "music.json", json.dumps({"turns": music}))
    _write(folder / "no-agent.json", json.dumps({"turns": [turn for turn in turns if turn["speaker"] == "customer"]}))
    _write(folder / "cut-off.json", first[:200])
    _write(folder / "corrupt.wav", "RIFF\x10 this is no sound")


def _write_spoken(place: Path, inputs: dict[str, Any]) -> str:
    if not voices.is_installed():
        return "no recording (the extra 'voices' is not installed)"
    sound = voices.spoken([(turn["speaker"], turn["text"]) for turn in inputs["turns"]])
    (place / inputs["form"]["form_id"] / "spoken.wav").write_bytes(sound)
    return "1 recording"


def as_vtt(turns: list[dict[str, Any]]) -> str:
    """Return turns as WebVTT with voice tags."""
    cues = []
    for number, turn in enumerate(turns):
        end = turns[number + 1]["start_s"] if number + 1 < len(turns) else turn["start_s"] + 5
        cues.append(f"{_clock(turn['start_s'])} --> {_clock(end)}\n<v {turn['speaker'].title()}>{turn['text']}")
    return "WEBVTT\n\n" + "\n\n".join(cues) + "\n"


def as_transcribe(turns: list[dict[str, Any]], job: str) -> dict[str, Any]:
    """Return turns in Amazon Transcribe's format for a call with one channel per side; announcements are on the agent's."""
    channels: dict[str, list[dict[str, Any]]] = {"ch_0": [], "ch_1": []}
    for turn in turns:
        words = turn["text"].split()
        for place, word in enumerate(words):
            start = turn["start_s"] + place * 0.01
            channels["ch_1" if turn["speaker"] == "customer" else "ch_0"].append(
                {
                    "type": "pronunciation",
                    "start_time": f"{start:.2f}",
                    "end_time": f"{start + 0.01:.2f}",
                    "alternatives": [{"confidence": "0.99", "content": word}],
                }
            )
    labels = [{"channel_label": name, "items": items} for name, items in channels.items()]
    return {
        "jobName": job,
        "status": "COMPLETED",
        "results": {"transcripts": [], "channel_labels": {"channels": labels, "number_of_channels": 2}, "items": []},
    }


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{thousandths:03d}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
