"""Runs a piece of a pipeline in a process that kills itself by SIGKILL, which nothing can catch, at a chosen step.

The process is forked from a server that has the imports done: a kill costs what was killed, not another start of Python.
"""

import json
import multiprocessing
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

from service.kit.aws.event_queue import EventQueue
from service.kit.settings import Settings

_NEEDED = [
    "service.calls.worker.build",
    "service.loading.build",
    "service.loading.checks",
    "boto3",
    "pandas",
    "pandera.pandas",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_NEEDED)
_HANG_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The ``nth`` call of ``step`` ("Owner.method") does not return: the process dies "before" or "after" its effect."""

    step: str
    when: str
    nth: int


def run_deadly(target, settings, *, folder, kill=None, owners=()):
    """Run ``target(settings)`` in a process of its own, which ends whole or by ``kill``; anything else is an error.

    Returns whether it was killed, and what it received from queues: see ``put_back``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held, log = folder / "held.txt", folder / "error.txt"
    held.write_text("", encoding="utf-8")
    given = (target, settings.flat(), kill, owners, held, log)
    process = _CONTEXT.Process(target=_body, args=given)
    process.start()
    process.join(_HANG_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"{target.__name__} did not end within {_HANG_S:.0f} s")
    killed = process.exitcode == -signal.SIGKILL
    assert killed or process.exitcode == 0, log.read_text(encoding="utf-8") if log.exists() else process.exitcode
    process.close()
    return killed, [tuple(json.loads(line)) for line in held.read_text(encoding="utf-8").splitlines()]


def put_back(sqs, held):
    """Let the time pass after which others see what a killed process received; what it deleted stays deleted."""
    for url, receipts in held:
        for start in range(0, len(receipts), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for number, receipt in enumerate(receipts[start : start + 10])
            ]
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _body(target, settings, kill, owners, held, log):
    try:
        _note_receipts(held)
        if kill is not None:
            _die_at(kill, owners)
        target(Settings(**settings))
    except BaseException:
        Path(log).write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _note_receipts(held):
    real = EventQueue.receive

    def receive(self, **options):
        messages = real(self, **options)
        with held.open("a", encoding="utf-8") as file:
            file.write(json.dumps([self._address(), [message.receipt for message in messages]]) + "\n")
        return messages

    EventQueue.receive = receive


def _die_at(kill, owners):
    lock, left = threading.Lock(), kill.nth

    def deadly(owner, name):
        real = getattr(owner, name)

        def wrapped(*args, **kwargs):
            nonlocal left
            with lock:  # calls run in threads: which one is the fatal one is settled before it begins
                left -= 1
                fatal = left == 0
            if fatal and kill.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if fatal and kill.when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, wrapped)

    for owner in owners:
        if kill.step.startswith(f"{owner.__name__}."):
            deadly(owner, kill.step.partition(".")[2])
