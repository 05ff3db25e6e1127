"""The cost of a model call, from its metered tokens and the model card's prices: as billed, and with a cold or warm cache."""

from dataclasses import dataclass
from decimal import Decimal

from service.core.unit.cards import ModelCard, Prices

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as metered by the provider; ``input_tokens`` excludes cached tokens, as Bedrock counts them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """USD of one call: ``metered`` as billed, ``cold`` as if the prompt cache were empty, ``warm`` as if it held the prefix."""

    metered_usd: Decimal = Decimal(0)
    cold_usd: Decimal = Decimal(0)
    warm_usd: Decimal = Decimal(0)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            metered_usd=self.metered_usd + other.metered_usd,
            cold_usd=self.cold_usd + other.cold_usd,
            warm_usd=self.warm_usd + other.warm_usd,
        )


def cost_of(usage: Usage, card: ModelCard) -> Cost | None:
    """Return the cost of ``usage`` under ``card``, or None for a model without prices (unknown, not free)."""
    prices = card.prices
    if prices is None:
        return None
    prefix = usage.cache_read_tokens + usage.cache_write_tokens

    def usd(read: int, write: int) -> Decimal:
        return _usd(prices, usage.input_tokens, usage.output_tokens, read, write)

    return Cost(
        metered_usd=usd(usage.cache_read_tokens, usage.cache_write_tokens),
        cold_usd=usd(0, prefix),
        warm_usd=usd(prefix, 0),
    )


def _usd(prices: Prices, tokens_in: int, tokens_out: int, read: int, write: int) -> Decimal:
    price_read = prices.input if prices.cache_read is None else prices.cache_read
    price_write = prices.input if prices.cache_write is None else prices.cache_write
    total = tokens_in * prices.input + tokens_out * prices.output + read * price_read + write * price_write
    return total / _MILLION


CHARS_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of ``text``: one per four ASCII characters and one per other character.

    English notes have about 4 characters per token. For other scripts the estimate is too high rather than too low.
    """
    ascii_chars = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars
