"""Shows how far a run is, how long it still takes, and what it waits for: bars on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from eval.run.estimate import CODE_CALL_S, Estimate
from eval.run.runner import ArmJob, Progress
from eval.spine.results import CaseResult
from figures.formatting import plural
from service.kit.frame.display.terminal import open_console
from service.kit.frame.display.terminal import say as print_line

# Without a terminal: how long nothing is printed at most while work remains, and how often the clock is looked at.
LINE_EVERY_S = 10.0
_TICK_S = 1.0
# A wait that is shorter is not worth a line.
_WORTH_SAYING_S = 3.0
_RATHER_LONG = 3.0  # times what was expected; then the line says what is waited for

Clock = Callable[[], float]


@dataclass(slots=True)
class _Row:
    job: ArmJob
    title: str
    began: float
    done: int = 0
    kept: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        return self.job.size - self.done

    @property
    def notes(self) -> str:
        counts = {"from the cache": self.kept, "failed": self.failed}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


@dataclass(slots=True, kw_only=True)
class RunProgress:
    """How far the jobs of one run are. Every method may be called from any thread.

    ``in_flight`` returns how many calls of a job a model answers at a time, 0 for code. ``server`` returns the address of its
    model's server where somebody named one.
    """

    in_flight: Callable[[ArmJob], int]
    server: Callable[[ArmJob], str | None] = lambda job: None
    clock: Clock = time.monotonic
    say: Callable[[str], None] = lambda line: None
    rows: list[_Row] = field(default_factory=list)
    estimate: Estimate = field(default_factory=Estimate)
    _waits: dict[str, float] = field(default_factory=dict)
    _said: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def callback_for(self, job: ArmJob, cases: str = "") -> Progress:
        """Return what is called with each result of ``job`` and the seconds that it took; ``cases`` says which ones it has."""
        with self._lock:
            now = self.clock()
            row = _Row(job, _title(job) + (f", {cases}" if cases else ""), now)
            self.rows.append(row)
            in_flight = self.in_flight(job)
            assumed_s = CODE_CALL_S if in_flight == 0 else None
            self.estimate.plan(_kind(job), job.size, parallel=in_flight, now=now, assumed_s=assumed_s)
            self._said = self._said or now

        def count(result: CaseResult, seconds: float) -> None:
            with self._lock:
                self._count(row, result, seconds)

        return count

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """Name ``what`` as something that the run waits for, once no call is left."""
        with self._lock:
            self._waits[what] = self.clock()
        try:
            yield
        finally:
            with self._lock:
                del self._waits[what]

    def line(self) -> str:
        """Return the whole run in one line: answers so far, time left, and what is waited for."""
        with self._lock:
            now = self.clock()
            total = sum(row.job.size for row in self.rows)
            done = total - self.estimate.left
            words = [f"{done} of {plural(total, 'answer')}"]
            open_rows = [f"{row.title} {row.done}/{row.job.size}" for row in self.rows if row.left]
            if len(self.rows) > 1 and open_rows:
                words[0] += f" ({', '.join(open_rows)})"
            if self.estimate.left:
                words.append(str(self.estimate.time_left(now)))
            return ", ".join(words + self._waited_for(now))

    def tick(self) -> None:
        """Print the line when nothing was printed for a while and work remains."""
        with self._lock:
            now = self.clock()
            if now - self._said >= LINE_EVERY_S and (self.estimate.left or self._waits):
                self._print(self.line(), now)

    def _count(self, row: _Row, result: CaseResult, seconds: float) -> None:
        now = self.clock()
        row.done += 1
        row.kept += not result.live
        row.failed += result.result.failure is not None
        self.estimate.finished(_kind(row.job), seconds, now)
        if not row.left:
            notes = f" ({row.notes})" if row.notes else ""
            self._print(f"{row.title}: {row.done}/{row.job.size} answered in {_seconds(now - row.began)}{notes}", now)
        elif now - self._said >= LINE_EVERY_S:
            self._print(self.line(), now)

    def _waited_for(self, now: float) -> list[str]:
        if not self.estimate.left:
            return [f"waiting for {what} ({_seconds(now - since)})" for what, since in self._waits.items()]
        quiet = self.estimate.quiet_s(now)
        asked = next((row for row in self.rows if row.left and self.in_flight(row.job)), None)
        if asked is None or quiet < _WORTH_SAYING_S:
            return []
        server = self.server(asked.job)
        at = f" from {server}" if server else ""
        if not asked.done:
            return [
                f"waiting for the first answer of {asked.title}{at}, whose model may still be loading ({_seconds(quiet)})"
            ]
        overdue = quiet > _RATHER_LONG * self.estimate.slowest_call_s()
        return [f"no answer{at} for {_seconds(quiet)}"] if overdue else []

    def _print(self, line: str, now: float) -> None:
        self._said = now
        self.say(line)


@contextmanager
def show_progress(
    in_flight: Callable[[ArmJob], int],
    stream: IO[str] | None = None,
    server: Callable[[ArmJob], str | None] = lambda job: None,
) -> Iterator[RunProgress]:
    """Yield the progress of a run's jobs, which is shown on ``stream`` (default: standard error) until the block ends."""
    stream = sys.stderr if stream is None else stream
    shown = RunProgress(in_flight=in_flight, server=server)
    if stream.isatty():
        with _bars(shown, stream):
            yield shown
        return
    shown.say = lambda line: print_line(line, file=stream, flush=True)
    with _every(_TICK_S, shown.tick):
        yield shown


