"""Model cards: what is known of each model, from ``prompts/models.yaml`` or derived from litellm's bundled cost map."""

from service.cards.model_cards import ModelCard as ModelCard
from service.cards.model_cards import ModelCards as ModelCards
from service.cards.model_cards import Prices as Prices
