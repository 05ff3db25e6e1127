"""Shows how far a run is: a bar with rate and time left on a terminal, a line per tenth elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eval.results import CaseResult
from eval.run.runner import ArmJob, Progress


@contextmanager
def show_progress() -> Iterator[Callable[[ArmJob], Progress]]:
    """Yield what makes a job's callback; each call of that counts one finished case."""
    if sys.stderr.isatty():
        with _bars() as callback_for:
            yield callback_for
    else:
        yield _lines


def _title(job: ArmJob) -> str:
    again = f" repeat {job.first_repeat + 1}" if job.first_repeat else ""
    return job.pair.name + again if job.arm == "primary" else f"{job.pair.name}{again} ({job.arm})"


@contextmanager
def _bars() -> Iterator[Callable[[ArmJob], Progress]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>11}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def callback_for(job: ArmJob) -> Progress:
            return _bar(bars, bars.add_task(_title(job), total=job.size, rate="", state="", start=False))

        yield callback_for


def _bar(bars: "Bars", row: "TaskID") -> Progress:  # type: ignore[name-defined] # noqa: F821 - rich is imported late
    state = {"done": 0, "cached": 0, "failed": 0, "started": 0.0}

    def count(result: CaseResult) -> None:
        if not state["done"]:
            bars.start_task(row)
            state["started"] = time.monotonic()
        state["done"] += 1
        state["cached"] += not result.live
        state["failed"] += result.result.failure is not None
        seconds = max(time.monotonic() - state["started"], 1e-6)
        rate = f"{state['done'] / seconds:.1f} cases/s" if state["done"] > 1 else ""
        words = [f"{state['cached']:.0f} cached"] * bool(state["cached"]) + [f"{state['failed']:.0f} failed"] * bool(
            state["failed"]
        )
        bars.update(row, advance=1, rate=rate, state=", ".join(words))

    return count


def _lines(job: ArmJob) -> Progress:
    done = 0
    started = 0.0
    step = max(job.size // 10, 1)

    def count(result: CaseResult) -> None:
        nonlocal done, started
        done += 1
        started = started or time.monotonic()
        if done % step == 0 or done == job.size:
            seconds = max(time.monotonic() - started, 1e-6)
            left = (job.size - done) * seconds / done
            print(
                f"{_title(job)}: {done}/{job.size}, {done / seconds:.1f} cases/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    return count
