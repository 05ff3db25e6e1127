"""A stand-in model that answers from a file, so that the processing of answers can be tested over the real wire format."""

import json
import random
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.core.unit.question import Said, Use
from service.local.converse_wire import ConverseRequest, WireStopReason
from service.local.engines import Delta, Done

SCRIPTED_MODEL_ID = "local.scripted-v1"
UNSCRIPTED = "unscripted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRule:
    """The answers to a prompt whose last user turn contains all texts of ``contains``; one is drawn at random per request.

    What came of a tool is the last user turn of its wire, so a rule can match it.
    """

    contains: tuple[str, ...]
    answers: tuple[Said, ...]


Script = tuple[ScriptRule, ...]


def load_script(path: Path) -> Script:
    """Read JSON lines ``{"contains": [texts], "answers": [objects or texts]}``; the first rule that matches a prompt answers.

    An object is sent as structured output; a text is sent as prose even if the request asks for structured output. With
    ``"uses": [{"tool": name, "arguments": object}]`` in place of the answers the model uses tools, whether they are offered or
    not, and ``says`` is what it says before.

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
            rules.append(ScriptRule(contains=tuple(map(str, raw["contains"])), answers=_answers(raw)))
        except (ValueError, KeyError, TypeError) as err:
            raise ValueError(
                f"{path}:{number}: not a rule with 'contains' and 'answers' or 'uses' ({type(err).__name__}: {err})"
            ) from err
        if not rules[-1].answers:
            raise ValueError(f"{path}:{number}: 'answers' is empty; give at least one")
    return tuple(rules)


def _answers(raw: Mapping[str, Any]) -> tuple[Said, ...]:
    if "uses" not in raw:
        return tuple(Said(output=a if isinstance(a, str) else json.dumps(a)) for a in raw["answers"])
    uses = tuple(Use(tool=str(use["tool"]), arguments=use["arguments"]) for use in raw["uses"])
    if not all(isinstance(use.arguments, dict) for use in uses):
        raise ValueError("'arguments' of a tool must be an object")
    if not uses:
        raise ValueError("'uses' is empty")
    return (Said(output=str(raw.get("says", "")), uses=uses),)


def scripted_answer(script: Script, prompt: str, draws: random.Random, *, turns: int) -> Said | None:
    """Return the answer that ``script`` gives to the last user turn ``prompt``, None for no rule.

    The ids of its uses hold the number of ``turns`` before it, so that each is new to the conversation.
    """
    rule = next((rule for rule in script if all(text in prompt for text in rule.contains)), None)
    if rule is None:
        return None
    said = draws.choice(rule.answers)
    uses = tuple(replace(use, call_id=f"call_{turns}_{number}") for number, use in enumerate(said.uses, 1))
    return replace(said, uses=uses)


class ScriptedEngine:
    """Answers from its script, or with ``UNSCRIPTED`` if no rule matches the prompt. A token is a word."""

    answered_by = "scripted"
    loaded = True

    def __init__(self, script: Script, *, seed: int) -> None:
        self._script = script
        self._draws = random.Random(seed)

    async def count_tokens(self, text: str) -> int:
        """Return the number of words of ``text``."""
        return len(text.split())

    async def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Use | Done, None]:
        """Yield the drawn answer in one piece, then the uses and the end; see ``ChatEngine.generate``."""
        said = scripted_answer(self._script, request.last_user_text, self._draws, turns=len(request.turns))
        said = Said(output=UNSCRIPTED) if said is None else said
        if said.output:
            yield Delta(text=said.output)
        for use in said.uses:
            yield use
        tokens = sum(len(turn.text.split()) for turn in request.turns)
        stop = WireStopReason.TOOL_USE if said.uses else WireStopReason.END_TURN
        yield Done(stop=stop, prompt_tokens=tokens, output_tokens=max(1, len(said.output.split())))
