"""The time budget of a request: retries of throttled calls, and a backup model that starts while the primary still runs."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.kit.frame.errors import DeadlineExceeded, ModelError, QuotaExceeded
from service.kit.frame.retries import RetryPlan

_T = TypeVar("_T")
# A model cannot answer in less, so no call is started; the time left goes to the next model or the fallback.
MINIMUM_CALL_S = 0.05
_THROTTLE_RETRIES = RetryPlan(first_s=0.2, longest_s=2.0, jitter_s=0.3)
# How long a call may overrun its own timeout before the request stops waiting for it.
_OVERRUN_S = 0.02
# How often a request that may not hedge yet asks again: the breaker of its primary may have opened since.
_ASK_AGAIN_S = 0.05


@dataclass(slots=True)
class Budget:
    """The time that a request has left; ``clock`` is monotonic, in seconds.

    ``reserve_s`` is not available to models: the fallback and the response need it.
    """

    total_s: float
    clock: Callable[[], float]
    reserve_s: float = 0.0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def remaining_s(self) -> float:
        """Return the seconds left for models, never below zero."""
        return max(self.total_s - self.reserve_s - (self.clock() - self.started), 0.0)

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request started."""
        return (self.clock() - self.started) * 1000


async def complete_within(
    gateway: Gateway,
    call: ModelCall,
    budget: Budget,
    *,
    throttle_retries: int,
    may_retry: Callable[[], bool] = lambda: True,
) -> tuple[ModelReply, int]:
    """Call a model; retry throttled calls, after a back-off with jitter, as long as budget and ``may_retry`` allow.

    Returns:
        The reply and the number of attempts.

    Raises:
        ModelError: the last attempt's error, or ``DeadlineExceeded`` when the budget is spent.
    """
    attempts = 0

    async def ask() -> ModelReply:
        nonlocal attempts
        attempts += 1
        left = budget.remaining_s()
        if left < MINIMUM_CALL_S:
            raise DeadlineExceeded(f"no time left for a call to {call.model} after {budget.elapsed_ms():.0f} ms")
        return await gateway.complete(replace(call, timeout_s=left))

    reply = await replace(_THROTTLE_RETRIES, attempts=throttle_retries + 1).run_async(
        ask,
        on=QuotaExceeded,
        if_=lambda _: attempts > 1 or may_retry(),
        timeout_s=budget.remaining_s() - MINIMUM_CALL_S,
    )
    return reply, attempts


async def first_good(
    primary: Callable[[], Coroutine[Any, Any, _T]],
    backup: Callable[[], Coroutine[Any, Any, _T]],
    *,
    hedge_delay_s: float,
    may_hedge: Callable[[], bool] = lambda: True,
    remaining_s: Callable[[], float] = lambda: math.inf,
) -> _T:
    """Return the first good answer; the backup starts when the primary fails or after ``hedge_delay_s`` seconds.

    The slower call is cancelled. When both fail, the primary's error is raised.

    Args:
        primary: asks the pair's own model.
        backup: asks the backup model; called at most once.
        hedge_delay_s: seconds that the primary may take before the backup starts.
        may_hedge: called after ``hedge_delay_s`` and then every 0.05 s, until it returns True or the primary has ended.
        remaining_s: returns the seconds left of the request, which holds even if a call ignores its own timeout.

    Raises:
        ModelError: both failed, or ``DeadlineExceeded`` when neither had ended in time.
    """
    first = asyncio.create_task(primary())
    tasks = {first}
    try:
        await asyncio.wait(tasks, timeout=min(hedge_delay_s, remaining_s() + _OVERRUN_S))
        while not first.done() and not may_hedge():
            left = remaining_s() + _OVERRUN_S
            if left <= _OVERRUN_S:
                raise DeadlineExceeded("the primary had not answered when the time budget was spent")
            await asyncio.wait(tasks, timeout=min(left, _ASK_AGAIN_S))
        if first.done() and not isinstance(first.exception(), ModelError):
            return first.result()
        tasks.add(asyncio.create_task(backup()))
        pending = {task for task in tasks if not task.done()}
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=_patience(remaining_s), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise DeadlineExceeded("no model had answered when the time budget was spent")
            # The primary first: when both answer at the same moment, its answer is shown.
            for task in sorted(done, key=lambda task: task is not first):
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, ModelError):
                    raise error
        return first.result()
    finally:
        await _cancel(tasks)


def _patience(remaining_s: Callable[[], float]) -> float | None:
    # A call normally ends itself when the budget is spent, with an error that names its model; this bounds one that does not.
    left = remaining_s()
    return None if math.isinf(left) else left + _OVERRUN_S


async def _cancel(tasks: set[asyncio.Task[_T]]) -> None:
    """Cancel the running calls and give them 20 ms to record their cost; a call that ignores the cancellation is abandoned."""
    running = {task for task in tasks if not task.done()}
    for task in tasks - running:
        task.cancelled() or task.exception()  # an unread error would be a warning
    for task in running:
        task.cancel()
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    if running:
        await asyncio.wait(running, timeout=_OVERRUN_S)
