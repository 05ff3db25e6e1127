"""Process pools whose children never see Ctrl-C."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class SpawnedPool(ProcessPoolExecutor):
    """A pool of processes of their own; Ctrl-C reaches its owner alone, who ends them.

    A terminal sends Ctrl-C to every process. A child that only ignores it once it runs would die, with a traceback, if it
    came while the child still imports.
    """

    def __init__(
        self, workers: int, *, initializer: Callable[..., object], initargs: tuple[Any, ...] = (), fork: bool = False
    ) -> None:
        """Make a pool; it starts no process yet.

        With ``fork`` the children begin with what this process has imported, where that is safe: on Linux, and as long as this
        process has one thread. Submit a job at once, before there are more.
        """
        safe = fork and sys.platform == "linux" and threading.active_count() == 1
        context = multiprocessing.get_context("fork" if safe else "spawn")
        super().__init__(workers, mp_context=context, initializer=initializer, initargs=initargs)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Begin a job; a pool starts its children here, in the caller's thread, one per job until it is full."""
        with _interrupts_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    # A child inherits the mask for good; the caller gets a Ctrl-C of this moment when the block ends.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
