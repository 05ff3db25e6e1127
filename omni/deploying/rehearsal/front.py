"""What stands in front of the local AWS and of the service's tasks: AWS's own host names with IAM, and the balancer."""

import asyncio
import contextlib
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from omni.deploying.rehearsal.account import ACCOUNT
from omni.deploying.rehearsal.rights import AwsRequest, PolicyStatement, allows

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")  # in a header, or in a presigned address
_BUCKET = re.compile(r"^(.+)\.s3[.-]")
_JSON = ("dynamodb", "kms", "sqs", "secretsmanager", "ssm", "logs", "ecs", "comprehend", "redshift-data")
# Headers that belong to one connection, not to a request.
OF_CONNECTION = frozenset({"connection", "content-length", "transfer-encoding", "host", "expect", "keep-alive"})
EXPIRED = "AKIAEXPIRED"
_Made = TypeVar("_Made")


class Loop:
    """An event loop in a thread of its own, which servers of the rehearsal run on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rehearsal", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Made]) -> _Made:
        """Run ``work`` there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """End the loop with all that runs on it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class AwsFront:
    """AWS's host names over TLS: lets a request pass to the local AWS if the role of its access key allows it.

    ``roles`` are the statements of each access key, and an unknown key is refused. ``refused`` counts what was refused, by role
    and right; ``asked`` holds the services that each key asked. ``quota`` is what Service Quotas says,
    which the local AWS lacks.
    """

    def __init__(self, endpoint: str, certificate: Path) -> None:
        self.roles: dict[str, Sequence[PolicyStatement]] = {}
        self.refused: Counter[str] = Counter()
        self.asked: dict[str, set[str]] = {}
        self.quota = 1000.0
        self._endpoint, self._certificate = endpoint, certificate
        self._session: aiohttp.ClientSession | None = None

    async def start(self, address: str, port: int) -> None:
        """Listen on ``address``."""
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60))
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        await web.TCPSite(self._runner, address, port, ssl_context=context).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        scope = _SCOPE.search(request.headers.get("Authorization") or unquote(request.path_qs))
        if scope is None:
            return web.json_response({"__type": "MissingAuthenticationToken", "message": "no signature"}, status=403)
        key, region, service = scope.groups()
        bucket = _BUCKET.match(request.host) if service == "s3" else None
        path = unsigned(request.path_qs)
        target = f"/{bucket[1]}{path}" if bucket else path
        headers = {name.lower(): value for name, value in request.headers.items()}
        # The local AWS looks up the keys of presigned addresses, and knows only its own.
        headers.setdefault("authorization", f"AWS4-HMAC-SHA256 {scope[0]}")
        asked = AwsRequest(
            service=service,
            region=region,
            method=request.method,
            target=target,
            headers=headers,
            body=await request.read(),
        )
        self.asked.setdefault(key, set()).add(service)
        problem = self._problem(key, asked)
        if problem is not None:
            return _refusal(service, *problem)
        if service == "servicequotas":
            return web.json_response({"Quota": {"Value": self.quota}})
        kept = {name: value for name, value in headers.items() if name not in OF_CONNECTION}
        assert self._session is not None
        async with self._session.request(
            asked.method, f"{self._endpoint}{target}", headers=kept, data=asked.body, allow_redirects=False
        ) as answer:
            given = {name: value for name, value in answer.headers.items() if name.lower() not in OF_CONNECTION}
            if asked.method == "HEAD" and "Content-Length" in answer.headers:
                given["Content-Length"] = answer.headers["Content-Length"]  # of what GET would return
            return web.Response(status=answer.status, headers=given, body=await answer.read())

    def _problem(self, key: str, asked: AwsRequest) -> tuple[str, str] | None:
        """Return the code and message of the refusal, None if the request may pass."""
        if key == EXPIRED:
            return "ExpiredTokenException", "The security token included in the request is expired"
        if key.isdigit():
            return None  # another account's owner: the local AWS keeps accounts apart
        if key not in self.roles:
            return "UnrecognizedClientException", "The security token included in the request is invalid"
        for need in asked.needs(ACCOUNT):
            if not allows(self.roles[key], need):
                self.refused[f"{key} may not {need}"] += 1
                return "AccessDeniedException", f"{key} is not authorized to perform: {need}"
        return None


def unsigned(target: str) -> str:
    """Return a path with its query, without what signs it there."""
    path, _, query = target.partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-"))
    return f"{path}?{kept}" if kept else path


def _refusal(service: str, code: str, message: str) -> web.Response:
    if service == "s3":
        code = "AccessDenied" if code == "AccessDeniedException" else code.removesuffix("Exception")
        return web.Response(status=403, content_type="application/xml",
                            text=f"<Error><Code>{code}</Code><Message>{message}</Message></Error>")  # fmt: skip
    if service in _JSON:
        return web.json_response({"__type": code, "message": message}, status=400)
    text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return web.Response(status=403, content_type="text/xml", text=text)


class Balancer:
    """A network load balancer's listener: connections go in turn to the targets that its health check found well.

    ``targets`` are hosts with ports by name; ``path`` and the counts are the target group's. A check follows the one before after
    ``interval_s``.
    """

    def __init__(self, path: str, *, well_after: int, ill_after: int, interval_s: float) -> None:
        self.targets: dict[str, tuple[str, int]] = {}
        self.well: set[str] = set()
        self._path, self._well_after, self._ill_after, self._interval_s = path, well_after, ill_after, interval_s
        self._turn = 0

    async def start(self, address: str, port: int) -> None:
        """Listen on ``address`` and begin to check."""
        self._server = await asyncio.start_server(self._connected, address, port, backlog=512)
        self._checking = asyncio.ensure_future(self._check_all())

    async def stop(self) -> None:
        """Stop listening and checking."""
        self._checking.cancel()
        self._server.close()

    async def _check_all(self) -> None:
        found: dict[str, tuple[bool, int]] = {}
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                for name, (host, port) in list(self.targets.items()):
                    answered = await self._answers(session, f"http://{host}:{port}{self._path}")
                    before, count = found.get(name, (answered, 0))
                    found[name] = (answered, count + 1 if before == answered else 1)
                    if found[name][1] >= (self._well_after if answered else self._ill_after):
                        (self.well.add if answered else self.well.discard)(name)
                self.well &= set(self.targets)
                await asyncio.sleep(self._interval_s)

    async def _answers(self, session: aiohttp.ClientSession, url: str) -> bool:
        try:
            async with session.get(url) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A balancer whose targets are all ill sends to all of them.
        names = sorted(self.well) or sorted(self.targets)
        self._turn += 1
        try:
            host, port = self.targets[names[self._turn % len(names)]]
            there = await asyncio.open_connection(host, port)
        except (OSError, ZeroDivisionError):
            writer.close()
            return
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def write_certificate(
    file: Path, names: Sequence[str], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Write a self-signed certificate for ``names`` (hosts, addresses) with its key, as PEM; nothing else trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def _general(name: str) -> x509.GeneralName:
        return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rehearsal")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.touch(mode=0o600)
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
