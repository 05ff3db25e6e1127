"""One local AWS (ministack) for test after test of a process: to start one takes two seconds, to empty it a tenth of one."""

import socket
import urllib.request

from service.kit.settings import Settings
from service.local import aws


def start(state_dir, **changes):
    """Start a local AWS of its own, which keeps its state in ``state_dir``; return settings, with ``changes``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings = _settings(state_dir, probe.getsockname()[1], **changes)
    assert aws.start(settings) is True
    return settings


def stop(settings):
    aws.ministack(settings).stop()


class OneAws:
    """Starts at the first use, and again if it has ended since."""

    def __init__(self, folder):
        self._folder, self._running = folder, None

    def emptied(self, state_dir, **changes):
        """Empty it of whatever was in it; return settings, with ``changes``, of what it holds then: the samples alone."""
        if self._running is None or aws.ministack(self._running).pid() is None:
            self._running = start(self._folder)
        settings = _settings(state_dir, self._running.local.aws_port, **changes)
        reset = urllib.request.Request(f"{aws.endpoint(settings)}/_ministack/reset", method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset).close()
        aws.load(settings)
        return settings

    def stop(self):
        if self._running is not None:
            stop(self._running)


def _settings(state_dir, port, **changes):
    fields = {"state_dir": state_dir, "local_aws_port": port, "store_timeout_s": 10.0}
    # On a busy machine the loop is late, and a crowded service answers without its model.
    settings = Settings(**fields | {"crowded_from_s": 0.0} | changes)
    return settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
