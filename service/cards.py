"""Model cards: prices, cache and context sizes and end-of-life dates of the models, read from ``prompts/models.yaml``."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import ConfigurationError, PairError
from service.strict import MOST_YAML_BYTES, NotStrict, parse_yaml, read_strict


class Prices(BaseModel):
    """USD per one million tokens; a cache price of None means that these tokens are billed as input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    source: str = Field(min_length=3)
    date: dt.date


class ModelCard(BaseModel):
    """One model under its provider's full id.

    ``wire`` is the way to call it: ``bedrock`` is Converse through litellm, ``in_process`` is code of this package.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=3)
    short_name: str = Field(min_length=2)
    wire: Literal["bedrock", "in_process"]
    runs: Literal["provider", "local"]  # `local`: the model itself runs on this machine, so it needs no stand-in
    prices: Prices | None = None
    cache_minimum_tokens: int | None = Field(default=None, gt=0)
    context_tokens: int = Field(gt=0)
    end_of_life: dt.date | None = None
    notes: str = ""

    def ended(self, today: dt.date) -> bool:
        """Return whether the provider's end-of-life date has been reached."""
        return self.end_of_life is not None and today >= self.end_of_life


class ModelCards:
    """All known cards by id."""

    def __init__(self, cards: list[ModelCard]) -> None:
        self._by_id = {card.id: card for card in cards}
        if len(self._by_id) != len(cards):
            raise ConfigurationError("two model cards have the same id in prompts/models.yaml; remove one")

    @classmethod
    def load(cls, path: Path) -> "ModelCards":
        """Read the card file; unknown fields are errors.

        Raises:
            ConfigurationError: the file is missing, not YAML, or a card has a wrong or unknown field.
        """
        try:
            _, raw = parse_yaml(read_strict(path, MOST_YAML_BYTES))
            return cls([ModelCard.model_validate(item) for item in raw["models"]])
        except FileNotFoundError:
            raise ConfigurationError(f"the file of the model cards is missing: {path}") from None
        except (OSError, NotStrict, KeyError, TypeError) as err:
            raise ConfigurationError(f"{path} is not a YAML file with a list `models`: {err}") from err
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{path}: wrong field {where!r} in a model card: {first['msg']}") from err

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._by_id

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._by_id.values())

    def get(self, model_id: str) -> ModelCard:
        """Return the card of ``model_id``.

        Raises:
            PairError: there is none; the message lists the ids that have one.
        """
        try:
            return self._by_id[model_id]
        except KeyError:
            raise PairError(
                f"model {model_id!r} has no card in prompts/models.yaml; add one or use: {', '.join(sorted(self._by_id))}"
            ) from None
