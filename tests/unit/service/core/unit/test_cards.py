"""Cards of models without one in the file: derived from litellm's cost map, or a line that says why not."""

from decimal import Decimal

import pytest

from service.core.unit.cards import ModelCard, ModelCards, cost_map
from service.core.unit.cards.cost_map import cost_map_source
from service.kit.frame.errors import ConfigurationError, PairError

OWN = ModelCard(id="amazon.nova-lite-v1:0", short_name="own", wire="bedrock", runs="provider", context_tokens=7)
CARDS = ModelCards([OWN])


def test_a_models_card_is_derived_with_prices_and_their_source():
    card = CARDS.get("openai/gpt-4o-mini")
    assert (card.wire, card.runs, card.derived, card.context_tokens) == ("litellm", "provider", True, 128_000)
    assert card.prices is not None
    assert (card.prices.input, card.prices.output, card.prices.cache_read) == (
        Decimal("0.15"),
        Decimal("0.6"),
        Decimal("0.075"),
    )
    assert card.prices.source == cost_map_source()
    assert "openai/gpt-4o-mini" in CARDS


@pytest.mark.parametrize("model", ["hosted_vllm/anything", "ollama/llama3.2", "azure/our-deployment", "openai/ft:x:y"])
def test_a_model_that_the_map_does_not_price_has_a_card_without_prices(model):
    card = CARDS.get(model)
    assert (card.wire, card.prices, card.context_tokens) == ("litellm", None, None)


def test_a_bedrock_model_without_a_card_is_called_as_bedrocks():
    assert CARDS.get("us.amazon.nova-pro-v1:0").wire == "bedrock"
    assert CARDS.get("meta.llama3-2-3b-instruct-v1:0").end_of_life is not None


def test_the_files_card_comes_first():
    assert CARDS.get(OWN.id) is OWN
    assert list(CARDS) == [OWN]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-4o-mini", "did you mean 'openai/gpt-4o-mini'?"),
        ("gtp-4o-mini", "'openai/gpt-4o-mini'"),
        ("opnai/gpt-4o", "did you mean 'openai/gpt-4o'?"),
        ("amazon.nova-lit-v1:0", "did you mean 'amazon.nova-lite-v1:0'"),
        ("bedrock/converse/amazon.nova-lite-v1:0", "by their own id, as in 'amazon.nova-lite-v1:0'"),
        ("openai/text-embedding-3-small", "does not answer prompts: litellm lists it as embedding"),
        ("openai/", "litellm does not know it"),
        ("nobody.knows", "write it as provider/model"),
    ],
)
def test_an_unknown_model_is_named_with_the_nearest_ids(model, words):
    assert model not in CARDS
    with pytest.raises(PairError) as raised:
        CARDS.get(model)
    assert repr(model) in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("id: opnai/x, short_name: xx, wire: litellm", "did you mean 'openai/x'"),
        ("id: amazon.x, short_name: xx, wire: bedrock, api_base: 'http://x'", "OMNI_BEDROCK_ENDPOINT"),
        ("id: openai/x, short_name: xx, wire: litellm, api_base: 'http://key@host/v1'", "api_base"),
        ("id: openai/x, short_name: xx, wire: litellm, api_base: 'http://host/v1?key=1'", "api_base"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path, fields, words):
    path = tmp_path / "models.yaml"
    path.write_text(f"models: [{{{fields}, runs: provider}}]")
    with pytest.raises(ConfigurationError, match=words):
        ModelCards.load(path)


@pytest.mark.parametrize(
    ("provider", "prices", "priced"),
    [
        ("mistral", {"input_cost_per_token": 0, "output_cost_per_token": 0}, False),  # a provider that charges nothing?
        ("ollama", {"input_cost_per_token": 0, "output_cost_per_token": 0}, True),
        ("mistral", {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, True),
        ("replicate", {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cost_per_second": 0.1}, False),
        ("perplexity", {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "search_context_cost_per_query": {"a": 1}},
         False),
    ],
)  # fmt: skip
def test_prices_that_do_not_tell_what_a_call_costs_are_none(monkeypatch, provider, prices, priced):
    entry = {"litellm_provider": provider, "mode": "chat", "max_input_tokens": 1000, **prices}
    monkeypatch.setattr(cost_map, "_entries", lambda: {f"{provider}/m": entry})
    known = cost_map.known_model(f"{provider}/m")
    assert (known.input is not None and known.output is not None) is priced


def test_reasoning_tokens_are_priced_and_prompts_stay_below_the_dearer_tier(monkeypatch):
    entry = {
        "litellm_provider": "gemini", "mode": "chat", "max_input_tokens": 1_000_000,
        "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "output_cost_per_reasoning_token": 5e-6,
        "input_cost_per_token_above_200k_tokens": 3e-6, "input_cost_per_token_above_200k_tokens_batches": 1e-6,
    }  # fmt: skip
    monkeypatch.setattr(cost_map, "_entries", lambda: {"gemini/m": entry})
    known = cost_map.known_model("gemini/m")
    assert (known.input, known.output, known.context_tokens) == (Decimal(1), Decimal(5), 200_000)
