"""The fault plan of the Bedrock stand-in: which requests fail, and how; deterministic for a given seed."""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.local.converse_wire import BedrockError, ErrorKind


class FaultKind(StrEnum):
    """The effect of a rule on a request."""

    THROTTLE = "throttle"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    TIMEOUT = "timeout"
    NOT_READY = "not_ready"
    ACCESS_DENIED = "access_denied"
    DELAY = "delay"
    HANG = "hang"
    MID_STREAM_THROTTLE = "mid_stream_throttle"
    DISCONNECT = "disconnect"
    EMPTY = "empty"
    TRUNCATE = "truncate"


THROTTLED = BedrockError(ErrorKind.THROTTLED, "Too many requests, please wait before trying again.")
ERRORS: Mapping[FaultKind, BedrockError] = {
    FaultKind.THROTTLE: THROTTLED,
    FaultKind.UNAVAILABLE: BedrockError(ErrorKind.UNAVAILABLE, "Bedrock is unable to process your request."),
    FaultKind.INTERNAL: BedrockError(
        ErrorKind.INTERNAL, "The system encountered an unexpected error during processing. Try your request again."
    ),
    FaultKind.TIMEOUT: BedrockError(ErrorKind.TIMEOUT, "Model has timed out in processing the request."),
    FaultKind.NOT_READY: BedrockError(ErrorKind.NOT_READY, "The model is not ready for inference. Wait and try again."),
    FaultKind.ACCESS_DENIED: BedrockError(
        ErrorKind.ACCESS_DENIED, "You don't have access to the model with the specified model ID."
    ),
}


class FaultKey(StrEnum):
    """How a rule draws: `request` at random for each request, `body` by the body's hash, so that a repeated body fails again."""

    REQUEST = "request"
    BODY = "body"


class InvalidRule(ValueError):
    """An invalid rule; `field` names the wrong field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """A fault for a model (`*`: every model): `rate` is a fraction 0 to 1, `count` the most requests to hit (None: no limit)."""

    kind: FaultKind
    model: str = "*"
    rate: float = 1.0
    count: int | None = None
    delay_ms: float = 0.0
    key: FaultKey = FaultKey.REQUEST


FIELDS = ("kind", "model", "rate", "count", "delay_ms", "key")


def parse_rule(data: Mapping[str, object]) -> FaultRule:
    """Read a rule from JSON or from the command line's strings.

    Raises:
        InvalidRule: a field is wrong; the message names it and its allowed values.
    """
    for field in data:
        if field not in FIELDS:
            raise InvalidRule(field, f"unknown field, allowed: {', '.join(FIELDS)}")
    if "kind" not in data:
        raise InvalidRule("kind", f"required, allowed: {', '.join(FaultKind)}")
    model = data.get("model", "*")
    if not isinstance(model, str) or not model:
        raise InvalidRule("model", f"got {model!r}, allowed: a model id or *")
    count = data.get("count")
    kind = FaultKind(_choice(data, "kind", [str(kind) for kind in FaultKind]))
    delay_ms = _number(data, "delay_ms", 0.0, 600_000.0)
    if kind is FaultKind.DELAY and delay_ms == 0:
        raise InvalidRule("delay_ms", "required for kind delay, allowed: more than 0, up to 600000")
    return FaultRule(
        kind=kind,
        model=model,
        rate=_number(data, "rate", 1.0, 1.0),
        count=None if count is None or count == "null" else _count(count),
        delay_ms=delay_ms,
        key=FaultKey(_choice({"key": FaultKey.REQUEST, **data}, "key", [str(key) for key in FaultKey])),
    )


def parse_rule_text(text: str) -> FaultRule:
    """Read the command line's form, for instance `kind=throttle,model=*,rate=0.1`.

    Raises:
        InvalidRule: as `parse_rule`, also for a part without `=`.
    """
    parts = [part.partition("=") for part in text.split(",")]
    for name, separator, _ in parts:
        if not separator:
            raise InvalidRule(name, f"expected field=value, allowed fields: {', '.join(FIELDS)}")
    return parse_rule({name.strip(): value.strip() for name, _, value in parts})


def _choice(data: Mapping[str, object], field: str, allowed: list[str]) -> str:
    value = data[field]
    if not isinstance(value, str) or value not in allowed:
        raise InvalidRule(field, f"got {value!r}, allowed: {', '.join(allowed)}")
    return value


def _number(data: Mapping[str, object], field: str, default: float, top: float) -> float:
    value = data.get(field, default)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if 0 <= number <= top:
            return number
    raise InvalidRule(field, f"got {value!r}, allowed: a number from 0 to {top:g}")


def _count(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise InvalidRule("count", f"got {value!r}, allowed: null or a whole number of at least 1")
    return int(text)


@dataclass(slots=True, kw_only=True)
class ActiveRule:
    """A rule with its counters: requests that it `matched` (by model), and requests in which it `fired`."""

    rule_id: int
    rule: FaultRule
    draws: random.Random
    matched: int = 0
    fired: int = 0

    def to_wire(self) -> dict[str, str | int | float | None]:
        """The JSON object in answers of /_local/faults."""
        return {
            "id": self.rule_id,
            **{field: getattr(self.rule, field) for field in FIELDS},
            "matched": self.matched,
            "fired": self.fired,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOutcome:
    """The decision for one request: wait `delay_ms`, then fail with `kind` (None: answer normally)."""

    delay_ms: float = 0.0
    kind: FaultKind | None = None


class FaultPlan:
    """The active rules, applied in the order in which they were added.

    Delays add up; the first rule of another kind that fires decides, and later rules do not see that request.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._entries: list[ActiveRule] = []

    def add(self, rule: FaultRule) -> ActiveRule:
        """Add a rule. Ids start at 1, again after `clear`, so that repeating a plan repeats its faults."""
        rule_id = len(self._entries) + 1
        entry = ActiveRule(rule_id=rule_id, rule=rule, draws=random.Random(f"{self._seed}:{rule_id}"))
        self._entries.append(entry)
        return entry

    def clear(self) -> int:
        """Drop all rules and return how many there were."""
        dropped = len(self._entries)
        self._entries.clear()
        return dropped

    def statuses(self) -> list[ActiveRule]:
        """All rules with their counters, oldest first."""
        return list(self._entries)

    def judge(self, model_id: str, body: bytes, *, streaming: bool) -> FaultOutcome:
        """Return the decision for one request and count it. Rules with a mid-stream fault apply only to streams."""
        delay_ms = 0.0
        for entry in self._entries:
            rule = entry.rule
            if rule.model not in ("*", model_id) or (rule.kind is FaultKind.MID_STREAM_THROTTLE and not streaming):
                continue
            entry.matched += 1
            spent = rule.count is not None and entry.fired >= rule.count
            # Draw even if the count is used up, so that a rule's sequence does not depend on its count.
            if self._draw(entry, body) >= rule.rate or spent:
                continue
            entry.fired += 1
            delay_ms += rule.delay_ms
            if rule.kind is not FaultKind.DELAY:
                return FaultOutcome(delay_ms=delay_ms, kind=rule.kind)
        return FaultOutcome(delay_ms=delay_ms)

    def _draw(self, entry: ActiveRule, body: bytes) -> float:
        """A number in [0, 1)."""
        if entry.rule.key is FaultKey.REQUEST:
            return entry.draws.random()
        salted = f"{self._seed}:{entry.rule.kind}:{entry.rule.model}:".encode() + body
        # 53 bits, the precision of a float: with more, the quotient would sometimes round up to 1.0.
        return (int.from_bytes(hashlib.sha256(salted).digest()[:8]) >> 11) / 2**53
