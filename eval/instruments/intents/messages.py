"""The labelled messages in ``datasets/assistant/intents``."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.errors import CaseError
from service.core.tasks.assistant.understanding.intents import Intent

MessageKind = Literal["plain", "slang", "speech", "near_miss", "two_wishes"]


class LabelledMessage(BaseModel):
    """What a customer may say first, and its ``intent``; ``also`` are others that are as right, as in a message of two wishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str = Field(min_length=1, max_length=500)
    intent: Intent
    also: tuple[Intent, ...] = ()
    kind: MessageKind = "plain"

    def accepts(self, intent: str) -> bool:
        """Return whether ``intent`` is right."""
        return intent == self.intent or intent in self.also


def read_messages(file: Path) -> list[LabelledMessage]:
    """Read a file of labelled messages, one JSON object per line.

    Raises:
        CaseError: there is no such file, or a line is no labelled message.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise CaseError(f"{file} cannot be read: labelled messages stand there, one JSON object per line") from err
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(LabelledMessage.model_validate_json(line))
        except ValidationError as err:
            wrong = err.errors()[0]
            place = ".".join(map(str, wrong["loc"]))
            raise CaseError(f"{file}:{number}: {place or 'line'}: {wrong['msg']}") from err
    return found


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
