"""Accesses stores off the event loop, with a time limit and retries, and translates botocore's errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from service.kit.aws.clients import MAX_CONNECTIONS
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan

Result = TypeVar("Result")
# A hot partition throttles for milliseconds at a time.
STORE_RETRIES = RetryPlan(first_s=0.02, longest_s=0.3, jitter_s=0.02)
_FEW_RETRIES = replace(STORE_RETRIES, attempts=4)
_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",  # somebody else's transaction holds the item
    }
)
# The record itself is wrong, so a retry would fail again.
_REFUSALS = frozenset({"EntityTooLarge", "ItemCollectionSizeLimitExceededException", "ValidationException"})


class StoreThrottled(StoreError):
    """The store throttled the request; retry later."""

    cause = "throttled"


class StoreDropped(StoreError):
    """The store closed a connection that was kept open; retry on a new one."""

    cause = "dropped"


class StoreTimedOut(StoreError):
    """The store gave no answer within its time."""

    cause = "timeout"


PASSING = (StoreThrottled, StoreDropped)


class ItemChanged(StoreError):
    """The item does not meet the write's condition: somebody else changed it."""


class RecordRefused(StoreError):
    """The store refuses this record permanently; the message says why."""


@contextmanager
def translated(store: str) -> Iterator[None]:
    """Translate botocore's errors to ``StoreError``; ``store`` names the store in messages, for example "table 'x'"."""
    try:
        yield
    except ClientError as err:
        code = err.response.get("Error", {}).get("Code", "unknown")
        gone = code in {"ResourceNotFoundException", "NoSuchBucket"}
        hint = "; create it (locally: omni up)" if gone else ""
        kind = StoreThrottled if code in _THROTTLES else RecordRefused if code in _REFUSALS else StoreError
        raise kind(f"{store} refuses: {code}{hint}") from err
    except ConnectionClosedError as err:
        raise StoreDropped(f"{store} closed the connection") from err
    except BotoCoreError as err:
        raise StoreError(f"{store} cannot be reached: {type(err).__name__}") from err


def patiently(access: Callable[[], Result], *, timeout_s: float) -> Result:
    """Return the result of ``access``, with up to four attempts while the store throttles or drops the connection. Blocking.

    Raises:
        StoreError: the error of the last attempt.
    """
    return _FEW_RETRIES.run(access, on=PASSING, timeout_s=timeout_s)


class StoreThreads:
    """Runs blocking store accesses in threads, with retries, each within ``timeout_s``."""

    def __init__(self, store: str, *, timeout_s: float, threads: int = MAX_CONNECTIONS) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._threads = anyio.CapacityLimiter(threads)

    async def run(self, access: Callable[..., Result], *arguments: object) -> Result:
        """Return the result of ``access(*arguments)``.

        Raises:
            StoreError: the access failed, or had no result in time; then its thread ends later and its result is discarded.
        """
        try:
            with anyio.fail_after(self._timeout_s):
                return await anyio.to_thread.run_sync(
                    partial(patiently, partial(access, *arguments), timeout_s=self._timeout_s),
                    abandon_on_cancel=True,
                    limiter=self._threads,
                )
        except TimeoutError as err:
            raise StoreTimedOut(f"{self._store} gave no answer within {self._timeout_s:g} s") from err
