"""Where a tenant's calls may be worked on: regions, geographies, profiles of Bedrock, and what nobody can tell."""

import pytest

from service.calls.tenants.desk import UNKNOWN, Residency, is_allowed
from service.calls.tenants.store import TenantSettings
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

CARDS = ModelCards.load(Settings().prompts_dir / "models.yaml")
NOVA, LLAMA = "amazon.nova-lite-v1:0", "us.meta.llama3-2-3b-instruct-v1:0"


@pytest.mark.parametrize(
    ("place", "regions", "allowed"),
    [
        ("us-east-1", (), True),
        ("eu-central-1", ("eu-central-1",), True),
        ("us-east-1", ("eu-central-1",), False),
        ("eu-west-3", ("eu",), True),
        ("us-east-1", ("eu", "us"), True),
        ("us-east-1", ("eu", "apac"), False),
        ("ap-southeast-2", ("apac",), True),
        ("eu", ("eu",), True),
        ("eu", ("eu-central-1",), False),  # a profile of the EU may send to any region of it
        ("global", ("eu", "us", "apac"), False),
        (UNKNOWN, ("eu", "us", "apac"), False),
        (UNKNOWN, (), True),
    ],
)
def test_a_place_lies_within_regions_or_not(place, regions, allowed):
    assert is_allowed(place, regions) is allowed


@pytest.mark.parametrize(
    ("model", "endpoint", "place"),
    [
        (NOVA, None, "eu-central-1"),
        (LLAMA, None, "us"),
        (NOVA, "http://127.0.0.1:4568", None),  # a stand-in on this machine
        (NOVA, "https://bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        (NOVA, "https://vpce-0a1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        (NOVA, "https://bedrock-runtime.eu-west-1.example.test", UNKNOWN),
        (NOVA, "https://models.example.test", UNKNOWN),
        ("local.scorecard-keywords-v1", None, None),
        ("openai/gpt-4o-mini", None, UNKNOWN),
    ],
)
@pytest.mark.acceptance("call-08")
def test_where_a_model_is_called(model, endpoint, place):
    residency = Residency(region="eu-central-1", cards=CARDS, endpoint=endpoint)
    assert residency.place_of(CARDS.get(model)) == place


def test_a_refusal_names_model_place_and_remedy():
    residency = Residency(region="eu-central-1", cards=CARDS)
    assert residency.model_refusal("acme", ("eu",), [NOVA]) is None
    refusal = residency.model_refusal("acme", ("eu",), [NOVA, LLAMA])
    assert refusal == (
        f"model {LLAMA} is called in us, and tenant 'acme' allows eu: release a pair with a model there, or change its "
        "regions (omni tenant set)"
    )
    assert residency.storage_refusal("acme", ("eu",)) is None
    assert "keeps data in eu-central-1, and tenant 'acme' allows us" in residency.storage_refusal("acme", ("us",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"regions": ["europe"]}, {"regions": ["eu-central"]}, {"language": "german"}, {"vocabulary": "a b"}, {"model": ""},
        {"monthly_budget_usd": 0}, {"tags": {"": "x"}}, {"name": " "}, {"state": "suspended"},
    ],
)  # fmt: skip
def test_settings_that_nobody_can_keep_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TenantSettings.model_validate({"name": "Acme"} | wrong)