@contextmanager
def working(what: str, stream: IO[str] | None = None) -> Iterator[None]:
    """Say ``what`` is being done when it takes more than a moment, and go on saying it."""
    began = last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= (_WORTH_SAYING_S if last == began else LINE_EVERY_S):
            last = now
            print_line(f"{what} ({_seconds(now - began)})", file=stream or sys.stderr, flush=True)

    with _every(_TICK_S, tick):
        yield


def count_lines(
    title: str,
    total: int,
    *,
    parallel: int = 1,
    clock: Clock = time.monotonic,
    say: Callable[[str], None] | None = None,
) -> Callable[[str], None]:
    """Return what counts one finished call of ``total``; it prints a line every ten seconds and at the end, with its note."""
    say = say or (lambda line: print_line(line, file=sys.stderr, flush=True))
    estimate, done = Estimate(), 0
    began = before = said = clock()
    estimate.plan(title, total, parallel=1, now=began)

    def count(note: str = "") -> None:
        nonlocal before, said, done
        now = clock()
        done += 1
        # The share of the run's time that this call took; the first ones in flight hold what is done once.
        if done > parallel or done == total:
            estimate.finished(title, now - before, now)
        before = now
        words = f"{title}: {done}/{total}" + (f", {note}" if note else "")
        if done == total:
            say(f"{words}, in {_seconds(now - began)}")
        elif now - said >= LINE_EVERY_S:
            said = now
            say(f"{words}, {estimate.time_left(now)}")

    return count


def _title(job: ArmJob) -> str:
    again = f" repeat {job.first_repeat + 1}" if job.first_repeat else ""
    return job.pair.name + again if job.arm == "primary" else f"{job.pair.name}{again} ({job.arm})"


def _kind(job: ArmJob) -> tuple[str, str]:
    """Calls of one pair and arm take alike: another prompt's length is another time, with the same model too."""
    return job.pair.digest, job.arm


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@contextmanager
def _every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _bars(shown: RunProgress, stream: IO[str]) -> Iterator[None]:
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def picture() -> Group:
        table = Table.grid(padding=(0, 2, 0, 0))
        for row in shown.rows:
            count = f"{row.done}/{row.job.size}"
            table.add_row(row.title, ProgressBar(total=row.job.size, completed=row.done, width=28), count, row.notes)
        return Group(table, Text(shown.line(), style="dim"))

    with Live(get_renderable=picture, console=open_console(stream), refresh_per_second=4):
        yield
