from decimal import Decimal
from pathlib import Path

import pytest

from service.core.llm.pricing import Usage, cost_of
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

CARDS = ModelCards.load(Settings().prompts_dir / "models.yaml")
JUDGE_MODELS = {"amazon.nova-pro-v1:0"}
REQUIRED_MODELS = {
    "amazon.nova-lite-v1:0",
    "amazon.nova-micro-v1:0",
    "anthropic.claude-3-5-haiku-20241022-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.meta.llama3-2-3b-instruct-v1:0",
    "mistral.mistral-7b-instruct-v0:2",
}


@pytest.mark.acceptance("answer.cost_usd", "promise-19")
def test_a_nova_lite_summary_costs_a_fiftieth_of_a_cent():
    # 3,000 in, 200 out at the planned prices (R-MODELS) is about $0.0002, not $0.008 to 0.012.
    cost = cost_of(Usage(input_tokens=3000, output_tokens=200), CARDS.get("amazon.nova-lite-v1:0"))
    assert cost.metered_usd == cost.cold_usd == cost.warm_usd == Decimal("0.000228")


def test_the_metered_cost_lies_between_the_warm_and_the_cold_cost():
    card = ModelCard(
        id="mmm",
        short_name="mm",
        wire="bedrock",
        runs="provider",
        context_tokens=9,
        prices=Prices(input=10, output=20, cache_read=1, cache_write=12, source="test", date="2026-11-21"),
    )
    usage = Usage(input_tokens=100_000, output_tokens=50_000, cache_read_tokens=200_000, cache_write_tokens=300_000)
    cost = cost_of(usage, card)
    assert cost.metered_usd == Decimal("1") + Decimal("1") + Decimal("0.2") + Decimal("3.6")
    assert cost.cold_usd == Decimal("2") + Decimal("6")
    assert cost.warm_usd == Decimal("2") + Decimal("0.5")


def test_cached_tokens_without_a_cache_price_cost_as_much_as_input_tokens():
    cost = cost_of(Usage(cache_read_tokens=1_000_000), CARDS.get("mistral.mistral-7b-instruct-v0:2"))
    assert cost.metered_usd == Decimal("0.15")


def test_a_model_without_prices_has_no_cost_instead_of_zero():
    assert (
        cost_of(
            Usage(input_tokens=1),
            ModelCard(id="xxx", short_name="xx", wire="bedrock", runs="provider", context_tokens=9),
        )
        is None
    )


def test_all_models_of_the_requirements_have_a_card_with_prices():
    assert {
        card.id for card in CARDS if card.runs == "provider" and card.prices is not None
    } == REQUIRED_MODELS | JUDGE_MODELS


@pytest.mark.acceptance("promise-19")
def test_prices_agree_with_litellms_map_where_both_know_the_model():
    import importlib.util
    import json

    spec = importlib.util.find_spec("litellm")
    known = json.loads(
        (Path(spec.origin).parent / "model_prices_and_context_window_backup.json").read_text(encoding="utf-8")
    )
    compared = 0
    for card in CARDS:
        theirs = known.get(card.id)
        if card.runs != "provider" or theirs is None:
            continue
        names = {
            "input": "input_cost_per_token",
            "output": "output_cost_per_token",
            "cache_read": "cache_read_input_token_cost",
        }
        for ours, name in names.items():
            price = getattr(card.prices, ours)
            if price is not None and name in theirs:
                assert float(price) == pytest.approx(theirs[name] * 1e6), f"{card.id} {ours}"
                compared += 1
    assert compared >= 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [", "not a YAML file"),
        ("modules: []", "not a YAML file with a list `models`"),
        ("models: [{id: abc, short_name: ab, wire: pigeon, runs: local, context_tokens: 1}]", "'wire'"),
        ("models: [{id: abc, short_name: ab, wire: bedrock, runs: local, context_tokens: 0}]", "'context_tokens'"),
    ],
)
def test_an_invalid_card_file_is_named_in_the_error(tmp_path, text, message):
    path = tmp_path / "models.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        ModelCards.load(path)
