"""Starts, recognises and stops background processes, with a pid file and a log file for each."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.kit.frame.errors import ConfigurationError

_POLL_S = 0.05
_LOG_TAIL_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    pid: int
    argv: tuple[str, ...]
    env: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One background program: ``argv`` runs it, ``env`` adds to the environment, ``run_dir`` holds pid file and log."""

    name: str
    argv: tuple[str, ...]
    run_dir: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def pid_file(self) -> Path:
        """The file with pid, command line and environment variables of the started program, as JSON."""
        return self.run_dir / f"{self.name}.json"

    @property
    def log_file(self) -> Path:
        """The file to which standard output and error of the program are appended."""
        return self.run_dir / f"{self.name}.log"

    def pid(self) -> int | None:
        """Return the pid of the running program; None if it has ended, even if another program has its pid now."""
        record = self._record()
        return record.pid if record is not None and _is_running(record) else None

    def same_settings(self) -> bool:
        """Return whether the recorded program was started with this command line and these variables."""
        record = self._record()
        return record is None or (record.argv == self.argv and record.env == dict(self.env))

    def start(self) -> bool:
        """Start the program unless it runs; return whether it was started. It outlives this process.

        Raises:
            ConfigurationError: the program file does not exist.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if self.pid() is not None:
                return False
            log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            # posix_spawn instead of Popen, which warns about a child that is still running when the object is deleted.
            try:
                pid = os.posix_spawn(
                    self.argv[0],
                    self.argv,
                    {**os.environ, **self.env},
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), log, 0o600),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                    ],
                    setsid=True,
                )
            except FileNotFoundError as err:
                raise ConfigurationError(f"{self.name}: there is no program {self.argv[0]!r}") from err
            record = {"pid": pid, "argv": list(self.argv), "env": dict(self.env)}
            self.pid_file.write_text(json.dumps(record), encoding="utf-8")
            self._wait_for_exec(pid)
            return True

    def _wait_for_exec(self, pid: int) -> None:
        # posix_spawn returns slightly before the kernel shows the new command line, by which `pid` recognises the program.
        deadline = time.monotonic() + 1.0
        while self.pid() is None and _exists(pid) and time.monotonic() < deadline:
            time.sleep(0.001)

    def stop(self, *, grace_s: float = 10.0) -> bool:
        """End the program: SIGTERM, and SIGKILL to its process group after ``grace_s``; return whether it ran.

        It does not signal a pid that another program has now.
        """
        if not self.run_dir.is_dir():
            return False
        with self._lock():
            pid = self.pid()
            if pid is not None:
                _signal(pid, signal.SIGTERM)
                deadline = time.monotonic() + grace_s
                while self.pid() is not None and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                if self.pid() is not None:
                    _signal(-pid, signal.SIGKILL)
                    while self.pid() is not None:
                        time.sleep(_POLL_S)
            self.pid_file.unlink(missing_ok=True)
            return pid is not None

    def log_tail(self) -> str:
        """Return the last lines of the log, for a message to the user."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _record(self) -> "_Record | None":
        try:
            record = json.loads(self.pid_file.read_text(encoding="utf-8"))
            return _Record(pid=int(record["pid"]), argv=tuple(record["argv"]), env=dict(record["env"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None  # a half-written file; if its program runs, `ensure_running` finds the port taken

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # Two `omni up` at the same time must not start two programs.
        with (self.run_dir / f"{self.name}.lock").open("w", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs ``python -m module`` with this interpreter.

    It passes ``-P``, because the working directory may contain another package of the same name.
    """
    return (sys.executable, "-P", "-m", module, *arguments)


def _is_running(record: _Record) -> bool:
    pid = record.pid
    _reap(pid)
    if not _exists(pid):
        return False
    try:
        found = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        # Without /proc (macOS) the pid must suffice. With /proc, the process ended between the two checks.
        return not Path("/proc/self/cmdline").exists()
    # A process that has ended but was not reaped has an empty command line.
    return tuple(part.decode(errors="replace") for part in found.split(b"\0")[:-1]) == record.argv


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False  # PermissionError: a process of another user has this pid now
    return True


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # started by another process than this one
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        if pid < 0:
            os.killpg(-pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass
