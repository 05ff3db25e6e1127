"""The pair: prompt, model, backup, sampling, output rules and serving policy as one release unit with one digest."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from service.canonical import canonical_json, sha256_hex
from service.errors import PairError

Role = Literal["system", "user", "assistant"]
VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

# Below this the newest interaction and a line about the others find no room.
MINIMUM_HISTORY_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message; in a pair its content is a template, in a rendered prompt it is text."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the model draws its answer; ``temperature`` and ``top_p`` as the provider defines them."""

    max_output_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRules:
    """What an answer must look like: ``schema`` is versioned, ``labels`` are the line labels that a structured text needs."""

    schema: str
    max_words: int
    min_words: int = 1
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPolicy:
    """How long a request may take, and when the backup starts beside a primary that has not answered; milliseconds.

    ``max_history_tokens`` bounds the history in the prompt (estimated tokens); None gives all of it.
    """

    deadline_ms: int = 5000
    hedge_delay_ms: int = 2500
    max_history_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Everything that decides what the customer's agent reads. Equal content has an equal ``digest``, wherever it came from.

    ``description`` is for people and no part of the digest. ``cache_prefix`` asks the provider to cache the system message.
    """

    name: str
    task: str
    version: str
    model: str
    backup: str | None
    sampling: Sampling
    output: OutputRules
    serving: ServingPolicy
    messages: tuple[Message, ...]
    variables: tuple[str, ...]
    cache_prefix: bool = False
    description: str = ""

    def content(self) -> dict[str, Any]:
        """Return what the digest covers, as plain JSON types."""
        fields = asdict(self)
        del fields["description"]
        if self.serving.max_history_tokens is None:
            # The field is younger than released pairs: without it their digests stay what was signed.
            del fields["serving"]["max_history_tokens"]
        return fields

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the content, 64 hexadecimal digits."""
        return sha256_hex(canonical_json(self.content()))

    @cached_property
    def _borders(self) -> re.Pattern[str]:
        return re.compile(rf"<(?=\s*/?\s*(?:{'|'.join(map(re.escape, self.variables))})\b)", re.IGNORECASE)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "Pair":
        """Rebuild a pair from ``content()``.

        Raises:
            PairError: fields are missing, unknown, or of the wrong shape.
        """
        try:
            fields = dict(content)
            return cls(
                **fields
                | {
                    "sampling": Sampling(**_tuples(fields["sampling"], "stop_sequences")),
                    "output": OutputRules(**_tuples(fields["output"], "labels")),
                    "serving": ServingPolicy(**fields["serving"]),
                    "messages": tuple(Message(**message) for message in fields["messages"]),
                    "variables": tuple(fields["variables"]),
                }
            )
        except (KeyError, TypeError) as err:
            raise PairError(f"stored pair has missing or unknown fields: {err}") from err

    def render(self, values: Mapping[str, str]) -> tuple[Message, ...]:
        """Fill the templates in one pass, so a value that holds ``{{x}}`` stays text.

        A value's own ``<history>``-like tags are defused, because the system message names those tags as the border between
        our words and the customer's.

        Raises:
            PairError: a variable of the templates has no value.
        """
        missing = sorted(set(self.variables) - set(values))
        if missing:
            raise PairError(
                f"pair {self.name!r} needs values for {', '.join(missing)}; task {self.task!r} does not supply them"
            )
        safe = {name: self._borders.sub("‹", values[name]) for name in self.variables}
        return tuple(
            Message(role=message.role, content=VARIABLE.sub(lambda match: safe[match[1]], message.content))
            for message in self.messages
        )


def _tuples(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**fields, name: tuple(fields.get(name) or ())}
