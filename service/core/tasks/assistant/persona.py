"""How the assistant speaks of itself: wording from ``persona.yaml``, and whether a text discloses that it is an AI."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant.knowledge import TransferReason
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import NotStrict, parse_yaml, read_strict

FILE = Path(__file__).with_name("persona.yaml")
MOST_REMEMBERED = 20  # messages: ten exchanges
_SAYS_IT_IS_AI = re.compile(
    r"\b(?:AI|artificial intelligence|virtual assistant|digital assistant|automated assistant|chat ?bot|bot|(?<!cash )machine)\b"
)
_Words = Annotated[str, Field(min_length=3, max_length=400)]
_Wordings = Annotated[tuple[_Words, ...], Field(min_length=4)]


class Persona(BaseModel):
    """The assistant's wording: about itself, what it may ask, and what it says without a tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Words
    disclosure: _Words
    about_itself: _Words
    greeting: _Words
    handovers: Mapping[TransferReason, _Words]
    acknowledgments: _Wordings
    transitions: _Wordings
    clarifications: _Wordings
    closings: _Wordings
    questions: Mapping[str, Annotated[tuple[_Words, ...], Field(min_length=1)]]
    sayings: Mapping[str, _Words]
    deeds: Mapping[str, tuple[_Words, ...]]

    @property
    def wordings(self) -> tuple[str, ...]:
        """Everything that the assistant may say without a tool, questions included; handovers and deeds need theirs."""
        about = (self.disclosure, self.about_itself, self.greeting)
        turns = (*self.acknowledgments, *self.transitions, *self.clarifications, *self.closings)
        asked = (question for wordings in self.questions.values() for question in wordings)
        return (*about, *turns, *asked, *self.sayings.values())

    @field_validator("handovers")
    @classmethod
    def _has_every_reason(cls, texts: Mapping[TransferReason, str]) -> Mapping[TransferReason, str]:
        if missing := sorted(set(get_args(TransferReason)) - set(texts)):
            raise ValueError(f"the words for {', '.join(missing)} are missing")
        return texts

    @field_validator("disclosure", "about_itself")
    @classmethod
    def _says_that_it_is_an_ai(cls, text: str) -> str:
        if not discloses(text):
            raise ValueError("it must say that the customer talks to an AI, a bot or a machine")
        return text


def in_turn(wordings: Sequence[str], inputs: DialogueInputs) -> str:
    """Return the wording whose turn it is: each conversation begins at one of them and goes on in their order."""
    first = int(sha256_hex(inputs.conversation_id)[:8], 16)
    return wordings[(first + len(inputs.said)) % len(wordings)]


def discloses(text: str) -> bool:
    """Return whether ``text`` says that an AI speaks."""
    return _SAYS_IT_IS_AI.search(text) is not None


def remembered(inputs: DialogueInputs) -> Sequence[Spoken]:
    """Return the messages before this one that the assistant goes by."""
    return inputs.history[-MOST_REMEMBERED:]


def must_disclose(inputs: DialogueInputs) -> bool:
    """Return whether this reply has to say that an AI speaks: the first one, unless the channel's greeting has said it.

    A history that is full has lost its beginning, in which it was said.
    """
    if len(inputs.history) >= MOST_REMEMBERED:
        return False
    return not any(turn.by == "assistant" and discloses(turn.text) for turn in inputs.history)


@lru_cache(maxsize=1)
def persona() -> Persona:
    """Return the wording of ``persona.yaml``, read once.

    Raises:
        ConfigurationError: the file cannot be read or is wrong.
    """
    try:
        return Persona.model_validate(parse_yaml(read_strict(FILE))[1])
    except ValidationError as err:
        fault = err.errors()[0]
        raise ConfigurationError(f"{FILE.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from err
    except (OSError, NotStrict) as err:
        raise ConfigurationError(f"{FILE.name} cannot be read: {err}") from err
