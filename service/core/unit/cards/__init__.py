"""Model cards: what is known of each model, from ``prompts/models.yaml`` or derived from litellm's bundled cost map."""

from service.core.unit.cards.model_cards import ModelCard as ModelCard
from service.core.unit.cards.model_cards import ModelCards as ModelCards
from service.core.unit.cards.model_cards import Prices as Prices
