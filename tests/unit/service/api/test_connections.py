"""What a connection may cost before its request is known: bytes, headers, time, and connections of one peer."""

import asyncio

import pytest
import uvicorn
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from service.api.http.connections import bounded_protocol
from service.kit.settings import Settings

HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"


class Loop:
    """Timers by hand: ``pass_time`` runs those that are due."""

    def __init__(self):
        self.now, self.timers, self.tasks = 0.0, [], []

    def call_later(self, seconds, then, *args):
        timer = Timer(self.now + seconds, then, args)
        self.timers.append(timer)
        return timer

    def create_task(self, coroutine, **_):
        self.tasks.append(coroutine)
        coroutine.close()
        return Task()

    def pass_time(self, seconds):
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.at <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.then(*timer.args)

    @property
    def waiting(self):
        return [timer for timer in self.timers if not timer.cancelled]


class Timer:
    def __init__(self, at, then, args):
        self.at, self.then, self.args, self.cancelled = at, then, args, False

    def cancel(self):
        self.cancelled = True


class Task:
    def add_done_callback(self, _):
        pass


class Transport(asyncio.Transport):
    def __init__(self, peer):
        super().__init__({"peername": (peer, 1), "sockname": ("127.0.0.1", 8080)})
        self.sent, self.closed, self.aborted, self.paused = b"", False, False, False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closed or self.aborted

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    @property
    def status(self):
        return int(self.sent.split()[1]) if self.sent else None


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def connect(loop):
    async def app(scope, receive, send):
        pass

    def start(**limits):
        kind = bounded_protocol(Settings(**limits).serving)
        config = uvicorn.Config(app, http=kind, log_config=None, timeout_keep_alive=360)
        config.load()
        state = ServerState()

        def another(peer="10.0.0.1"):
            protocol = kind(config=config, server_state=state, app_state={}, _loop=loop)
            protocol.connection_made(Transport(peer))
            return protocol, protocol.transport

        return another

    return start


def answer(protocol):
    """The response that the application would have sent."""
    protocol.cycle.response_complete = True
    protocol.on_response_complete()


def test_headers_up_to_the_limit_are_handed_on(connect, loop):
    protocol, transport = connect(max_header_bytes=4096)()
    protocol.data_received(HEAD + b"X: " + b"a" * 4000 + b"\r\n\r\n")
    assert (len(loop.tasks), transport.sent, transport.closed) == (1, b"", False)


@pytest.mark.parametrize("step", [1, 100, 4096, 1_000_000])
def test_larger_headers_are_refused_however_they_arrive(connect, loop, step):
    protocol, transport = connect(max_header_bytes=4096)()
    text, sent = HEAD + b"X: " + b"a" * 100_000, 0
    while not transport.is_closing() and sent < len(text):
        protocol.data_received(text[sent : sent + step])
        sent += step
    assert (transport.status, transport.closed, loop.tasks) == (431, True, [])
    assert sent <= 4096 + 2 * step


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 100_000,
        HEAD + b"".join(b"H%d: 1\r\n" % number for number in range(101)),
        HEAD + b"".join(b"A: \r\n" for _ in range(101)) + b"\r\n",
    ],
    ids=["path", "name", "count", "count-complete"],
)
def test_every_part_of_the_head_is_bounded(connect, loop, head):
    protocol, transport = connect(max_header_bytes=4096)()
    protocol.data_received(head)
    assert (transport.status, transport.closed, loop.tasks) == (431, True, [])


def test_a_second_request_on_the_connection_is_bounded_too(connect, loop):
    protocol, transport = connect(max_header_bytes=4096)()
    protocol.data_received(HEAD + b"\r\n")
    answer(protocol)
    protocol.data_received(HEAD + b"X: " + b"a" * 5000)
    assert (transport.status, transport.closed, len(loop.tasks)) == (431, True, 1)


@pytest.mark.parametrize(
    "rest",
    [b"0\r\nX: " + b"a" * 50_000, b"1;" + b"x" * 50_000, b"0\r\n" + b"".join(b"T: 1\r\n" for _ in range(101))],
    ids=["trailer", "extension", "trailers"],
)
def test_what_stands_around_a_chunked_body_is_bounded(connect, rest):
    protocol, transport = connect(max_header_bytes=4096, max_body_bytes=1024)()
    protocol.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n" + rest)
    assert transport.is_closing()


@pytest.mark.acceptance("event.CONNECTION_REFUSED")
def test_headers_that_drip_are_ended_in_time(connect, loop):
    protocol, transport = connect(header_timeout_s=10)()
    with capture_logs() as lines:
        for byte in HEAD:
            if not transport.is_closing():
                protocol.data_received(bytes([byte]))
                loop.pass_time(1)
    assert [(line["event"], line["reason"]) for line in lines] == [("CONNECTION_REFUSED", "headers_too_slow")]
    assert (transport.status, transport.closed) == (408, True)
    loop.pass_time(60)
    assert transport.aborted  # it did not take what was left to send either


def test_a_connection_that_never_sends_anything_is_closed(connect, loop):
    _, transport = connect(header_timeout_s=10)()
    loop.pass_time(10)
    assert (transport.closed, transport.sent) == (True, b"")


