"""The bundled model answers the same over llama.cpp's own OpenAI wire as over our stand-in of Bedrock's."""

import asyncio

import pytest

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.settings import REPO_ROOT
from service.local.process import LocalBedrock, LocalChatServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
BEDROCK, OPENAI = "local.smollm2-135m-instruct-q4", "hosted_vllm/smollm2-135m-instruct"
PROMPTS = ["Name three colours.", "The customer paid $30 on May 2. Summarise that in one sentence."]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_text_and_usage_are_the_same_and_only_the_origin_differs(prompt):
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")

    def ask(model, **places):
        call = ModelCall(
            model=model,
            messages=(
                PromptMessage(role="system", content="Answer briefly."),
                PromptMessage(role="user", content=prompt),
            ),
            sampling=Sampling(max_output_tokens=30, temperature=0.0),
            timeout_s=120.0,
        )
        return asyncio.run(LiteLLMGateway(cards, region="us-east-1", **places).complete(call))

    with LocalBedrock([]) as bedrock, LocalChatServer(["--bundled"]) as chat:
        first = ask(BEDROCK, endpoint=bedrock.url)
        second = ask(OPENAI, endpoints={OPENAI: chat.url})
    assert first.text == second.text
    assert (first.usage.input_tokens, first.usage.output_tokens) == (
        second.usage.input_tokens,
        second.usage.output_tokens,
    )
    assert first.usage.input_tokens > 10
    assert (first.origin, second.origin) == ("stand-in", "endpoint")
