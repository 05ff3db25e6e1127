"""Checks programs on ports of this machine, and starts a daemon and waits until it is healthy."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any

from service.kit.frame.errors import ConfigurationError
from service.local.daemon import Daemon

HOST = "127.0.0.1"
_POLL_S = 0.05


def port_taken(port: int, host: str = HOST) -> bool:
    """Return whether a program listens on ``port``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def get_json(url: str, *, timeout_s: float = 1.0) -> dict[str, Any] | None:
    """Return the JSON object at ``url``, or None without a valid answer. Does not use a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            data = json.loads(answer.read())
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def ensure_running(
    daemon: Daemon, *, port: int, health_path: str, port_setting: str, timeout_s: float = 30.0
) -> tuple[bool, dict[str, Any]]:
    """Start ``daemon`` unless it runs, and wait until it answers.

    Returns:
        Whether this call started it, and the JSON object of its health check.

    Raises:
        ConfigurationError: another program uses the port, or the daemon has other settings, ends or does not answer.
    """
    if daemon.pid() is None and port_taken(port):
        raise ConfigurationError(
            f"port {port} is taken by another program, so {daemon.name} cannot start: "
            f"stop that program or choose another port with {port_setting}=<port>"
        )
    if daemon.pid() is not None and not daemon.same_settings():
        raise ConfigurationError(
            f"{daemon.name} runs with other settings (for example another port): stop it first with omni down"
        )
    started = daemon.start()
    url = f"http://{HOST}:{port}{health_path}"
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        health = get_json(url)
        if health is not None:
            return started, health
        if daemon.pid() is None:
            raise ConfigurationError(
                f"{daemon.name} ended while starting; the last lines of {daemon.log_file}:\n{daemon.log_tail()}"
            )
        time.sleep(_POLL_S)
    raise ConfigurationError(
        f"{daemon.name} does not answer on port {port} after {timeout_s:g} s; see {daemon.log_file}"
    )
