"""What is heard of a provider's stream before litellm rewrites it."""

from types import SimpleNamespace

import pytest

from service.core.llm.stream_tap import StreamTap


async def chunks(*items):
    for item in items:
        yield item


def piece(text="", finish_reason=None):
    return SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content=text), finish_reason=finish_reason)])


@pytest.mark.parametrize(
    ("last", "finished"),
    [
        (piece("and "), False),
        (piece(finish_reason="stop"), True),
        (piece(finish_reason="length"), True),
        ({"text": "", "is_finished": True, "finish_reason": "stop"}, True),
        ({"text": "and ", "is_finished": False, "finish_reason": ""}, False),
    ],
)
async def test_a_stream_that_broke_off_is_told_from_one_that_ended(last, finished):
    tap = StreamTap(chunks(piece("You owe 500, "), last))
    async for _ in tap:
        pass
    assert tap.finished is finished
