"""``python -m weakened DEFENCE MODULE ...``: runs a module with one defence taken away, to see that an attack notices."""

import asyncio
import runpy
import sys


def connections_unbounded():
    import uvicorn.protocols.http.httptools_impl

    import service.api.http.connections

    plain = uvicorn.protocols.http.httptools_impl.HttpToolsProtocol
    service.api.http.connections.bounded_protocol = lambda limits: plain


def newcomers_refused_when_full():
    from service.api.http.connections import Peers

    enter = Peers.enter
    Peers.enter = lambda self, connection, peer: (
        len(self._by_peer.get(peer, ())) < self.most_per_peer and enter(self, connection, peer)
    )


def two_lengths_accepted():
    from service.api.http.connections import BoundedProtocol

    made = BoundedProtocol.connection_made

    def connection_made(self, transport):
        made(self, transport)
        self.parser.set_dangerous_leniencies(lenient_chunked_length=True)

    BoundedProtocol.connection_made = connection_made


def signatures_of_tokens_unchecked():
    import jwt

    decode = jwt.decode
    jwt.decode = lambda text, key, **more: decode(text, options={"verify_signature": False})


def wrong_values_repeated():
    import service.api.http.problems

    service.api.http.problems.message_of = lambda error: f"{error['msg']}: {error.get('input')}"


def addresses_fetched():
    from service.api.http import limits

    read = limits._read

    async def read_and_fetch(scope, receive, limit):
        body = await read(scope, receive, limit)
        for word in (body or b"").decode().split('"'):
            if word.startswith("http://"):
                host, port = word.removeprefix("http://").partition("/")[0].split(":")
                (await asyncio.open_connection(host, int(port)))[1].close()
        return body

    limits._read = read_and_fetch


def damaged_files_end_the_start():
    import service.core.release.registry

    service.core.release.registry.RegistryError = type("Nothing", (Exception,), {})


def signatures_of_releases_unchecked():
    from securesystemslib.dsse import Envelope

    Envelope.verify = lambda self, keys, threshold: {keys[0].keyid: keys[0]}


def escape_codes_printed():
    import service.kit.frame.display.inert
    import service.kit.frame.display.terminal

    service.kit.frame.display.terminal.visible = service.kit.frame.display.inert.visible = lambda text: text


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
