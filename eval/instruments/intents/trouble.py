"""How many customers in trouble are heard, and how many others are taken for them, on messages that nobody learned from."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.errors import CaseError
from figures.stats import rate_interval
from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.understanding.intents import GuessIntent
from service.core.tasks.assistant.understanding.talk import talk_of
from service.core.tasks.assistant.understanding.trouble import HelpLanguage
from service.kit.frame.display.terminal import say

_MEANT = {"fraud_under_way": "fraud", "metaphor": "picture"}  # kinds that the sets name otherwise


class TroubleMessage(BaseModel):
    """A first message of a conversation: whether it tells of ``trouble``, of which ``kind``, and its language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=2_000)
    kind: str = Field(min_length=1)
    language: HelpLanguage
    trouble: bool


def read_trouble(file: Path) -> list[TroubleMessage]:
    """Read a file of messages, such as one of ``eval/labels/faults``; ``CaseError``: it is not there, or a line is damaged."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [TroubleMessage.model_validate_json(line) for line in lines if line.strip()]
    except OSError as err:
        raise CaseError(f"{file} cannot be read: messages stand there, one JSON object per line") from err
    except ValidationError as err:
        wrong = err.errors(include_input=False)[0]
        raise CaseError(f"{file}: {'.'.join(map(str, wrong['loc'])) or 'line'}: {wrong['msg']}") from err


def measure_trouble(messages: Sequence[TroubleMessage], guess_intent: GuessIntent) -> None:
    """Print what words find, and what words and meaning find, by kind and language; never a message: the set stays shut."""
    heard = {"words": _hearing(None), "both": _hearing(guess_intent)}
    found = {name: [hear(one) for one in messages] for name, hear in heard.items()}
    say(
        f"{len(messages)} messages: taken for trouble (and for their own kind) by words; by words and meaning, 95% intervals"
    )
    for name, of in _parts(messages):
        which = [number for number, one in enumerate(messages) if of(one)]
        if not which:
            continue
        cells = []
        for kinds in found.values():
            taken = sum(kinds[number] != "" for number in which)
            own = sum(kinds[number] == _kind(messages[number]) for number in which)
            rate = rate_interval(taken, len(which))
            cells.append(f"{taken} ({own}) {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]")
        say(f"  {name:<24} n={len(which):<4} {'; '.join(cells)}")


def _hearing(guess: GuessIntent | None) -> Callable[[TroubleMessage], str]:
    def hear(one: TroubleMessage) -> str:
        inputs = DialogueInputs(conversation_id="measured", message=one.text)
        return talk_of(inputs, bank_knowledge(), guess).heard.trouble or ""

    return hear


def _parts(messages: Sequence[TroubleMessage]) -> Iterable[tuple[str, Callable[[TroubleMessage], bool]]]:
    languages: tuple[Literal["en", "es", "pl"], ...] = ("en", "es", "pl")
    for kind in dict.fromkeys(one.kind for one in messages):
        yield _MEANT.get(kind, kind), lambda one, kind=kind: one.kind == kind  # type: ignore[misc]
    yield "all trouble", lambda one: one.trouble
    yield "nobody in trouble", lambda one: not one.trouble
    for language in languages:
        yield f"trouble, {language}", lambda one, language=language: one.trouble and one.language == language  # type: ignore[misc]
        yield f"no trouble, {language}", lambda one, language=language: not one.trouble and one.language == language  # type: ignore[misc]


def _kind(one: TroubleMessage) -> str:
    return _MEANT.get(one.kind, one.kind)
