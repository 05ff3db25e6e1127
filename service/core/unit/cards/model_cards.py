"""Model cards: prices, cache and context sizes and end-of-life dates of the models.

They are read from ``prompts/models.yaml``. A model that litellm knows needs no card there: its card is derived from litellm's
bundled cost map.
"""

import datetime as dt
import difflib
from collections.abc import Collection, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.core.unit.cards.cost_map import KnownModel, cost_map_source, is_provider, known_model, near_names
from service.kit.frame.errors import ConfigurationError, PairError
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, parse_yaml, read_strict


class Prices(BaseModel):
    """USD per one million tokens; a cache price of None means that these tokens are billed as input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    source: str = Field(min_length=3)
    date: dt.date | None = None  # when a person read the source; None: the source names the version that was read


class ModelCard(BaseModel):
    """One model under its provider's full id.

    ``wire`` is the way to call it: ``bedrock`` is Converse, ``litellm`` is any other provider or server that litellm knows, and
    ``in_process`` is code of this package. ``api_base`` is the server to call in place of the provider's; ``answers_as`` is the
    model name in its answers where that is not the id's own, for example a path. ``extra`` is what has to be installed for code
    of this package to answer. ``derived`` cards stand in no file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=3)
    short_name: str = Field(min_length=2)
    wire: Literal["bedrock", "litellm", "in_process"]
    runs: Literal["provider", "local"]  # `local`: the model itself runs on this machine, so it needs no stand-in
    prices: Prices | None = None
    cache_minimum_tokens: int | None = Field(default=None, gt=0)
    context_tokens: int | None = Field(default=None, gt=0)
    api_base: str | None = Field(default=None, pattern=r"^https?://[^\s?#@]+$")
    answers_as: str | None = Field(default=None, min_length=2)
    end_of_life: dt.date | None = None
    notes: str = ""
    extra: Literal["knowledge"] | None = None
    derived: bool = Field(default=False, exclude=True)

    @property
    def replaced_locally(self) -> bool:
        """Whether the bundled model answers in its place in ``local``, unless an endpoint is set."""
        return self.wire == "bedrock" and self.runs == "provider"

    def ended(self, today: dt.date) -> bool:
        """Return whether the provider's end-of-life date has been reached."""
        return self.end_of_life is not None and today >= self.end_of_life


class ModelCards:
    """All known cards by id."""

    def __init__(self, cards: list[ModelCard]) -> None:
        self._by_id = {card.id: card for card in cards}
        self._derived: dict[str, ModelCard] = {}
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
            return cls([_checked(ModelCard.model_validate(item)) for item in raw["models"]])
        except FileNotFoundError:
            raise ConfigurationError(f"the file of the model cards is missing: {path}") from None
        except (OSError, NotStrict, KeyError, TypeError) as err:
            raise ConfigurationError(f"{path} is not a YAML file with a list `models`: {err}") from err
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{path}: wrong field {where!r} in a model card: {first['msg']}") from err

    def __contains__(self, model_id: object) -> bool:
        return isinstance(model_id, str) and self._found(model_id) is not None

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._by_id.values())

    def get(self, model_id: str) -> ModelCard:
        """Return the card of ``model_id``, from the file or derived from litellm's cost map.

        Raises:
            PairError: there is none, and litellm does not know the model; the message names the nearest ids.
        """
        found = self._found(model_id)
        if found is None:
            raise PairError(_why_unknown(model_id, self._by_id))
        return found

    def _found(self, model_id: str) -> ModelCard | None:
        found = self._by_id.get(model_id) or self._derived.get(model_id)
        if found is None and (found := _derive(model_id)) is not None:
            self._derived[model_id] = found
        return found


def _checked(card: ModelCard) -> ModelCard:
    if card.wire == "litellm" and not is_provider(card.id.partition("/")[0]):
        raise ConfigurationError(_why_unknown(card.id, ()))
    if card.api_base is not None and card.wire != "litellm":
        raise ConfigurationError(
            f"model card {card.id!r}: api_base is for wire litellm; for Bedrock's wire set OMNI_BEDROCK_ENDPOINT"
        )
    return card


def _derive(model_id: str) -> ModelCard | None:
    """Return a card for a model without one in the file, or None if litellm cannot ask it."""
    provider, slash, name = model_id.partition("/")
    if not slash and "." not in model_id:
        return None  # neither provider/model nor a Bedrock id: the map need not be read
    known = known_model(model_id)
    on_bedrock = known is not None and known.on_bedrock and not slash
    if not on_bedrock and not (name and is_provider(provider) and provider != "bedrock"):
        return None
    if known is not None and not known.chats:
        return None
    return ModelCard(
        id=model_id,
        short_name=model_id,
        wire="bedrock" if on_bedrock else "litellm",
        runs="provider",
        prices=_known_prices(known),
        context_tokens=None if known is None else known.context_tokens,
        end_of_life=None if known is None else known.end_of_life,
        notes="Derived from litellm's cost map; no card in prompts/models.yaml.",
        derived=True,
    )


def _known_prices(known: KnownModel | None) -> Prices | None:
    if known is None or known.input is None or known.output is None:
        return None
    return Prices(
        input=known.input,
        output=known.output,
        cache_read=known.cache_read,
        cache_write=known.cache_write,
        source=cost_map_source(),
    )


def _why_unknown(model_id: str, known_ids: Collection[str]) -> str:
    provider, _, name = model_id.partition("/")
    known = known_model(model_id)
    if known is not None and not known.chats:
        return f"model {model_id!r} does not answer prompts: litellm lists it as {known.mode}; name a chat model"
    if provider == "bedrock" and name:
        return f"model {model_id!r}: name Bedrock's models by their own id, as in {name.rpartition('/')[2]!r}"
    near = dict.fromkeys([*difflib.get_close_matches(model_id, known_ids, 2, 0.6), *near_names(model_id)])
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "write it as provider/model"
    return (
        f"model {model_id!r} has no card in prompts/models.yaml, and litellm does not know it; {hint} "
        "(any provider/model of litellm works, for example openai/gpt-4o-mini or ollama/llama3.2)"
    )
