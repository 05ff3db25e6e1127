"""Bounds what one item of a backfill can cost before its call is made, so that a budget holds for any number of workers."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from eval.backfill.work import WorkItem
from eval.errors import BackfillError
from service.cards import ModelCard, ModelCards
from service.pair import Pair

# English has about 4 characters a token, JSON with digits and ids about 2.5: fewer are not to be expected of a whole prompt.
_FEWEST_CHARS_PER_TOKEN = 2
_CALLS_PER_MODEL = 2  # the answer, and one repair that holds the first answer too
_MILLION = Decimal(1_000_000)


class CostBound:
    """Says what an item costs at most: the pair's model and its backup are both asked twice, nothing comes from a prompt cache.

    Inputs count with all their characters, although a prompt holds them compressed. An item that cost more than its bound raises
    the bound of every later one.
    """

    def __init__(self, pair: Pair, cards: Sequence[ModelCard]) -> None:
        """Raises BackfillError for a model without prices: what it costs cannot be bounded."""
        self._template_chars = sum(len(message.content) for message in pair.messages)
        self._output_tokens = pair.sampling.max_output_tokens
        by_id = {card.id: card for card in cards}
        self._cards = [
            card for model in (pair.model, pair.backup) if model and (card := by_id[model]).wire != "in_process"
        ]
        unpriced = [card.id for card in self._cards if card.prices is None]
        if unpriced:
            raise BackfillError(f"--budget cannot hold for {unpriced[0]!r}, which has no prices; add them to its card")
        self._dearest = Decimal(0)

    def most_usd(self, item: WorkItem) -> Decimal:
        """Return what ``item`` costs at most, in USD."""
        chars = self._template_chars + len(json.dumps(item.inputs, ensure_ascii=False))
        tokens_in = -(-chars // _FEWEST_CHARS_PER_TOKEN) + self._output_tokens
        total = Decimal(0)
        for card in self._cards:
            assert card.prices is not None
            price_in = max(card.prices.input, card.prices.cache_write or Decimal(0))
            total += tokens_in * price_in + self._output_tokens * card.prices.output
        return max(_CALLS_PER_MODEL * total / _MILLION, self._dearest)

    def saw(self, row: Mapping[str, Any]) -> None:
        """Take note of what an item did cost."""
        self._dearest = max(self._dearest, cost_of_row(row))


def cards_for(pair: Pair, cards: ModelCards) -> tuple[ModelCard, ...]:
    """Return the cards of the pair's models, which need not stand in the file of the cards.

    Raises:
        PairError: a model is unknown.
    """
    return tuple(cards.get(model) for model in dict.fromkeys((pair.model, pair.backup)) if model)


def cost_of_row(row: Mapping[str, Any]) -> Decimal:
    """Return the metered cost of a row in USD; 0 for a model without prices."""
    return Decimal(row["cost_usd"] or 0)
