"""Where a model is called, and whose service that is."""

import pytest

from service.core.llm.servers import is_own_host, server_of
from service.core.unit.cards import ModelCards

CARDS = ModelCards([])


@pytest.fixture(autouse=True)
def no_servers_in_the_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_API_BASE", "AZURE_API_BASE"):
        monkeypatch.delenv(name, raising=False)


def server(model, url=None):
    return server_of(CARDS.get(model), {model: url} if url else {})


@pytest.mark.parametrize(
    ("model", "url", "sent_to", "origin"),
    [
        ("openai/gpt-4o", None, "https://api.openai.com/v1/", "provider"),
        ("openai/gpt-4o", None, "", "provider"),
        ("openai/gpt-4o", None, "https://proxy.example/v1/", "endpoint"),  # a variable that we do not know named it
        ("openai/gpt-4o", "http://api.openai.com/v1", "", "endpoint"),  # without TLS anybody may answer
        ("openai/gpt-4o", "https://api.openai.com.example/v1", "", "endpoint"),
        ("azure/ours", "https://ours.openai.azure.com", "", "provider"),
        ("azure/ours", "https://ours.example", "", "endpoint"),
        ("gemini/gemini-2.5-flash", None, "https://generativelanguage.googleapis.com/v1beta/m", "provider"),
        ("ollama/llama3.2", None, "http://localhost:11434/api/chat", "endpoint"),
        ("ollama/llama3.2", None, "", "endpoint"),
        ("hosted_vllm/x", "https://gpu.example/v1", "", "endpoint"),
        ("fireworks_ai/x", None, "https://api.fireworks.ai/v1", "provider"),
        ("fireworks_ai/x", None, "http://127.0.0.1:1", "endpoint"),
        ("fireworks_ai/x", "https://gateway.example/v1", "", "endpoint"),
    ],
)
def test_the_origin_follows_from_where_the_request_went(model, url, sent_to, origin):
    assert server(model, url).origin(sent_to) == origin


def test_a_server_is_named_by_setting_variable_or_card_in_this_order(monkeypatch):
    card = CARDS.get("ollama/llama3.2").model_copy(update={"api_base": "http://card"})
    assert (server_of(card, {}).url, server_of(card, {}).takes_keys) == ("http://card", False)
    monkeypatch.setenv("OLLAMA_API_BASE", "http://variable")
    assert (server_of(card, {}).url, server_of(card, {}).takes_keys) == ("http://variable", True)
    assert server_of(card, {card.id: "http://setting"}).url == "http://setting"


@pytest.mark.parametrize(
    ("url", "plain"), [("http://gpu:8000/v1", True), ("http://127.0.0.1:1", False), ("https://gpu", False)]
)
def test_an_unencrypted_way_to_another_machine_is_noticed(url, plain):
    assert server("hosted_vllm/x", url).plain is plain


def test_a_plain_server_is_noticed_under_every_variable_of_its_provider(monkeypatch):
    monkeypatch.setenv("FIREWORKS_API_BASE", "http://gpu.example/v1")
    assert server("fireworks_ai/x").plain


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", True),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", True),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", True),
        ("bedrock-runtime.us-east-1.api.aws", True),
        ("vpce-0a1b-2c3d-us-east-1a.bedrock-runtime.us-east-1.vpce.amazonaws.com", True),
        ("abc123.execute-api.eu-west-1.amazonaws.com", False),
        ("mine-1.eu-west-1.elb.amazonaws.com", False),
        ("bedrock-runtime.s3.amazonaws.com", False),  # a bucket of that name
        ("bedrock-runtime.s3.eu-west-1.amazonaws.com", False),
        ("vpce-0a1b.vpce-svc-1.eu-west-1.vpce.amazonaws.com", False),
        ("bedrock-runtime.eu-west-1.amazonaws.com.example", False),
        ("x.bedrock-runtime.eu-west-1.amazonaws.com", False),
    ],
)
def test_only_bedrocks_own_hosts_under_amazonaws_are_bedrock(host, own):
    assert is_own_host("bedrock", f"https://{host}") is own
    assert not is_own_host("bedrock", f"http://{host}")


def test_a_server_of_ones_own_must_be_named():
    assert server("hosted_vllm/x").missing
    assert not server("ollama/x").missing


@pytest.mark.parametrize(
    ("model", "url", "gets"),
    [
        ("vertex_ai/gemini-2.5-flash", "https://elsewhere.example", True),
        ("watsonx/ibm/granite", "https://elsewhere.example", True),
        ("vertex_ai/gemini-2.5-flash", "https://europe-west1-aiplatform.googleapis.com", False),
        ("openai/gpt-4o", "https://elsewhere.example", False),  # gets the key "none"
    ],
)
def test_credentials_that_no_key_replaces_do_not_go_where_only_a_card_says(model, url, gets):
    card = CARDS.get(model).model_copy(update={"api_base": url})
    assert server_of(card, {}).would_get_credentials is gets
    assert not server_of(card, {card.id: url}).would_get_credentials