def test_dripping_headers_of_a_later_request_are_ended_in_time(connect, loop):
    protocol, transport = connect(header_timeout_s=10)()
    protocol.data_received(HEAD + b"\r\n")
    answer(protocol)
    loop.pass_time(5)
    protocol.data_received(b"G")
    loop.pass_time(9)
    assert not transport.is_closing()
    loop.pass_time(1)
    assert (transport.status, transport.closed) == (408, True)


def test_a_request_being_answered_has_no_timer(connect, loop):
    protocol, transport = connect()()
    protocol.data_received(POST + b"Content-Length: 2\r\n\r\n{}")
    assert loop.waiting == []
    loop.pass_time(1000)
    assert not transport.is_closing()


def test_a_body_that_nobody_reads_does_not_keep_the_connection(connect, loop):
    protocol, transport = connect()()
    protocol.data_received(POST + b"Content-Length: 1000000000\r\n\r\n")
    answer(protocol)
    for _ in range(10):
        if not transport.is_closing():
            protocol.data_received(b"a")
            loop.pass_time(1)
    assert transport.closed


def test_a_body_that_arrives_after_its_answer_keeps_the_connection(connect, loop):
    protocol, transport = connect()()
    protocol.data_received(POST + b"Content-Length: 4\r\n\r\nab")
    answer(protocol)
    protocol.data_received(b"cd")
    loop.pass_time(60)
    assert not transport.is_closing()
    protocol.data_received(HEAD + b"\r\n")
    assert len(loop.tasks) == 2


def test_an_unread_body_is_bounded_in_bytes(connect):
    protocol, transport = connect(max_header_bytes=4096, max_body_bytes=1024)()
    protocol.data_received(POST + b"Content-Length: 1000000000\r\n\r\n")
    answer(protocol)
    protocol.data_received(b"a" * 50_000)
    assert transport.is_closing()


def test_pipelined_requests_are_bounded(connect, loop):
    protocol, transport = connect()()
    protocol.data_received((HEAD + b"\r\n") * 1000)
    assert transport.aborted  # the first is being answered: a refusal would stand in the middle of its answer
    assert len(protocol.pipeline) <= 8


def test_a_client_that_does_not_read_is_ended_in_time(connect, loop):
    protocol, transport = connect(write_timeout_s=30)()
    protocol.data_received(HEAD + b"\r\n")
    protocol.pause_writing()
    loop.pass_time(29)
    assert not transport.is_closing()
    loop.pass_time(1)
    assert transport.aborted


def test_a_client_that_reads_slowly_goes_on(connect, loop):
    protocol, transport = connect(write_timeout_s=30)()
    protocol.data_received(HEAD + b"\r\n")
    for _ in range(5):
        protocol.pause_writing()
        loop.pass_time(29)
        protocol.resume_writing()
    assert not transport.is_closing()


def test_a_peer_s_idle_connections_make_room_for_its_own_only(connect):
    another = connect(max_connections_per_peer=3)
    other = another("10.0.0.2")[1]
    first, second, third, fourth = (another()[1] for _ in range(4))
    assert [each.aborted for each in (first, second, third, fourth)] == [True, False, False, False]
    assert not other.aborted


def test_a_connection_that_is_being_answered_is_never_closed_for_another(connect):
    another = connect(max_connections_per_peer=2)
    busy = [another() for _ in range(2)]
    for protocol, _ in busy:
        protocol.data_received(HEAD + b"\r\n")
    assert another()[1].aborted
    assert [transport.aborted for _, transport in busy] == [False, False]


def test_the_crowd_makes_room_when_the_process_is_full(connect):
    another = connect(max_connections=16, max_connections_per_peer=16)
    quiet = another("10.0.0.2")[1]
    crowd = [another("10.0.0.1")[1] for _ in range(15)]
    newcomer = another("10.0.0.3")[1]
    assert (quiet.aborted, newcomer.aborted) == (False, False)
    assert [transport.aborted for transport in crowd].count(True) == 1


def test_ended_connections_are_not_counted(connect):
    another = connect(max_connections_per_peer=1)
    for _ in range(5):
        protocol, transport = another()
        protocol.data_received(HEAD + b"\r\n")
        assert not transport.aborted
        protocol.connection_lost(None)


def test_what_is_no_http_is_answered_400(connect):
    protocol, transport = connect()()
    protocol.data_received(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert (transport.status, transport.closed) == (400, True)


def test_a_request_that_names_no_host_is_answered_400(connect):
    connection, transport = connect()()
    connection.data_received(b"GET /healthz HTTP/1.1\r\n\r\n")
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    assert b"Host" in transport.sent


def test_a_request_without_host_behind_another_takes_no_answer_from_it(connect):
    connection, transport = connect()()
    connection.data_received(HEAD + b"\r\n" + b"GET /healthz HTTP/1.1\r\n\r\n")
    assert not connection.cycle.disconnected
    assert (transport.sent, transport.aborted) == (b"", True)


def test_a_malformed_chunk_is_answered_400(connect, loop):
    connection, transport = connect()()
    connection.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nXYZ\r\n")
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    assert transport.closed
    assert connection.cycle.disconnected
