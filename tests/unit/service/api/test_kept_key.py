"""The key that requests are signed with, looked for aside (tests/unit/service/kit/aws/test_queries.py: who serves then)."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.kit.aws.clients import AwsKey, KeptKey


def test_two_event_loops_that_ask_at_once_both_get_it():
    both_look = threading.Barrier(2)

    def find():
        both_look.wait(timeout=10)
        return AwsKey("id", "secret")

    kept = KeptKey(find)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: asyncio.run(kept.get()), range(2)))
    assert found == [AwsKey("id", "secret")] * 2


def test_a_first_look_that_fails_is_raised_and_the_next_use_looks_again():
    answers = [OSError("away"), AwsKey("id", "secret")]

    def find():
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    kept = KeptKey(find)
    with pytest.raises(OSError, match="away"):
        asyncio.run(kept.get())
    assert asyncio.run(kept.get()) == AwsKey("id", "secret")
    assert answers == []


def test_what_was_forgotten_is_looked_for_anew():
    ids = iter("ab")
    kept = KeptKey(lambda: AwsKey(next(ids), "secret"))

    async def three():
        before = await kept.get(), await kept.get()
        kept.forget()
        return before, await kept.get()

    (first, again), anew = asyncio.run(three())
    assert (first.id, again.id, anew.id) == ("a", "a", "b")
