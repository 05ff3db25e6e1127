"""The pair, the unit of release: prompt, model, backup, sampling, output rules and serving policy under one digest."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import PairError

Role = Literal["system", "user", "assistant"]
PairRole = Literal["candidate", "floor", "demo"]
VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[0-9A-Za-z-]{6,40}")
_LONGEST_FILE = 200

# Less has no room for the newest interaction and a line about the others.
MINIMUM_HISTORY_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """One chat message; its content is a template in a pair, and text in a rendered prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters; ``temperature`` and ``top_p`` as the provider defines them."""

    max_output_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRules:
    """The required format of an answer: a versioned ``schema``, word limits, and the ``labels`` of its lines if it has lines."""

    schema: str
    max_words: int
    min_words: int = 1
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPolicy:
    """The time limit of a request, and the delay after which the backup starts beside a slow primary; in milliseconds.

    ``max_history_tokens`` limits the history in the prompt (estimated tokens); None means no limit.
    """

    deadline_ms: int = 5000
    hedge_delay_ms: int = 2500
    max_history_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as a model is told of it. ``arguments`` is a JSON schema of an object; ``writes`` marks tools with an effect.

    ``verifies`` names top-level fields of the tool's answer, such as a parcel's number: their values may be arguments of later
    writing calls of the run. ``own_words`` names arguments of a writing tool that the model words itself, such as a note to a
    colleague: they need no source, and calls that differ in nothing else are the same call. ``documents`` is the digest of the
    index of documents that the tool searches; "" for other tools.
    """

    name: str
    description: str
    arguments: Mapping[str, Any]
    writes: bool = False
    verifies: tuple[str, ...] = ()
    own_words: tuple[str, ...] = ()
    documents: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file whose bytes decide answers, such as learned weights. The pair names it, and is used with exactly these bytes.

    ``file`` is a path with forward slashes below the task's folder of pairs, or below the folder of its code. ``sha256`` is the
    digest of the bytes, 64 hexadecimal digits.
    """

    name: str
    file: str
    sha256: str

    def fault(self) -> str | None:
        """Return what is wrong with the declaration, or None; pairs that somebody stored may hold anything."""
        if not all(isinstance(value, str) for value in (self.name, self.file, self.sha256)) or not self.name:
            return "name, file and sha256 must be texts"
        if len(self.file) > _LONGEST_FILE or not _FILE.fullmatch(self.file):
            return f"file {self.file[:_LONGEST_FILE]!r} must be a path below the task's folder, such as weights/intents.json"
        return None if _SHA256.fullmatch(self.sha256) else "sha256 must be 64 hexadecimal digits, in lower case"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a pair comes from that a search made (``omni optimize``); signed with the pair, as part of its digest.

    ``run`` is the id of the search, and ``number`` the candidate's in it. ``parent`` is the digest of the pair that the search
    began with. ``tried`` counts all candidates that were measured before this one was chosen, and ``looks`` is by how many looks
    at its cases the gate widens its intervals; both include those of the parent's own search. ``looks`` is ``tried`` unless the
    candidate was fixed before the gate's cases were read. ``writers`` are the ids of the models that worded the candidates; none
    of them may judge the pair.
    """

    run: str
    number: int
    parent: str
    tried: int
    looks: int
    writers: tuple[str, ...] = ()

    def fault(self) -> str | None:
        """Return what is wrong with it, or None; pairs that somebody stored may hold anything."""
        if not isinstance(self.run, str) or not _RUN.fullmatch(self.run):
            return "run must be the id of a search, such as 20261125T221500-1a2b"
        if not isinstance(self.parent, str) or not _SHA256.fullmatch(self.parent):
            return "parent must be the digest of a pair: 64 hexadecimal digits, in lower case"
        numbers = (self.number, self.tried, self.looks)
        if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 1 for value in numbers):
            return "number, tried and looks must be whole numbers above zero"
        return None if all(isinstance(name, str) and name for name in self.writers) else "writers must be ids of models"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One prompt of a pair with its own model: a judge, a validator, a router. The pair's main prompt is the part named "".

    ``cache_prefix`` asks the provider to cache the system message.
    """

    name: str
    model: str
    backup: str | None
    sampling: Sampling
    messages: tuple[PromptMessage, ...]
    variables: tuple[str, ...]
    cache_prefix: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of its model and of its backup, if it has one."""
        return (self.model,) if self.backup is None else (self.model, self.backup)

    @cached_property
    def _borders(self) -> re.Pattern[str]:
        # `<|` opens the role markers of most chat templates, which a model's server may read in a text, too.
        return re.compile(rf"<(?=\||\s*/?\s*(?:{'|'.join(map(re.escape, self.variables))})\b)", re.IGNORECASE)

    def render(self, values: Mapping[str, str]) -> tuple[PromptMessage, ...]:
        """Return the messages with all variables filled; ``values`` holds each. See ``Pair.render``."""
        safe = {name: self._borders.sub("‹", values[name]) for name in self.variables}
        return tuple(
            PromptMessage(role=message.role, content=VARIABLE.sub(lambda match: safe[match[1]], message.content))
            for message in self.messages
        )


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Everything that determines an answer apart from the inputs. Equal content has an equal ``digest``, whatever its source.

    ``description`` and ``role`` are not part of the digest. ``parts`` are further prompts, sorted by name, that the task asks
    beside the main one. ``artifacts``, sorted by name, are files that decide answers; ``opened`` has their verified bytes by
    SHA-256, as ``pair_file.artifacts`` read them, and is no part of what a pair is. A ``candidate`` is written to be released. A
    ``floor`` is what a candidate must beat, and may be released, too. A ``demo`` shows something, never has to pass the gate, and
    is released to stage ``local`` alone. ``lineage`` is None for a pair that a person wrote.
    """

    name: str
    task: str
    version: str
    model: str
    backup: str | None
    sampling: Sampling
    output: OutputRules
    serving: ServingPolicy
    messages: tuple[PromptMessage, ...]
    variables: tuple[str, ...]
    cache_prefix: bool = False
    tools: tuple[ToolSpec, ...] = ()
    parts: tuple[Part, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    description: str = ""
    role: PairRole = "candidate"
    lineage: Lineage | None = None
    opened: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def content(self) -> dict[str, Any]:
        """Return the content that the digest covers, as plain JSON types."""
        fields = asdict(self)
        del fields["description"], fields["role"], fields["opened"]
        if self.serving.max_history_tokens is None:
            # Pairs released before this field existed must keep the digest that was signed.
            del fields["serving"]["max_history_tokens"]
        for tool in fields["tools"]:
            for name in ("verifies", "own_words", "documents"):
                if not tool[name]:
                    del tool[name]
        for name in ("tools", "parts", "artifacts", "lineage"):
            if not fields[name]:
                del fields[name]
        return fields

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the content, 64 hexadecimal digits."""
        return sha256_hex(canonical_json(self.content()))

    @cached_property
    def prompts(self) -> tuple[Part, ...]:
        """All prompts of the pair: the main one, then its parts."""
        main = Part(
            name="",
            model=self.model,
            backup=self.backup,
            sampling=self.sampling,
            messages=self.messages,
            variables=self.variables,
            cache_prefix=self.cache_prefix,
        )
        return (main, *self.parts)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The ids of all models that may be asked, each once: the main prompt's, its backup's, then those of the parts."""
        return tuple(dict.fromkeys(model for prompt in self.prompts for model in prompt.models))

    @property
    def has_backup(self) -> bool:
        """True if any of its prompts has a backup."""
        return any(prompt.backup is not None for prompt in self.prompts)

    def models_of(self, *, backup: bool) -> tuple[str, ...]:
        """The ids of the models that an arm asks, each once: a prompt without backup asks its model in the backup's arm, too."""
        return tuple(dict.fromkeys((prompt.backup if backup else None) or prompt.model for prompt in self.prompts))

    def has_part(self, name: str) -> bool:
        """Return whether there is a part of this name, for a task that can do without it."""
        return any(part.name == name for part in self.parts)

    def part(self, name: str) -> Part:
        """Return the part of this name; "" is the main prompt. Raises ``PairError``: the pair has no such part."""
        for prompt in self.prompts:
            if prompt.name == name:
                return prompt
        named = ", ".join(part.name for part in self.parts) or "none"
        raise PairError(
            f"task {self.task!r} asks part {name!r}, which pair {self.name!r} does not have (its parts: {named}); "
            "add it to the pair"
        )

    def artifact(self, name: str) -> bytes | None:
        """Return the verified bytes of an artifact, the same object every time; None if the pair names no such artifact.

        Raises:
            PairError: the pair was not opened with its artifacts, which is a mistake of the program.
        """
        for found in self.artifacts:
            if found.name == name:
                if found.sha256 not in self.opened:
                    raise PairError(f"pair {self.name!r} is used before its artifact {name!r} was verified")
                return self.opened[found.sha256]
        return None

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "Pair":
        """Rebuild a pair from ``content()``.

        Raises:
            PairError: fields are missing or unknown, or have the wrong type.
        """
        try:
            fields = dict(content)
            if "opened" in fields:
                raise TypeError("unknown field 'opened'")
            return cls(
                **fields
                | _prompt(fields)
                | {
                    "output": OutputRules(**_tuples(fields["output"], "labels")),
                    "serving": ServingPolicy(**fields["serving"]),
                    "tools": tuple(
                        ToolSpec(**_tuples(tool, "verifies", "own_words")) for tool in fields.get("tools", ())
                    ),
                    "parts": tuple(map(_part, fields.get("parts", ()))),
                    "artifacts": _artifacts(fields.get("artifacts", ())),
                    "lineage": _lineage(fields.get("lineage")),
                }
            )
        except (KeyError, TypeError) as err:
            raise PairError(f"stored pair has missing or unknown fields: {err}") from err

    def render(self, values: Mapping[str, str], part: str = "") -> tuple[PromptMessage, ...]:
        """Return a part's messages with all variables filled in one pass, so that ``{{x}}`` in a value stays text.

        Tags like ``<history>`` and role markers like ``<|im_end|>`` inside a value are escaped: they are the borders between
        instructions and the customer's text.

        Raises:
            PairError: there is no such part, or a variable of its templates has no value.
        """
        prompt = self.part(part)
        missing = sorted(set(prompt.variables) - set(values))
        if missing:
            whose = f"part {part!r} of pair {self.name!r}" if part else f"pair {self.name!r}"
            raise PairError(f"{whose} needs values for {', '.join(missing)}; task {self.task!r} does not supply them")
        return prompt.render(values)


def _artifacts(stored: Sequence[Mapping[str, Any]]) -> tuple[Artifact, ...]:
    found = tuple(Artifact(**fields) for fields in stored)
    for artifact in found:
        if fault := artifact.fault():
            raise TypeError(f"artifact {artifact.name!r}: {fault}")
    if len({artifact.name for artifact in found}) < len(found):
        raise TypeError("two artifacts have the same name")
    return found


def _lineage(stored: Mapping[str, Any] | None) -> Lineage | None:
    if stored is None:
        return None
    found = Lineage(**_tuples(stored, "writers"))
    if fault := found.fault():
        raise TypeError(f"lineage: {fault}")
    return found


def _part(fields: Mapping[str, Any]) -> Part:
    return Part(**{**fields, **_prompt(fields)})


def _prompt(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sampling": Sampling(**_tuples(fields["sampling"], "stop_sequences")),
        "messages": tuple(PromptMessage(**message) for message in fields["messages"]),
        "variables": tuple(fields["variables"]),
    }


def _tuples(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**fields, **{name: tuple(fields.get(name) or ()) for name in names}}
