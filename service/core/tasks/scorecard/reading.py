"""Parses a model's answer by its schema; invalid JSON is repaired once, and an answer that is still invalid is refused.

A pair uses one of two schemas. In ``scorecard-v1`` the model gives reason, quote, turn and verdict, and a verdict without a
reason does not count. In ``scorecard-lines-v1``, for models that cannot quote literally, it gives turn and verdict only, and the
code uses the turn's text as the quote.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.core.tasks.scorecard.arithmetic import Rating
from service.kit.frame.errors import OutputInvalid

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
_REASON = re.compile(r"[^\W\d_]{2}")


class CriterionRating(BaseModel):
    """A model's rating of one criterion; ``turn`` is the turn from which the model claims to quote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Rating
    reason: str = ""
    quote: str = ""
    turn: int | None = None


class Overview(BaseModel):
    """A model's description of the call or of one window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str = ""
    outcome: str = ""
    action_items: tuple[str, ...] = ()
    resolution: Resolution = "unclear"
    customer_tone: CustomerTone | None = None
    agent_tone: AgentTone | None = None


class Reading(BaseModel):
    """The parsed answer about one part, without unanswered criteria. ``valid``: it followed the schema without repair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid: bool
    answers: dict[str, CriterionRating] = Field(default_factory=dict)
    overview: Overview | None = None


def answer_schema(criterion_ids: Sequence[str], *, overview: bool, schema: str = QUOTES) -> dict[str, Any]:
    """Return the JSON schema of a part's answer: an object per criterion id, with the evidence before the verdict.

    It uses only features that every provider supports: "" and -1 mean no quote, because some providers do not support null.
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
    """Return the parsed answer about ``criterion_ids``; anything else in ``text`` is ignored.

    ``lines`` has the text of each turn by its number, for ``scorecard-lines-v1``.

    Raises:
        OutputInvalid: there is no JSON object even after one repair, or it holds no verdict.
    """
    found, valid = _json_object(text)
    answers = _answers(found)
    wanted = {name: _answered(answers[name]) for name in criterion_ids if name in answers}
    read = {name: answer for name, answer in wanted.items() if answer is not None}
    if not read:
        raise OutputInvalid(f"the answer has no verdict on any of the {len(criterion_ids)} criteria")
    if schema == QUOTES:
        read = {name: answer for name, answer in read.items() if _REASON.search(answer.reason)}
        if not read:
            raise OutputInvalid("no verdict of the answer has a reason")
    if schema == LINES:
        said_at = lines or {}
        read = {name: _quoting(answer, said_at) for name, answer in read.items()}
    said = _overview(found.get("overview")) if overview else None
    follows = _follows(found, criterion_ids, overview=overview, schema=schema)
    return Reading(valid=valid and follows, answers=read, overview=said)


def _quoting(answer: CriterionRating, lines: Mapping[int, str]) -> CriterionRating:
    # The schema requires a turn even for "not applicable"; it is ignored.
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
        import json_repair  # imported only if needed: most answers are valid JSON

        try:
            found, valid = json_repair.loads(text, skip_json_loads=True), False
        except (ValueError, RecursionError) as err:
            raise OutputInvalid("the answer is not JSON and cannot be repaired") from err
    if isinstance(found, list):  # prose around an object, or two objects: the last one that looks like an answer
        objects = [item for item in found if isinstance(item, dict) and ("answers" in item or "criteria" in item)]
        found, valid = (objects[-1] if objects else None), False
    if not isinstance(found, dict):
        raise OutputInvalid("the answer holds no JSON object")
    return found, valid


def _answers(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw answers by id, from an object as in the schema or from a list of objects with an ``id`` or ``criterion``."""
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
