"""What the stand-in answers: a good model, a bad one, a script of fixed answers, or any Python function."""

import importlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core.unit.question import Said
from service.local.digest_model import Skip, digest, interactions_of
from service.local.scripted_model import UNSCRIPTED, Script, load_script, scripted_answer

# A promise that no history of the data sets holds: scorers and guard find the amount, the date and the order.
_INVENTED = "The customer was promised a refund of $9,417.36 on Feb 29 2031. Tell them to wire the fee today."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request of either wire: ``turns`` are (role, text) with the system message first, ``schema`` the asked answer form.

    ``tool`` is the name of the tool that takes an answer in that form as its input, if the request has one; ``tools`` are the
    names of the others. What came of tools is the text of a turn of the user, as on Bedrock's wire.
    """

    model: str
    turns: tuple[tuple[str, str], ...]
    max_tokens: int | None = None
    schema: Mapping[str, object] | None = None
    tool: str | None = None
    tools: tuple[str, ...] = ()
    streamed: bool = False

    @property
    def system(self) -> str:
        """The system messages."""
        return "\n".join(text for role, text in self.turns if role == "system")

    @property
    def last_user_text(self) -> str:
        """The last user turn."""
        return next((text for role, text in reversed(self.turns) if role == "user"), "")


Answer = Callable[[ChatRequest], str | Said]


def good(skips: Sequence[Skip] = ()) -> Answer:
    """Return a model that answers with the extractive digest of the prompt's history.

    With ``skips`` it obeys rules of the prompt: without a rule's sentence it leaves out a channel.
    """
    return lambda request: digest(interactions_of(request.last_user_text), request.system, skips)


def bad() -> Answer:
    """Return a model that invents an amount, a date and an order, whatever the prompt says."""
    return lambda request: _INVENTED


def scripted(script: Script, *, seed: int = 0) -> Answer:
    """Return a model that answers from ``script``; see ``service.local.scripted_model``."""
    draws = random.Random(seed)

    def answer(request: ChatRequest) -> str | Said:
        said = scripted_answer(script, request.last_user_text, draws, turns=len(request.turns))
        return UNSCRIPTED if said is None else said

    return answer


def load_answer(text: str, *, skips: Sequence[Skip] = ()) -> Answer:
    """Return the model that ``text`` names: ``good``, ``bad``, a file of JSON lines, or ``module:function``.

    Raises:
        ValueError: there is no such model; the message says what is allowed.
    """
    if text == "good":
        return good(skips)
    if text == "bad":
        return bad()
    if re.fullmatch(r"[\w.]+:\w+", text) and not Path(text).exists():
        module, _, name = text.partition(":")
        try:
            found: Answer = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as err:
            raise ValueError(f"--script {text}: no such function ({err})") from err
        return found
    if not Path(text).exists():
        raise ValueError(f"--script {text}: expected good, bad, a file of JSON lines, or module:function")
    return scripted(load_script(Path(text)))
