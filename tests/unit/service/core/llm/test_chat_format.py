"""What an answer states of its usage."""

from types import SimpleNamespace

import pytest

from service.core.llm.chat_format import is_metered


@pytest.mark.parametrize(
    ("prompt", "completion", "answered", "metered"),
    [
        (30, 10, True, True),
        (30, 0, False, True),
        (30, 0, True, False),  # an answer without tokens would cost nothing
        (30, None, True, False),
        (30, -10_000, True, False),  # and one with fewer would pay for others
        (0, 10, True, False),
        (-1, 10, True, False),
    ],
)
def test_only_a_usage_that_a_provider_could_bill_counts_as_metered(prompt, completion, answered, metered):
    usage = SimpleNamespace(prompt_tokens=prompt, completion_tokens=completion)
    assert is_metered(usage, answered=answered) is metered
    assert not is_metered(None, answered=answered)
