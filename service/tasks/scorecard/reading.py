"""Reads what a model answered: as the schema says, else mended once, else not at all.

A pair's output schema is one of two. In ``scorecard-v1`` the model gives reason, quote, turn and verdict. In
``scorecard-lines-v1``, for models that cannot copy, it names the turn alone, and code takes the turn's words for the quote; it
writes no text of its own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import OutputInvalid
from service.tasks.scorecard.arithmetic import Rating

Resolution = Literal["resolved", "unresolved", "escalated", "unclear"]
CustomerTone = Literal["calm", "anxious", "frustrated", "angry", "relieved"]
AgentTone = Literal["professional", "warm", "curt", "dismissive"]
QUOTES, LINES = "scorecard-v1", "scorecard-lines-v1"
SCHEMAS = (QUOTES, LINES)
RESOLUTIONS: tuple[Resolution, ...] = ("resolved", "unresolved", "escalated", "unclear")
CUSTOMER_TONES: tuple[CustomerTone, ...] = ("calm", "anxious", "frustrated", "angry", "relieved")
AGENT_TONES: tuple[AgentTone, ...] = ("professional", "warm", "curt", "dismissive")
MOST_TEXT = 600
_MOST_ITEMS = 8
_VERDICTS: Mapping[str, Rating] = {
    **dict.fromkeys(("yes", "true", "y", "met", "pass", "passed"), "yes"),
    **dict.fromkeys(("no", "false", "n", "not met", "fail", "failed"), "no"),
    **dict.fromkeys(("na", "n/a", "not applicable", "not_applicable", "none applicable"), "na"),
}
_TURN = re.compile(r"\d{1,6}")


class CriterionRating(BaseModel):
    """A model's word on one criterion; ``turn`` is where it says that the quote stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Rating
    reason: str = ""
    quote: str = ""
    turn: int | None = None


class Overview(BaseModel):
    """A model's word on the call, or on one window of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str = ""
    outcome: str = ""
    action_items: tuple[str, ...] = ()
    resolution: Resolution = "unclear"
    customer_tone: CustomerTone | None = None
    agent_tone: AgentTone | None = None


class Reading(BaseModel):
    """What one part's answer holds; criteria that it does not answer are missing. ``valid``: it followed the schema as it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid: bool
    answers: dict[str, CriterionRating] = Field(default_factory=dict)
    overview: Overview | None = None


