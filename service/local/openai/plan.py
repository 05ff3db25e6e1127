"""Which requests go wrong, and how."""

from dataclasses import dataclass, field
from enum import StrEnum


class Trouble(StrEnum):
    """What happens to a request."""

    RATE_LIMIT = "rate_limit"
    QUOTA_SPENT = "quota_spent"
    SERVER_ERROR = "server_error"
    BAD_KEY = "bad_key"
    UNKNOWN_MODEL = "unknown_model"
    HANG = "hang"
    REFUSAL = "refusal"
    CUT_OFF = "cut_off"
    NO_USAGE = "no_usage"
    ERROR_BODY = "error_body"
    OTHER_MODEL = "other_model"
    PROSE = "prose"
    STREAM_BREAKS = "stream_breaks"


@dataclass(slots=True)
class TroubleRule:
    """Trouble for the next ``count`` requests; None: for all."""

    trouble: Trouble
    count: int | None = None


def parse_trouble(text: str) -> TroubleRule:
    """Read ``rate_limit`` or ``rate_limit=2``.

    Raises:
        ValueError: unknown trouble, or a count that is not a positive number.
    """
    name, _, count = text.partition("=")
    if name not in set(Trouble) or (count and not (count.isdecimal() and int(count))):
        raise ValueError(f"expected KIND or KIND=COUNT with a kind of {', '.join(Trouble)}, got {text!r}")
    return TroubleRule(Trouble(name), int(count) if count else None)


@dataclass(slots=True)
class TroublePlan:
    """The rules in order; the first one with requests left decides. Also counts what came in."""

    rules: list[TroubleRule] = field(default_factory=list)
    requests: int = 0
    abandoned: int = 0  # requests whose caller closed the connection before the answer

    def draw(self) -> Trouble | None:
        """Count a request, and return its trouble or None."""
        self.requests += 1
        for rule in self.rules:
            if rule.count is None:
                return rule.trouble
            if rule.count:
                rule.count -= 1
                return rule.trouble
        return None
