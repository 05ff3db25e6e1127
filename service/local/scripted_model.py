"""A stand-in model that answers from a file, so that the processing of answers can be tested over the real wire format."""

import json
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from service.local.converse_wire import ConverseRequest, WireStopReason
from service.local.engines import Delta, Done

SCRIPTED_MODEL_ID = "local.scripted-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRule:
    """The answers to a prompt whose last user turn contains all texts of ``contains``; one is drawn at random per request."""

    contains: tuple[str, ...]
    answers: tuple[str, ...]


Script = tuple[ScriptRule, ...]


def load_script(path: Path) -> Script:
    """Read JSON lines ``{"contains": [texts], "answers": [objects or texts]}``; the first rule that matches a prompt answers.

    An object is sent as structured output; a text is sent as prose even if the request asks for structured output.

    Raises:
        ValueError: the file is wrong; the message names file, line and problem.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise ValueError(f"--script {path} cannot be read: {err.strerror}") from err
    rules = []
    for number, line in enumerate(lines, start=1):
        try:
            raw = json.loads(line)
            answers = tuple(a if isinstance(a, str) else json.dumps(a) for a in raw["answers"])
            rules.append(ScriptRule(contains=tuple(map(str, raw["contains"])), answers=answers))
        except (ValueError, KeyError, TypeError) as err:
            raise ValueError(f"{path}:{number}: not a rule with 'contains' and 'answers' ({err})") from err
        if not answers:
            raise ValueError(f"{path}:{number}: 'answers' is empty; give at least one")
    return tuple(rules)


class ScriptedEngine:
    """Answers from its script, or with the word ``unscripted`` if no rule matches the prompt. A token is a word."""

    answered_by = "scripted"
    loaded = True

    def __init__(self, script: Script, *, seed: int) -> None:
        self._script = script
        self._draws = random.Random(seed)

    async def count_tokens(self, text: str) -> int:
        """Return the number of words of ``text``."""
        return len(text.split())

    async def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Done, None]:
        """Yield the drawn answer in one piece, then the end; see ``Engine.generate``."""
        prompt = request.last_user_text
        rule = next((rule for rule in self._script if all(text in prompt for text in rule.contains)), None)
        text = "unscripted" if rule is None else self._draws.choice(rule.answers)
        yield Delta(text=text)
        tokens = sum(len(turn.text.split()) for turn in request.turns)
        yield Done(stop=WireStopReason.END_TURN, prompt_tokens=tokens, output_tokens=len(text.split()))

    async def close(self) -> None:
        """Do nothing: the engine holds no resources."""
        return