def answer_schema(criterion_ids: Sequence[str], *, overview: bool, schema: str = QUOTES) -> dict[str, Any]:
    """Return the JSON schema of a part's answer: each criterion by its id, its evidence before its verdict.

    Only what every provider takes; "" and -1 stand for no quote, because not every provider takes null.
    """
    answer = _object({name: _ANSWER_FIELDS[name] for name in _answer_fields(schema)})
    properties: dict[str, Any] = {"answers": _object(dict.fromkeys(criterion_ids, answer))}
    if overview:
        properties["overview"] = _object({name: _OVERVIEW_FIELDS[name] for name in _overview_fields(schema)})
    return _object(properties)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(words: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


_TEXT: dict[str, Any] = {"type": "string"}
_ANSWER_FIELDS: dict[str, dict[str, Any]] = {
    "reason": _TEXT,
    "quote": _TEXT,
    "turn": {"type": "integer"},
    "verdict": _one_of(("yes", "no", "na")),
}
_OVERVIEW_FIELDS: dict[str, dict[str, Any]] = {
    "summary": _TEXT,
    "outcome": _TEXT,
    "action_items": {"type": "array", "items": _TEXT},
    "resolution": _one_of(RESOLUTIONS),
    "customer_tone": _one_of(CUSTOMER_TONES),
    "agent_tone": _one_of(AGENT_TONES),
}


def _answer_fields(schema: str) -> tuple[str, ...]:
    return ("turn", "verdict") if schema == LINES else tuple(_ANSWER_FIELDS)


def _overview_fields(schema: str) -> tuple[str, ...]:
    return tuple(name for name in _OVERVIEW_FIELDS if schema != LINES or "enum" in _OVERVIEW_FIELDS[name])


def read_answer(
    text: str,
    criterion_ids: Sequence[str],
    *,
    overview: bool,
    schema: str = QUOTES,
    lines: Mapping[int, str] | None = None,
) -> Reading:
    """Return what ``text`` says about ``criterion_ids``; whatever else it speaks of is dropped.

    Args:
        text: the model's answer.
        criterion_ids: of the criteria that it was asked about.
        overview: whether it was asked for one.
        schema: of its answer.
        lines: for ``scorecard-lines-v1`` what each turn says, by its number.

    Raises:
        OutputInvalid: no JSON object even after one repair, or not one verdict in it.
    """
    found, valid = _json_object(text)
    answers = _answers(found)
    wanted = {name: _answered(answers[name]) for name in criterion_ids if name in answers}
    read = {name: answer for name, answer in wanted.items() if answer is not None}
    if not read:
        raise OutputInvalid(f"the answer gives no verdict on any of {len(criterion_ids)} criteria")
    if schema == LINES:
        said_at = lines or {}
        read = {name: _quoting(answer, said_at) for name, answer in read.items()}
    said = _overview(found.get("overview")) if overview else None
    follows = _follows(found, criterion_ids, overview=overview, schema=schema)
    return Reading(valid=valid and follows, answers=read, overview=said)


def _quoting(answer: CriterionRating, lines: Mapping[int, str]) -> CriterionRating:
    # What is not applicable rests on no turn, whatever number the model had to write.
    if answer.turn is None or answer.turn not in lines or answer.verdict == "na":
        return answer.model_copy(update={"quote": "", "turn": None})
    words = lines[answer.turn]
    if len(words) > MOST_TEXT:
        words = words[:MOST_TEXT].rpartition(" ")[0] or words[:MOST_TEXT]
    return answer.model_copy(update={"quote": words})


def _json_object(text: str) -> tuple[dict[str, Any], bool]:
    try:
        found, valid = json.loads(text), True
    except (json.JSONDecodeError, RecursionError):
        import json_repair  # only where it is needed; most answers are JSON

        try:
            found, valid = json_repair.loads(text, skip_json_loads=True), False
        except (ValueError, RecursionError) as err:
            raise OutputInvalid("the answer is not JSON and cannot be mended") from err
    if isinstance(found, list):  # prose around an object, or two objects: the last one that looks like an answer
        objects = [item for item in found if isinstance(item, dict) and ("answers" in item or "criteria" in item)]
        found, valid = (objects[-1] if objects else None), False
    if not isinstance(found, dict):
        raise OutputInvalid("the answer holds no JSON object")
    return found, valid


def _answers(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw answers by id: from the schema's own place, or from a list of objects that name their criterion."""
    raw = found.get("answers", found.get("criteria"))
    if isinstance(raw, list):
        return {str(item.get("id") or item.get("criterion") or ""): item for item in raw if isinstance(item, dict)}
    return raw if isinstance(raw, dict) else {}


def _answered(raw: Any) -> CriterionRating | None:
    if not isinstance(raw, dict):
        raw = {"verdict": raw}
    said = raw.get("verdict")
    word = str(said).strip().strip(".").lower() if isinstance(said, str | bool) else ""
    if word not in _VERDICTS:
        return None
    turn = raw.get("turn")
    if isinstance(turn, str):
        digits = _TURN.search(turn)
        turn = int(digits[0]) if digits else None
    if isinstance(turn, bool) or not isinstance(turn, int) or turn < 0:
        turn = None
    return CriterionRating(
        verdict=_VERDICTS[word], reason=_text(raw.get("reason")), quote=_text(raw.get("quote")), turn=turn
    )


def _overview(raw: Any) -> Overview | None:
    if not isinstance(raw, dict):
        return None
    items = raw.get("action_items")
    kept = [text for item in items if (text := _text(item))] if isinstance(items, list) else []
    fields = {"summary": _text(raw.get("summary")), "outcome": _text(raw.get("outcome"))}
    for name in ("resolution", "customer_tone", "agent_tone"):
        word = _text(raw.get(name)).lower()
        try:
            Overview.model_validate({name: word})
        except ValidationError:
            continue
        fields[name] = word
    return Overview.model_validate({**fields, "action_items": tuple(kept[:_MOST_ITEMS])})


def _text(raw: Any) -> str:
    return " ".join(raw.split())[:MOST_TEXT] if isinstance(raw, str) else ""


def _follows(found: Mapping[str, Any], criterion_ids: Sequence[str], *, overview: bool, schema: str) -> bool:
    """Return whether the answer is exactly what the schema asks for."""
    answers = found.get("answers")
    if not isinstance(answers, dict) or set(answers) != set(criterion_ids):
        return False
    if set(found) != ({"answers", "overview"} if overview else {"answers"}):
        return False
    fields = _answer_fields(schema)
    for answer in answers.values():
        if not isinstance(answer, dict) or set(answer) != set(fields) or answer["verdict"] not in ("yes", "no", "na"):
            return False
        if not all(type(answer[name]) is (int if name == "turn" else str) for name in fields):
            return False
    if not overview:
        return True
    said = found["overview"]
    try:
        return (
            isinstance(said, dict)
            and set(said) == set(_overview_fields(schema))
            and bool(Overview.model_validate(said))
        )
    except ValidationError:
        return False
