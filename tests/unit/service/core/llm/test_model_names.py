"""Whether the name in an answer may be the model that was asked."""

import pytest

from service.core.llm.litellm_wire import same_family


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("openai/gpt-4", "gpt-4-0613"),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("anthropic/claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash-preview-05-20"),
        ("gemini/gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("openrouter/openai/gpt-4o", "openai/gpt-4o"),
        ("xai/grok-3-latest", "grok-3"),
    ],
)
def test_a_date_revision_or_channel_more_is_the_same_model(asked, said):
    assert same_family(asked, said, own_service=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("openai/gpt-4o", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o"),
        ("openai/gpt-4", "gpt-4.1"),
        ("anthropic/claude-haiku-4", "claude-haiku-4-5"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    ],
)
def test_another_model_is_not(asked, said):
    assert not same_family(asked, said, own_service=True)


@pytest.mark.parametrize(
    ("asked", "said", "same"),
    [
        ("hosted_vllm/smollm2", "/models/SmolLM2-135M-Instruct.Q4_1.gguf", True),
        ("ollama/llama3.2", "llama3.2:3b", True),
        ("hosted_vllm/Qwen/Qwen3-8B", "Qwen/Qwen3-8B-AWQ", True),
        ("ollama/llama3.2", "mistral:7b", False),
    ],
)
def test_a_server_of_ones_own_may_give_a_longer_name(asked, said, same):
    assert same_family(asked, said, own_service=False) is same
