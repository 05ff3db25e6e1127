"""One local AWS (ministack) for test after test of a process: to start one takes two seconds, to empty it a tenth of one."""

import os
import socket
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

from service.kit.settings import REPO_ROOT, Settings
from service.local import aws
from service.local.daemon import python_argv
from service.local.loopback import ensure_running


def start(folder, /, **changes):
    """Start a local AWS of its own, which keeps its state in ``folder``; return settings, with ``changes``."""
    settings = _settings(folder, _free_port(), **changes)
    assert aws.start(settings) is True
    return settings


def stop(settings):
    aws.ministack(settings).stop()


class OneAws:
    """Starts at the first use, and again if it has ended since."""

    def __init__(self, folder):
        self._folder, self._daemon, self._port = folder, None, 0

    def emptied(self, folder, /, **changes):
        """Empty it of whatever was in it; return settings, with ``changes``, of what it holds then: the samples alone."""
        if self._daemon is None or self._daemon.pid() is None:
            self._start()
        settings = _settings(folder, self._port, **changes)
        reset = urllib.request.Request(f"{aws.endpoint(settings)}/_ministack/reset", method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset).close()
        aws.load(settings)
        return settings

    def stop(self):
        if self._daemon is not None:
            self._daemon.stop()

    def _start(self):
        self._port = _free_port()
        daemon = aws.ministack(_settings(self._folder, self._port))
        path = os.pathsep.join((str(Path(__file__).parent), str(REPO_ROOT)))
        self._daemon = replace(daemon, argv=python_argv("one_aws"), env={**daemon.env, "PYTHONPATH": path})
        ensure_running(self._daemon, port=self._port, health_path=aws.HEALTH_PATH, port_setting="the tests' own")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _settings(folder, port, /, **changes):
    fields = {"state_dir": folder, "local_aws_port": port, "store_timeout_s": 10.0}
    # On a busy machine the loop is late, and a crowded service answers without its model.
    settings = Settings(**fields | {"crowded_from_s": 0.0} | changes)
    return settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})


def main():
    """Run ministack, but delete no expired items: each minute it would, and many tests write items of a day long ago."""
    begin = threading.Thread.start
    threading.Thread.start = lambda thread: None if thread.name == "dynamodb-ttl-reaper" else begin(thread)
    from service.local import saved_aws

    saved_aws.main()


if __name__ == "__main__":
    main()
