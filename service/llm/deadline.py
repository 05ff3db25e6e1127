"""One time budget per request: throttle back-off inside it, and a backup that starts before the primary has used it up."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import stamina

from service.errors import DeadlineExceeded, ModelError, QuotaExceeded
from service.llm.call import Gateway, ModelCall, ModelReply

Answer = TypeVar("Answer")
# Retries are logged with everything else of a call (`logged.py`); stamina's own hooks would be imported in the first call.
stamina.instrumentation.set_on_retry_hooks([])
# Below this a model call cannot give a summary, so none is started; the rest belongs to the next link of the chain.
MINIMUM_CALL_S = 0.05


@dataclass(slots=True)
class Budget:
    """Seconds that are left of a request; ``clock`` is monotonic, in seconds."""

    total_s: float
    clock: Callable[[], float]
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(self.total_s - (self.clock() - self.started), 0.0)

    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (self.clock() - self.started) * 1000


async def complete_within(
    gateway: Gateway, call: ModelCall, budget: Budget, *, throttle_retries: int
) -> tuple[ModelReply, int]:
    """Call a model, waiting out throttles with jitter as long as the budget allows.

    Returns:
        The reply and the number of attempts that it took.

    Raises:
        ModelError: the last attempt's error, or ``DeadlineExceeded`` when the budget is spent.
    """
    attempts = 0
    async for attempt in stamina.retry_context(
        on=QuotaExceeded,
        attempts=throttle_retries + 1,
        timeout=max(budget.remaining_s() - MINIMUM_CALL_S, MINIMUM_CALL_S),
        wait_initial=0.2,
        wait_max=2.0,
        wait_jitter=0.3,
    ):
        with attempt:
            attempts += 1
            left = budget.remaining_s()
            if left < MINIMUM_CALL_S:
                raise DeadlineExceeded(f"no time left for a call to {call.model} after {budget.elapsed_ms():.0f} ms")
            return await gateway.complete(replace(call, timeout_s=left)), attempts
    raise AssertionError("retry_context ends with a return or a raise")


async def first_good(
    primary: Callable[[], Awaitable[Answer]], backup: Callable[[], Awaitable[Answer]], *, hedge_delay_s: float
) -> Answer:
    """Return the first answer that is good; the backup starts when the primary fails or after ``hedge_delay_s``.

    The slower call is cancelled. When both fail, the primary's error is raised: it is the pair's own model.

    Raises:
        ModelError: both failed.
    """
    first = asyncio.ensure_future(primary())
    tasks = {first}
    try:
        done, _ = await asyncio.wait(tasks, timeout=hedge_delay_s)
        if done and not isinstance(first.exception(), ModelError):
            return first.result()
        tasks.add(asyncio.ensure_future(backup()))
        pending = {task for task in tasks if not task.done()}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, ModelError):
                    raise error
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
