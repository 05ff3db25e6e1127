"""The summary writer in a process of its own: two store calls per answer cost the serving process a third of its time.

Measured (2026-11, model at 0 ms, 50 in flight): 26 ms of CPU per request, 7 of them for both writes and their threads, which
take the interpreter's lock from the requests. The spool is what the two processes share: the serving process adds a
file and names it on a pipe, the writer's process writes it to both stores and deletes it. Nothing depends on the pipe: a file
that nobody was told of is found by the replay.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from service.settings import Settings
from service.summaries.record import SummaryRecord
from service.summaries.spool import Spool, SpoolError
from service.summaries.writer import SummaryWriter, WriteCounts
from service.telemetry import metrics
from service.telemetry.log import Event, log

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# One that lived this long had no bad start: the next death is a new story.
_LONG_LIFE_S = 60.0
_DEATHS_IN_A_ROW = 3
_NOW = ("in_flight", "homeless")  # how many there are; the others count since the start
_COUNTS = (*(field.name for field in fields(WriteCounts)), *_NOW)


class WriterProcess:
    """Takes records as ``SummaryWriter`` does and lets a child process write them.

    What the disk does not take goes through a ``SummaryWriter`` of this process, and so does everything that waits once the child
    has died three times in a row. The child ends when this process does, after it has written what it was told of.
    """

    def __init__(self, settings: Settings, spool: Spool, here: Callable[[], SummaryWriter]) -> None:
        """``here`` makes the writer of this process, should one be needed."""
        self._settings = settings
        self._spool = spool
        self._make_here = here
        self._here: SummaryWriter | None = None
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        self._accepted = 0
        self._reported: dict[str, int] = {}
        self._of_the_dead: dict[str, int] = {}

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start the child and whoever starts the next one."""
        self._watcher = threading.Thread(target=self._watch, name="summary-writer", daemon=True)
        self._watcher.start()

    def keep(self, record: SummaryRecord) -> None:
        """Accept one record: a small file now, both stores later and elsewhere. Never raises."""
        try:
            path = self._spool.add(record)
        except SpoolError:
            self._writer_here().keep(record)  # says so, and tries the stores
            return
        self._accepted += 1
        # Under the lock: a descriptor that is closed meanwhile may be another file's by now.
        with self._lock:
            if self._pipe is not None:
                with suppress(OSError):  # a full pipe, or one whose reader has died: the replay finds the file
                    os.write(self._pipe, f"{path.name}\n".encode())

    def close(self, *, drain_s: float = 5.0) -> None:
        """End the child once it has written what it was told of, within ``drain_s``; the rest waits on disk."""
        self._closing.set()
        self._hang_up()
        process = self._process
        if process is not None:
            try:
                process.wait(drain_s + 1.0)  # it bounds its own draining
            except subprocess.TimeoutExpired:
                process.kill()
        if self._watcher is not None:
            self._watcher.join(timeout=2.0)
        if self._here is not None:
            self._here.close(drain_s=drain_s)

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts since the start, of this process and of all its children, as the last one reported them."""
        own = {} if self._here is None else self._here.snapshot()
        with self._lock:
            parts = (self._reported, self._of_the_dead, own)
            counts = {name: sum(part.get(name, 0) for part in parts) for name in _COUNTS}
        # What came in is this process's to say; a child counts what it was told of.
        return counts | {
            "accepted": self._accepted + own.get("accepted", 0),
            "unspooled": own.get("unspooled", 0),
        }

    def _writer_here(self) -> SummaryWriter:
        with self._lock:
            if self._here is None:
                self._here = self._make_here()
                self._here.start()
            return self._here

    def _watch(self) -> None:
        deaths, pause_s = 0, _FIRST_PAUSE_S
        while not self._closing.is_set():
            began = time.monotonic()
            reason = self._one_life()
            if self._closing.is_set():
                return
            if time.monotonic() - began >= _LONG_LIFE_S:
                deaths, pause_s = 0, _FIRST_PAUSE_S
            deaths += 1
            log(Event.SUMMARY_WRITER_DIED, reason=reason, failures=deaths)
            if deaths == _DEATHS_IN_A_ROW:
                self._writer_here()  # its replay takes what waits; the child may still come back
            self._closing.wait(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _one_life(self) -> str:
        # Starts a child, hears it until it ends, and returns how it ended.
        heard, tells = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "service.summaries.writer_worker", str(tells)],
                stdin=subprocess.PIPE,
                pass_fds=(tells,),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_python_path())},
            )
        except OSError as err:
            os.close(heard)
            os.close(tells)
            return f"cannot be started: {err.strerror or type(err).__name__}"
        os.close(tells)
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(_for_the_child(self._settings) + b"\n")
            process.stdin.flush()
        pipe = process.stdin.fileno()
        os.set_blocking(pipe, False)
        with self._lock:
            self._process, self._pipe = process, pipe
        if self._closing.is_set():
            self._hang_up()
        with os.fdopen(heard, encoding="utf-8") as reports:
            for line in reports:
                self._heard(line)
        code = process.wait()
        self._hang_up()
        with self._lock:
            for name, count in self._reported.items():
                if name not in _NOW:
                    self._of_the_dead[name] = self._of_the_dead.get(name, 0) + count
            self._reported = {}
        return f"ended with code {code}"

    def _heard(self, line: str) -> None:
        counts: dict[str, int] = json.loads(line)
        with self._lock:
            more = counts.pop("spooled") - self._reported.get("spooled", 0)
            self._reported = counts | {"spooled": self._reported.get("spooled", 0) + more}
        if more > 0:
            metrics.count(metrics.SPOOLED, by=more)

    def _hang_up(self) -> None:
        with self._lock:
            self._pipe = None
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()


def _for_the_child(settings: Settings) -> bytes:
    # Only what writing takes: a key or a secret of the service is none of it. Credentials of AWS are in the environment.
    wanted = (
        "aws_region",
        "aws_endpoint",
        "store_timeout_s",
        "summaries_table",
        "summary_days",
        "archive_bucket",
        "spool_max_mb",
        "log_level",
    )
    flat = settings.flat()
    given = {name: flat[name] for name in wanted if name in flat}
    return json.dumps(given | {"spool_dir": str(settings.spool_folder)}).encode()


def _python_path() -> list[str]:
    # -P keeps the child from importing out of whatever folder the service was started in.
    inherited = os.environ.get("PYTHONPATH")
    return [str(_PACKAGE_ROOT), *([inherited] if inherited else [])]
