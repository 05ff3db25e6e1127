"""Runs the summary writer in a child process, because two store calls per answer cost the serving process much of its time.

Measured (2026-11, model at 0 ms, 50 in flight): 26 ms of CPU per request, 7 of them for both writes and their threads, which
compete with requests for the GIL. The two processes share the spool: the serving process adds a file and sends its name through
a pipe; the child writes the record to both stores and deletes the file. The pipe is only a hint: the replay finds every file.
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

from service.answers_kept.answer_record import ServedRecord
from service.answers_kept.writer import AnswerSpool, AnswerWriter
from service.kit.delivery.spool import SpoolError
from service.kit.delivery.writer import WriteCounts
from service.kit.frame.retries import RetryPlan
from service.kit.settings import Settings
from service.kit.telemetry import metrics
from service.kit.telemetry.fields import current_account_key
from service.kit.telemetry.log import Event, log

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_PAUSES = RetryPlan(first_s=0.5, longest_s=30.0)
# A child that lived this long started well: its death resets the count of consecutive deaths.
_LONG_LIFE_S = 60.0
_DEATHS_IN_A_ROW = 3
_NOW = ("in_flight", "homeless")  # current values; the others count since the start
_COUNTS = (*(field.name for field in fields(WriteCounts)), *_NOW)


class WriterProcess:
    """Accepts records like ``AnswerWriter`` and lets a child process write them.

    A ``AnswerWriter`` in this process takes the records that the disk does not take and, after the child has died three times in
    a row, all that wait. The child ends after this process does, once it has written the files that it was told about.
    """

    def __init__(self, settings: Settings, spool: AnswerSpool, here: Callable[[], AnswerWriter]) -> None:
        """``here`` makes this process's own writer when it is needed."""
        self._settings = settings
        self._spool = spool
        self._make_here = here
        self._here: AnswerWriter | None = None
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
        """Start a thread that starts the child, and starts it again when it dies."""
        self._watcher = threading.Thread(target=self._watch, name="summary-writer", daemon=True)
        self._watcher.start()

    def keep(self, record: ServedRecord, *, kept: bool = False) -> None:
        """Accept one record: writes a small file; the child writes to both stores later. Never raises.

        ``kept`` is that of ``AnswerWriter.keep``.
        """
        try:
            path = self._spool.add(record)
        except SpoolError:
            self._writer_here().keep(record, kept=kept)  # logs the failure, and tries the stores
            return
        self._accepted += 1
        # Under the lock: a descriptor that was closed meanwhile may belong to another file.
        with self._lock:
            if self._pipe is not None:
                with suppress(OSError):  # a full pipe, or one whose reader has died: the replay finds the file
                    os.write(self._pipe, f"{path.name}\n".encode())

    def close(self, *, drain_s: float = 5.0) -> None:
        """Let the child write the files that it was told about, within ``drain_s``, and end it; the rest waits on disk."""
        self._closing.set()
        self._hang_up()
        process = self._process
        if process is not None:
            try:
                process.wait(drain_s + 1.0)  # the child limits its own draining
            except subprocess.TimeoutExpired:
                process.kill()
        if self._watcher is not None:
            self._watcher.join(timeout=2.0)
        if self._here is not None:
            self._here.close(drain_s=drain_s)

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts since the start, summed over this process and its children's last reports."""
        own = {} if self._here is None else self._here.snapshot()
        with self._lock:
            parts = (self._reported, self._of_the_dead, own)
            counts = {name: sum(part.get(name, 0) for part in parts) for name in _COUNTS}
        # Only this process knows how many records came in; a child counts the files that it was told about.
        return counts | {
            "accepted": self._accepted + own.get("accepted", 0),
            "unspooled": own.get("unspooled", 0),
        }

    def _writer_here(self) -> AnswerWriter:
        with self._lock:
            if self._here is None:
                self._here = self._make_here()
                self._here.start()
            return self._here

    def _watch(self) -> None:
        deaths = 0
        while not self._closing.is_set():
            began = time.monotonic()
            reason = self._one_life()
            if self._closing.is_set():
                return
            if time.monotonic() - began >= _LONG_LIFE_S:
                deaths = 0
            deaths += 1
            log(Event.SUMMARY_WRITER_DIED, reason=reason, failures=deaths)
            if deaths == _DEATHS_IN_A_ROW:
                self._writer_here()  # its replay writes the waiting records; the child may still recover
            self._closing.wait(_PAUSES.pause_s(deaths))

    def _one_life(self) -> str:
        # Starts a child, reads its reports until it ends, and returns how it ended.
        heard, tells = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "service.answers_kept.writer_worker", str(tells)],
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
            process.stdin.write(current_account_key().hex().encode() + b"\n")
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
    # Only the settings that writing needs. Of the service's keys the child gets that of account hashes alone, through the pipe:
    # it finds customers who were erased. AWS credentials are in the environment.
    wanted = (
        "environment",
        "stage",
        "shared_table",
        "aws_region",
        "aws_endpoint",
        "store_timeout_s",
        "summaries_table",
        "outbox_table",
        "answers_table",
        "summary_days",
        "archive_bucket",
        "spool_max_mb",
        "log_level",
    )
    flat = settings.flat()
    given = {name: flat[name] for name in wanted if name in flat}
    return json.dumps(given | {"spool_dir": str(settings.spool_folder)}).encode()


def _python_path() -> list[str]:
    # -P stops the child from importing modules out of the current folder.
    inherited = os.environ.get("PYTHONPATH")
    return [str(_PACKAGE_ROOT), *([inherited] if inherited else [])]
