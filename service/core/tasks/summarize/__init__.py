"""The task ``summarize``: a summary of a customer's last interactions that an agent can read in five seconds."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from service.core.llm.model_call import InProcessModels
from service.core.run.guard import AnswerGuard
from service.core.run.task import Task
from service.core.tasks.summarize.digest import MODEL_ID, OWN_WEIGHTS, WEIGHTS, extractive_digest
from service.core.tasks.summarize.history import history_text
from service.core.tasks.summarize.selection import Weights
from service.core.tools.use import TracedStep
from service.core.unit.customer import AccountNumber
from service.core.unit.interaction import HistoryFilter, Interaction
from service.core.unit.pair import Artifact, OutputRules, Pair
from service.core.unit.pair_file.artifacts import artifact_of
from service.kit.frame.errors import OutputInvalid
from service.kit.frame.strict import IsoTime

NO_INTERACTIONS = "No interactions found"
_MARKUP = re.compile(r"^\s*(#{1,6} |```|\|.*\||<[a-z/])", re.MULTILINE | re.IGNORECASE)
_TEMPLATE_LEFTOVER = re.compile(r"\{\{|\}\}|</?history>|\[/?INST\]|<\|", re.IGNORECASE)


_EXAMPLE: dict[str, Any] = {
    "as_of": "2025-12-08T14:30:00Z",
    "account_number": "1234567890",
    "contact_id": "abc-123-xyz",
    "ivr_intent": "billing",
    "interactions": [
        {
            "interaction_id": "i-1",
            "channel": "agent",
            "timestamp": "2025-12-05T14:20:00Z",
            "intent": "charge dispute",
            "text": "Customer disputes a charge of $45 on the November bill.",
            "outcome": "escalated to billing",
        }
    ],
}


class SummarizeInputs(HistoryFilter):
    """The contact that needs a summary, the window of interactions, and the customer's interactions."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    as_of: IsoTime
    account_number: AccountNumber
    contact_id: str = Field(min_length=1, max_length=128)
    initial_contact_id: str | None = Field(default=None, min_length=1, max_length=128)
    unique_process_id: str | None = Field(default=None, min_length=1, max_length=128)
    ivr_intent: str = Field(default="misc", max_length=120)
    interactions: tuple[Interaction, ...] = Field(max_length=400)

    def visible(self) -> list[Interaction]:
        """Return the interactions inside the request's window, oldest first."""
        return self.apply(list(self.interactions), self.as_of)


class _Weighed(SummarizeInputs):
    """The inputs with the weights of the pair that is asked about them."""

    _weights: Weights = PrivateAttr(default=WEIGHTS)


def _digest(document: object) -> str:
    assert isinstance(document, SummarizeInputs)
    return extractive_digest(document.visible(), document._weights if isinstance(document, _Weighed) else WEIGHTS)


_parsed = lru_cache(maxsize=8)(Weights.parse)  # by the pair's own bytes, which are hashed once


def _values(inputs: SummarizeInputs, max_history_tokens: int | None) -> Mapping[str, str]:
    return {
        "history": history_text(inputs.visible(), max_history_tokens),
        "today": inputs.as_of.strftime("%b %d %Y"),
        "contact_reason": inputs.ivr_intent,
    }


class Summarize(Task[SummarizeInputs]):
    """Summary for the agent who takes the next contact."""

    name: ClassVar[str] = "summarize"
    input_model: ClassVar[type[BaseModel]] = SummarizeInputs
    variables: ClassVar[frozenset[str]] = frozenset({"history", "today", "contact_reason"})
    in_process: ClassVar[InProcessModels] = {MODEL_ID: _digest}
    fallback_model: ClassVar[str | None] = MODEL_ID
    artifact_names: ClassVar[frozenset[str]] = frozenset({OWN_WEIGHTS.name})
    built_in: ClassVar[Sequence[Artifact]] = (OWN_WEIGHTS,)

    def values(self, inputs: SummarizeInputs) -> Mapping[str, str]:
        """Return the history, today's date and the reason of the present contact."""
        return _values(inputs, None)

    def values_for(self, inputs: SummarizeInputs, pair: Pair) -> Mapping[str, str]:
        """Return ``values`` with the history shortened to the pair's ``max_history_tokens``."""
        return _values(inputs, pair.serving.max_history_tokens)

    def document_for(self, inputs: SummarizeInputs, pair: Pair) -> SummarizeInputs:
        """Return the inputs with the weights that the pair's digest chooses its statements by."""
        document = _Weighed.model_construct(**dict(inputs))
        document._weights = _parsed(artifact_of(pair, self.name, OWN_WEIGHTS))
        return document

    def without_model(self, inputs: SummarizeInputs) -> str | None:
        """Return a fixed text for an empty history, else None."""
        return None if inputs.visible() else NO_INTERACTIONS

    def unit(self, inputs: SummarizeInputs) -> str:
        """Return the customer's account number."""
        return inputs.account_number

    def without_ids(self, inputs: SummarizeInputs, pseudonym: Callable[[str], str]) -> SummarizeInputs:
        """Return the inputs with account, contact, process and interaction ids replaced; the interactions' texts stay."""
        return inputs.model_copy(
            update={
                "account_number": pseudonym(inputs.account_number),
                "contact_id": pseudonym(inputs.contact_id),
                "initial_contact_id": inputs.initial_contact_id and pseudonym(inputs.initial_contact_id),
                "unique_process_id": inputs.unique_process_id and pseudonym(inputs.unique_process_id),
                "interactions": tuple(
                    item.model_copy(update={"interaction_id": pseudonym(item.interaction_id)})
                    for item in inputs.visible()
                ),
            }
        )

    def guard(self, inputs: SummarizeInputs, seen: Sequence[TracedStep] = ()) -> AnswerGuard:
        """Return a guard that checks answers against the visible interactions."""
        return AnswerGuard(
            inputs.visible(),
            as_of=inputs.as_of,
            contact_reason=_request_in_words(inputs),
            account_number=inputs.account_number,
        )

    def check(self, text: str, rules: OutputRules) -> str:
        """Return the summary as one paragraph, or as one line per label if the pair has labels."""
        stripped = text.strip().strip('"').strip()
        if not stripped:
            raise OutputInvalid("the answer is empty")
        if _TEMPLATE_LEFTOVER.search(stripped):
            raise OutputInvalid("the answer holds parts of the prompt's template")
        if _MARKUP.search(stripped):
            raise OutputInvalid("the answer holds markup (heading, code fence, table or tag); it must be plain text")
        lines = [" ".join(line.split()) for line in stripped.splitlines() if line.strip()]
        if rules.labels:
            starts = [next((label for label in rules.labels if line.startswith(f"{label}:")), None) for line in lines]
            if starts != list(rules.labels):
                raise OutputInvalid(
                    f"the answer must be the lines {', '.join(f'{label}:' for label in rules.labels)} in this order"
                )
            summary = "\n".join(lines)
        else:
            summary = " ".join(lines)
        words = len(summary.split())
        if not rules.min_words <= words <= rules.max_words:
            raise OutputInvalid(f"the answer has {words} words; the pair allows {rules.min_words} to {rules.max_words}")
        return summary


def _request_in_words(inputs: SummarizeInputs) -> str:
    # What a summary may say of the request itself: "no e-mail in the last 30 days", "called about an outage".
    channels = " ".join(inputs.channel_filter or ()).replace("_", " ")
    return f"{inputs.ivr_intent}; called; {channels}; last {inputs.max_history_days} days"


TASK = Summarize()
