"""A deterministic stand-in model: it answers in milliseconds with an extractive digest of the history in the prompt."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.core.llm.pricing import estimated_tokens
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.channel import RECORDED
from service.core.unit.interaction import Interaction
from service.local.converse_wire import ConverseRequest, WireStopReason
from service.local.engines import Delta, Done, Latency

_HISTORY = re.compile(r"<history>\n?(.*?)\n?</history>", re.DOTALL)
# The first line of an interaction in the prompt, in the format of ``service.core.tasks.summarize.history``.
_HEADER = re.compile(
    rf"^\[\d+\] (\w{{3}} \d\d \d{{4}} \d\d:\d\d) \| ({'|'.join(RECORDED)}) \| (.*?)(?: \| outcome: (.*))?$",
    re.MULTILINE,
)
NO_DELAY = Latency()
_LEAST_WORDS = 8
_OPENING = "The history of this customer shows the following:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A simulated weakness: the digest leaves out texts of ``channel`` unless the system message contains ``rule``.

    So, as with a real model, losing one sentence of a prompt affects only some customers.
    """

    channel: str
    rule: str


def parse_skip(text: str) -> Skip:
    """Read ``CHANNEL=RULE``.

    Raises:
        ValueError: the rule is missing, or the channel is unknown.
    """
    channel, _, rule = text.partition("=")
    if channel not in RECORDED or not rule:
        raise ValueError(f"expected CHANNEL=RULE with a channel of {', '.join(RECORDED)}, got {text!r}")
    return Skip(channel=channel, rule=rule)


def interactions_of(prompt: str) -> list[Interaction]:
    """Return the interactions between the prompt's <history> tags; an empty list without the tags."""
    found = _HISTORY.search(prompt)
    if found is None:
        return []
    text = found[1]
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    return [
        Interaction(
            interaction_id=str(number),
            channel=header[2],
            timestamp=datetime.strptime(header[1], "%b %d %Y %H:%M").replace(tzinfo=UTC),
            intent=header[3],
            text=text[header.end() : end].strip(),
            outcome=header[4],
        )
        for number, (header, end) in enumerate(zip(headers, ends, strict=True), start=1)
    ]


def digest(interactions: Sequence[Interaction], system: str, skips: Sequence[Skip] = ()) -> str:
    """Return the engine's answer to a prompt with this history and the system message ``system``."""
    unread = {skip.channel for skip in skips if skip.rule not in system}
    text = extractive_digest(
        [
            item.model_copy(update={"text": "", "outcome": None}) if item.channel in unread else item
            for item in interactions
        ]
    )
    # A model writes a sentence also about next to nothing; pairs reject answers of a few words.
    return text if len(text.split()) >= _LEAST_WORDS else f"{_OPENING} {text}"


class DigestEngine:
    """Answers with the extractive digest of the history in the prompt; a token is four characters."""

    answered_by = "digest"
    loaded = True

    def __init__(self, *, skips: Sequence[Skip] = (), latency: Latency = NO_DELAY, seed: int = 0) -> None:
        self._skips = tuple(skips)
        self._latency = latency
        self._draws = random.Random(seed)

    async def count_tokens(self, text: str) -> int:
        """See ``Engine.count_tokens``."""
        return estimated_tokens(text)

    async def generate(self, request: ConverseRequest) -> AsyncGenerator[Delta | Done, None]:
        """Yield the digest in one piece, then the end; see ``Engine.generate``."""
        delay_s = self._latency.draw_s(self._draws)
        if delay_s:
            await asyncio.sleep(delay_s)
        system = "\n".join(turn.text for turn in request.turns if turn.role == "system")
        text = digest(interactions_of(request.last_user_text), system, self._skips)
        yield Delta(text=text)
        tokens = sum(estimated_tokens(turn.text) for turn in request.turns)
        yield Done(stop=WireStopReason.END_TURN, prompt_tokens=tokens, output_tokens=estimated_tokens(text))
