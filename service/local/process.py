"""Starts and stops the Bedrock stand-in as a child process that cannot outlive its parent."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
STOP_GRACE_S = 5.0
LOG_TAIL_LINES = 20


class LocalBedrockError(RuntimeError):
    """The stand-in did not start; the message gives the reason and the last lines of its log."""


class LocalBedrock:
    """A running stand-in: `with LocalBedrock() as bedrock:` or `async with`.

    Args:
        arguments: further command-line arguments of `python -m service.local.bedrock`, or of `module` in a subclass.
        log: the file for the child's log; None uses a temporary file, which `stop` deletes.
        ready_timeout_s: the time limit for the socket to listen, in seconds. It does not cover loading the model: with
            `--preload` the model loads in the background, and the first calls wait for it.
    """

    module: ClassVar[str] = "service.local.bedrock"

    def __init__(
        self, arguments: Sequence[str] = (), *, log: Path | None = None, ready_timeout_s: float = 10.0
    ) -> None:
        self._arguments = tuple(arguments)
        self._ready_timeout_s = ready_timeout_s
        self._own_log = log is None
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The base address, for `endpoint_url` or `aws_bedrock_runtime_endpoint`."""
        return self._url

    @property
    def pid(self) -> int:
        """The child's process id.

        Raises:
            LocalBedrockError: before `start`.
        """
        return self._started().pid

    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.poll() is None

    def exit_description(self) -> str:
        """How the child ended, as text for a message to the user; otherwise `running` or `not started`."""
        if self._process is None:
            return "not started"
        code = self._process.poll()
        if code is None:
            return "running"
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"

    def start(self) -> Self:
        """Start the child and wait until it listens.

        Raises:
            LocalBedrockError: it ended, did not listen in time, or was started before.
        """
        if self._process is not None:
            raise LocalBedrockError("the stand-in was started before: make a new LocalBedrock")
        if self._log is None:
            descriptor, name = tempfile.mkstemp(prefix="local-bedrock-", suffix=".log")
            os.close(descriptor)
            self._log = Path(name)
        path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # -P, because the caller's working directory may contain another package named `service`.
                [sys.executable, "-P", "-m", self.module, "--die-with-stdin", *self._arguments],
                # Nothing is written to this pipe: when it closes, the child knows that the parent has ended.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                # A new session, so that Ctrl-C in the terminal reaches only the parent, which then stops the child cleanly.
                start_new_session=True,
            )
        try:
            self._url = self._read_ready_line(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the child, with SIGKILL after a few seconds, and close its pipes. Safe to repeat."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if self._own_log and self._log is not None:
            self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LocalBedrockError("the stand-in was not started: call start() or use `with`")
        return self._process

    def _read_ready_line(self, process: subprocess.Popen[bytes]) -> str:
        if process.stdout is None:
            raise LocalBedrockError("the stand-in has no standard output")
        deadline = time.monotonic() + self._ready_timeout_s
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                raise self._failure(f"did not listen within {self._ready_timeout_s:g} s")
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                process.wait()
                raise self._failure(self.exit_description())
            line += piece
        try:
            return str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError) as err:
            raise self._failure(f"printed {line!r} instead of its address") from err

    def _failure(self, what: str) -> LocalBedrockError:
        tail = ""
        if self._log is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        return LocalBedrockError(f"the stand-in {self.module} {what}: {tail or 'its log is empty'}")


class LocalChatServer(LocalBedrock):
    """A running server of OpenAI's and Anthropic's wires; `arguments` are those of `python -m service.local.openai`."""

    module = "service.local.openai"
