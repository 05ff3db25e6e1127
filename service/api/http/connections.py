"""Bounds what a connection may cost before its request is known: header bytes and count, time, and connections per peer.

uvicorn bounds none of these with httptools, and every check of ours runs after a request's headers are complete.
"""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.kit.settings import ServingSettings
from service.kit.telemetry.log import Event, log

# Requests that a client may send before it has the answer to the first; browsers and our clients never do.
_MAX_PIPELINED = 8
# After a response: for the rest of a body that nobody reads, and for a client that does not take what is left to send.
_LINGER_S = 5.0
# Chunked encoding needs six bytes for one; a message that is longer than all of its allowed content is no request of ours.
_OVERHEAD = 8
_SPARE_FILES = 256  # file descriptors for the stores, the models and the disk


class _Refused(Exception):
    """Ends the parser's run; the connection has been refused."""


@dataclass(slots=True, kw_only=True)
class Peers:
    """The open connections of a process, by the address of the peer, oldest first."""

    most: int
    most_per_peer: int
    _open: OrderedDict["BoundedProtocol", str] = field(default_factory=OrderedDict)
    _by_peer: dict[str, OrderedDict["BoundedProtocol", None]] = field(default_factory=dict)

    def enter(self, connection: "BoundedProtocol", peer: str) -> bool:
        """Count ``connection`` and return whether it may stay.

        At a limit, the connection that has been idle for longest makes room: of the same peer at the peer's limit, of the
        peer with the most connections at the process's. Without an idle one the new connection is refused.
        """
        mine = self._by_peer.get(peer, OrderedDict())
        crowd = mine
        if len(mine) < self.most_per_peer and len(self._open) >= self.most:
            crowd = max(self._by_peer.values(), key=len, default=mine)
        if len(mine) >= self.most_per_peer or len(self._open) >= self.most:
            idle = next((each for each in crowd if each.is_idle), None)
            if idle is None:
                return False
            self.leave(idle)
            idle.abort()
        self._open[connection] = peer
        self._by_peer.setdefault(peer, OrderedDict())[connection] = None
        return True

    def used(self, connection: "BoundedProtocol") -> None:
        """Note that ``connection`` has carried a request: it is now the newest."""
        if (peer := self._open.get(connection)) is not None:
            self._by_peer[peer].move_to_end(connection)

    def leave(self, connection: "BoundedProtocol") -> None:
        """Forget a connection that has ended."""
        peer = self._open.pop(connection, None)
        if peer is not None:
            del self._by_peer[peer][connection]
            if not self._by_peer[peer]:
                del self._by_peer[peer]


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounds; ``bounded_protocol`` makes the class that uvicorn is given."""

    limits: ServingSettings
    peers: Peers

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives; nothing is counted before the connection is made."""
        super().__init__(*args, **kwargs)
        self._in_head = self._in_body = False
        self._head_bytes = self._parsed_bytes = self._message_bytes = self._header_count = 0
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """End the connection at once, whatever is still to be sent."""
        self._stop_timers()
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection above the limits; the first request must arrive in time."""
        super().connection_made(transport)
        if self.peers.enter(self, self.client[0] if self.client else "unix"):
            self._wait(self.limits.header_timeout_s, self._head_is_late)
            return
        self._refused = True
        log(Event.CONNECTION_REFUSED, reason="too_many_connections")
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self._stop_timers()
        self.peers.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse in pieces no larger than the limit, so that no more than that is held before it is counted."""
        limit = self.limits.max_header_bytes
        for start in range(0, len(data), limit):
            if self._refused or self.transport.is_closing():
                return
            piece = data[start : start + limit]
            was_in_head, was_idle = self._in_head, not self._in_head and not self._in_body
            super().data_received(piece)
            self._message_bytes += len(piece)
            if self._in_head:
                # A head that begins behind a body in this piece is counted from the next piece on.
                self._head_bytes = self._head_bytes + len(piece) if was_in_head else len(piece) if was_idle else 0
                if self._head_bytes > limit:
                    self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            elif self._message_bytes > limit + _OVERHEAD * self.limits.max_body_bytes:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "message_too_large")
        if self._in_head and self._timer is None and not self._refused:
            self._wait(self.limits.header_timeout_s, self._head_is_late)

    def on_message_begin(self) -> None:
        """Begin to count a message."""
        self._in_head, self._in_body = True, False
        self._head_bytes = self._parsed_bytes = self._message_bytes = self._header_count = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the path as part of the headers."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; a trailer behind a chunked body counts too."""
        self._header_count += 1
        if self._header_count > self.limits.max_headers:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers")
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on, unless too many wait behind one that is being answered."""
        if self.parser.get_http_version() == "1.1" and not any(name == b"host" for name, _ in self.headers):
            self._stop(HTTPStatus.BAD_REQUEST, "no_host")  # no body of the request before it: that one's answer stands
        self._in_head, self._in_body = False, True
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._stop(HTTPStatus.TOO_MANY_REQUESTS, "too_many_pipelined")
        self._wait(None)
        self.peers.used(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is complete."""
        self._in_body = False
        if self.is_idle:
            self._wait(None)  # it came after the response: the linger ends, the keep-alive goes on
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the rest of a body that nobody reads a short time, so that the client reads its answer; then close."""
        super().on_response_complete()
        if self._in_body and not self.pipeline and not self.transport.is_closing():
            self._wait(_LINGER_S, self._close)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also one whose client does not take the rest of an answer."""
        self._close()

    def pause_writing(self) -> None:
        """The client does not read: it has a limited time to go on."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.write_timeout_s, self._reader_is_late)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; a refusal has been answered already."""
        if not self._refused:
            self._refuse(HTTPStatus.BAD_REQUEST, "not_http")

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > self.limits.max_header_bytes:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")

    def _stop(self, status: HTTPStatus, reason: str) -> None:
        self._refuse(status, reason)
        raise _Refused  # the parser wraps it, and `data_received` of uvicorn comes to `send_400_response`

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer ``status`` and close; while another request is being answered, just close."""
        self._refused = True
        log(Event.CONNECTION_REFUSED, reason=reason, status=status.value)
        if self._in_body and self.cycle is not None and not self.pipeline and not self.cycle.response_started:
            # The body of the request that waits for it: its answer is this one, and what the service says is dropped.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif not self.is_idle:
            self.abort()
            return
        text = f"{status.value} {status.phrase}: {_REMEDIES[reason]}\n".encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        self.transport.write(f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode() + text)
        self._close()

    def _head_is_late(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "headers_too_slow")
        else:
            self._close()  # it never began a request: nothing to answer, nothing to log

    def _reader_is_late(self) -> None:
        log(Event.CONNECTION_REFUSED, reason="reads_too_slowly")
        self.abort()

    def _close(self) -> None:
        """Close once everything is sent, and at the latest after a short time."""
        self._stop_timers()
        if not self.transport.is_closing():
            self.transport.close()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.abort)

    def _wait(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and then is not None:
            self._timer = self.loop.call_later(seconds, then)

    def _stop_timers(self) -> None:
        self._unset_keepalive_if_required()
        self._wait(None)
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


_REMEDIES = {
    "not_http": "this is no HTTP request",
    "no_host": "name the service in the header Host",
    "headers_too_large": "send fewer or shorter headers",
    "too_many_headers": "send fewer headers",
    "too_many_pipelined": "wait for an answer before the next request",
    "message_too_large": "send a smaller request",
    "headers_too_slow": "the headers did not arrive in time",
}


def bounded_protocol(limits: ServingSettings) -> type[asyncio.Protocol]:
    """Return the protocol class for ``uvicorn.Config(http=...)``; its connections are counted together."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = min(limits.max_connections, max(files - _SPARE_FILES, 16))
    peers = Peers(most=most, most_per_peer=min(limits.max_connections_per_peer, most))
    # uvicorn's protocol is no subclass of asyncio.Protocol's transport types, but is used as one.
    return cast(
        "type[asyncio.Protocol]", type("BoundedProtocol", (BoundedProtocol,), {"limits": limits, "peers": peers})
    )
