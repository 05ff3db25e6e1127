"""What a reply may rest on: the tools' answers of this turn by known fields, the customer's words, what was said before."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service.core.run.dialogue.turn import DialogueInputs
from service.core.statements.grounding.text import fold
from service.core.tasks.assistant.persona import must_disclose
from service.core.tasks.assistant.story import numbers_said
from service.core.tasks.assistant.wording import is_clean
from service.core.tools.use import TracedStep

_OPENING = (
    "documents_required",
    "process_steps",
    "processing_time",
    "benefits",
    "requirements",
    "account_type",
    "channel",
)
# A field that no tool of the bank has, such as a note, is no source: whoever planted it would decide what customers hear.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "get_branch_account_opening_info": _OPENING,
    "get_digital_account_opening_info": _OPENING,
    "get_debit_card_info": ("card_type", "card_details", "ordering_process", "replacement_info", "activation"),
    "find_nearest_branch": ("search_location", "service_requested", "branches_found", "branches", "message"),
    "check_hours": ("open", "now", "hours", "closes_at", "next_opening", "holiday"),
    "queue_position": ("position", "waiting", "estimated_wait_minutes", "message"),
    "request_callback": ("phone", "when", "start", "due", "message"),
    "transfer_to_agent": ("reason", "position", "estimated_wait_minutes", "message"),
}
_INNER: Mapping[str, tuple[str, ...]] = {
    "card_details": ("name", "features", "fees", "eligibility", "delivery_time"),
    "branches": ("name", "address", "phone", "hours", "services", "distance", "specialists_available"),
}


@dataclass(frozen=True, kw_only=True)
class SeenTurn:
    """The sources of one turn. ``answers`` are those of the tools that answered; ``tried`` names all tools that were called.

    ``customer`` are the customer's words and what the channel has verified, ``assistant`` what the assistant said before;
    ``spoken``: the customer hears the reply.
    """

    answers: Sequence[tuple[str, Mapping[str, Any]]] = ()
    tried: frozenset[str] = frozenset()
    customer: Sequence[str] = ()
    assistant: Sequence[str] = ()
    must_disclose: bool = False
    message: str = ""
    spoken: bool = False

    @classmethod
    def of(cls, inputs: DialogueInputs, steps: Iterable[TracedStep]) -> "SeenTurn":
        """Return the sources of a run with these steps."""
        uses = [step for step in steps if step.kind == "tool"]
        return cls.of_uses(inputs, ((step.name, step.status, step.content) for step in uses))

    @classmethod
    def of_uses(cls, inputs: DialogueInputs, uses: Iterable[tuple[str, str, str]]) -> "SeenTurn":
        """Return the sources of a turn whose ``uses`` are given as name, status and content."""
        used = list(uses)
        answers = [(name, json.loads(content)) for name, status, content in used if status == "done"]
        return cls(
            answers=tuple((name, answer) for name, answer in answers if isinstance(answer, dict)),
            tried=frozenset(name for name, status, _ in used if status != "refused"),
            customer=(*numbers_said(inputs), *inputs.said, *inputs.session.values()),
            assistant=tuple(turn.text for turn in inputs.history if turn.by == "assistant"),
            must_disclose=must_disclose(inputs),
            message=inputs.message,
            spoken=inputs.session.get("channel") == "voice",
        )

    def did(self, tool: str) -> bool:
        """Return whether ``tool`` answered in this turn."""
        return any(name == tool for name, _ in self.answers)

    @cached_property
    def fields(self) -> tuple[tuple[str, str, str], ...]:
        """Tool, dotted field and text of everything that the tools stated in known fields and clean words."""
        return tuple(item for item in self._all_fields if is_clean(item[2]))

    @cached_property
    def planted(self) -> tuple[str, ...]:
        """The texts in the tools' answers that were tampered with, whatever their field."""
        texts = (text for _, answer in self.answers for text in _texts(answer))
        return tuple(text for text in texts if len(text.split()) > 1 and not is_clean(text))

    @cached_property
    def stated(self) -> str:
        """All that the tools stated, folded, one field per line."""
        return "\n".join(fold(text) for _, _, text in self.fields)

    @cached_property
    def known(self) -> str:
        """What the tools stated and what the assistant told the customer earlier, whose replies were checked then; folded."""
        return "\n".join((self.stated, *map(fold, self.assistant)))

    @cached_property
    def known_words(self) -> frozenset[str]:
        """The words of ``known``."""
        return frozenset(self.known.replace("-", " ").split())

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """Name and address of each branch that a tool returned, and what the assistant told of branches earlier; folded."""
        answers = (answer.get("branches", ()) for _, answer in self.answers)
        texts = ([str(branch.get(name, "")) for name in ("name", "address")] for found in answers for branch in found)
        return (*(fold(" ".join(filter(is_clean, told))) for told in texts), *map(fold, self.assistant))

    @cached_property
    def said(self) -> str:
        """All that the customer said, folded."""
        return "\n".join(map(fold, self.customer))

    def lists(self, name: str) -> Iterator[Sequence[str]]:
        """Yield each list that the tools returned in field ``name``, as texts, without what was tampered with."""
        for _, answer in self.answers:
            found = answer.get(name)
            if isinstance(found, list):
                yield [str(item) for item in found if not isinstance(item, str) or is_clean(item)]

    @cached_property
    def _all_fields(self) -> tuple[tuple[str, str, str], ...]:
        return tuple(
            (tool, path, f"{text} minutes" if name.endswith("_minutes") else text)
            for tool, answer in self.answers
            for name in _FIELDS.get(tool, ())
            for path, text in _leaves(answer.get(name), name, _INNER.get(name))
        )


def _leaves(value: Any, path: str, inner: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name in value if inner is None else inner:
            yield from _leaves(value.get(name), f"{path}.{name}", ())
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}", inner)
    elif value is not None:
        yield path, str(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
