"""What `omni models check` takes for an address, and how it words a price."""

from decimal import Decimal

import pytest

from service.commands.models import _price, with_api_base
from service.core.unit.cards import ModelCard, Prices
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings


@pytest.mark.parametrize(
    "address", ["http://[::1/v1", "http://127.0.0.1:99999/v1", "http://here:port/v1", "ftp://here/v1", "http:///v1"]
)
def test_what_is_no_address_is_refused_in_one_line(address):
    with pytest.raises(ConfigurationError, match="--api-base is not the address of a server"):
        with_api_base(Settings(), "openai/gpt-4o-mini", address)


def test_an_address_counts_for_its_model():
    settings = with_api_base(Settings(), "openai/gpt-4o-mini", "http://[::1]:8000/v1")
    assert settings.bedrock.model_endpoints["openai/gpt-4o-mini"] == "http://[::1]:8000/v1"


def test_a_price_has_no_zeros_that_say_nothing():
    prices = Prices(input=Decimal("0.15000000"), output=Decimal("10.0"), source="litellm cost map")
    card = ModelCard(id="openai/m", short_name="some-model", wire="litellm", runs="provider", prices=prices)
    assert _price(card) == "$0.15 in, $10 out per million tokens (litellm cost map)"
