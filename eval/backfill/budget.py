"""Bounds what one item of a backfill can cost before its call is made, so that a budget holds for any number of workers."""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from eval.backfill.work import WorkItem
from eval.spine.errors import BackfillError
from service.core.run.task import Task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Pair

# English has about 4 characters a token, JSON with digits and ids about 2.5: fewer are not to be expected of a whole prompt.
_FEWEST_CHARS_PER_TOKEN = 2
_CALLS_PER_MODEL = 2  # the answer, and one repair that holds the first answer too
_MILLION = Decimal(1_000_000)


class CostBound:
    """Says what an item costs at most: both models are asked each of its questions twice, nothing comes from a prompt cache.

    Each question counts with all the inputs, although a prompt holds a part of them, or holds them compressed. A part of the pair
    counts as one question. A task with ``steps`` or ``validate`` of its own chooses while it runs what it asks: each of its
    ``most_steps`` counts as a question of the dearest part with a full context. An item that cost more than its bound raises
    the bound of every later one.
    """

    def __init__(self, pair: Pair, cards: Sequence[ModelCard], task: Task[Any] | None = None) -> None:
        """Without ``task``, an item is one question without a schema.

        Raises:
            BackfillError: a model has no prices, or for a task with steps of its own no context length, so what it costs cannot
                be bounded.
        """
        self._pair, self._task = pair, task
        self._output_tokens = max(prompt.sampling.max_output_tokens for prompt in pair.prompts)
        by_id = {card.id: card for card in cards}
        self._called = [
            (prompt, card)
            for prompt in pair.prompts
            for model in prompt.models
            if (card := by_id[model]).wire != "in_process"
        ]
        unpriced = [card.id for _, card in self._called if card.prices is None]
        if unpriced:
            raise BackfillError(f"--budget cannot hold for {unpriced[0]!r}, which has no prices; add them to its card")
        self._in_steps = self._all_steps(task) if task is not None and _chooses_steps(task) else None
        self._dearest = Decimal(0)
        self._last: tuple[str, Decimal] | None = None  # the same item is asked about until it begins

    def most_usd(self, item: WorkItem) -> Decimal:
        """Return what ``item`` costs at most, in USD."""
        if self._last is None or self._last[0] != item.id:
            self._last = item.id, self._computed(item)
        return max(self._last[1], self._dearest)

    def _computed(self, item: WorkItem) -> Decimal:
        if not self._called:
            return Decimal(0)
        if self._in_steps is not None:
            return self._in_steps
        asked, inputs = self._schemas(item), _most_tokens(json.dumps(item.inputs, ensure_ascii=False))
        total = Decimal(0)
        for prompt, card in self._called:
            assert card.prices is not None
            schemas = asked.get(prompt.name, [""])
            template = sum(_most_tokens(message.content) for message in prompt.messages)
            each = template + inputs + self._output_tokens
            tokens_in = math.ceil(len(schemas) * each + sum(map(_most_tokens, schemas)))
            price_in = max(card.prices.input, card.prices.cache_write or Decimal(0))
            tokens_out = len(schemas) * prompt.sampling.max_output_tokens
            total += tokens_in * price_in + tokens_out * card.prices.output
        return _CALLS_PER_MODEL * total / _MILLION

    def _all_steps(self, task: Task[Any]) -> Decimal:
        of_part: dict[str, Decimal] = {}
        for prompt, card in self._called:
            if card.context_tokens is None:
                raise BackfillError(
                    f"--budget cannot hold for task {task.name!r}, which chooses its steps while it runs: add context_tokens "
                    f"to the card of {card.id!r}, or leave --budget out"
                )
            assert card.prices is not None
            price_in = max(card.prices.input, card.prices.cache_write or Decimal(0))
            once = card.context_tokens * price_in + prompt.sampling.max_output_tokens * card.prices.output
            of_part[prompt.name] = of_part.get(prompt.name, Decimal(0)) + once
        return task.most_steps * _CALLS_PER_MODEL * max(of_part.values(), default=Decimal(0)) / _MILLION

    def _schemas(self, item: WorkItem) -> dict[str, list[str]]:
        """Return the schema of each question of ``item`` by the part that is asked, "" for none."""
        if self._task is None:
            return {}
        try:
            inputs = self._task.input_model.model_validate(item.inputs)
        except ValidationError:
            return {}  # it is refused before any call
        found: dict[str, list[str]] = {}
        for question in self._task.questions(inputs, self._pair):
            schema = json.dumps(question.answer_schema) if question.answer_schema else ""
            found.setdefault(question.part, []).append(schema)
        return found

    def saw(self, row: Mapping[str, Any]) -> None:
        """Take note of what an item did cost."""
        self._dearest = max(self._dearest, cost_of_row(row))


def _chooses_steps(task: Task[Any]) -> bool:
    own = type(task)
    return isinstance(task, Task) and (own.steps is not Task.steps or own.validate is not Task.validate)


def _most_tokens(text: str) -> float:
    # Letters of other scripts and emoji can be several tokens, at most one a byte.
    plain = sum(char < "\x80" for char in text)
    return plain / _FEWEST_CHARS_PER_TOKEN + len(text.encode()) - plain


def cards_for(pair: Pair, cards: ModelCards, task: Task[Any]) -> tuple[ModelCard, ...]:
    """Return the cards of whatever answers for the pair: its models, which need no card in the file, and the task's fallback.

    Raises:
        PairError: a model is unknown.
    """
    models = [*pair.models, *filter(None, [task.fallback_model])]
    return tuple(map(cards.get, dict.fromkeys(models)))


def cost_of_row(row: Mapping[str, Any]) -> Decimal:
    """Return the metered cost of a row in USD; 0 for a model without prices."""
    return Decimal(row["cost_usd"] or 0)
