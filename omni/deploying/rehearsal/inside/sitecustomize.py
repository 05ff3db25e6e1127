"""Loaded by every Python process of the rehearsal, and by none else: names and addresses of a network that this machine has not.

``REHEARSAL_NAMES`` is a JSON file: a host's name (``*.`` before a domain for all below it) with the address and port, or the
address alone, that it stands for here. ``REHEARSAL_ADDRESS`` is the task's own address: "all interfaces" and "this machine" mean
this one. Standard library only, since it runs with other interpreters' packages, too.
"""

import json
import os
import pathlib
import socket
import sys
from typing import Any

_HERE = ("0.0.0.0", "", "127.0.0.1", "localhost")  # noqa: S104  means the task's own address
_found = socket.getaddrinfo
_bound = socket.socket.bind


def _place(host: str, port: Any) -> tuple[str, str] | None:
    names = json.loads(pathlib.Path(os.environ["REHEARSAL_NAMES"]).read_text(encoding="utf-8"))
    if (place := names.get(f"{host}:{port}")) is not None:
        address, _, other = place.rpartition(":")
        return address, other
    domain = host
    while domain:
        if (place := names.get(host if domain == host else f"*.{domain}")) is not None:
            address, _, other = place.partition(":")
            return address, other
        domain = domain.partition(".")[2]
    return None


def _getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    own = os.environ.get("REHEARSAL_ADDRESS")
    if own and name in _HERE:
        return _found(own, port, *rest, **more)
    place = _place(name.rstrip(".").lower(), port) if isinstance(name, str) else None
    if place is not None:
        return _found(place[0], place[1] or port, *rest, **more)
    return _found(host, port, *rest, **more)


def _bind(self: socket.socket, address: Any) -> None:
    own = os.environ.get("REHEARSAL_ADDRESS")
    if own and isinstance(address, tuple) and address[0] in _HERE:
        address = (own, *address[1:])
    _bound(self, address)


if "REHEARSAL_NAMES" in os.environ:
    socket.getaddrinfo = _getaddrinfo
    socket.socket.bind = _bind  # type: ignore[assignment, method-assign]
    # uvloop resolves names by itself; without it, uvicorn takes asyncio's loop, which asks the function above.
    sys.modules["uvloop"] = None  # type: ignore[assignment]
