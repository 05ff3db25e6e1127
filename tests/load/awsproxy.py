"""Stands between the service and its stores and lets them fail: throttled, down, or silent, per service and share of calls."""

import asyncio
import random
import threading

import aiohttp
from aiohttp import web

_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
_HOP = {"host", "content-length", "transfer-encoding", "connection"}


class AwsProxy:
    """Forwards to ``upstream``. ``rules`` maps a store to (kind, share); kinds: throttle, down, hang.

    Stores are ``dynamodb``, ``s3`` and, in place of the first where it has a rule, ``writes`` to DynamoDB.

    ``quiet_since`` is when a scenario ended its fault before its own end (epoch, s), else None.
    """

    def __init__(self, upstream, seed=0):
        self.upstream, self.rules, self.hits, self.quiet_since = upstream, {}, 0, None
        self._draws = random.Random(seed)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise SystemExit("error: the store proxy did not start")
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        await self._session.close()

    async def _handle(self, request):
        target = request.headers.get("X-Amz-Target", "")
        store = "dynamodb" if target.startswith("DynamoDB") else "s3"
        if store == "dynamodb" and "writes" in self.rules and target.rpartition(".")[2] in _WRITES:
            store = "writes"
        kind, share = self.rules.get(store, ("none", 0.0))
        if self._draws.random() < share:
            self.hits += 1
            if kind == "hang":
                await asyncio.sleep(60)
            if kind == "down":
                request.transport.abort()
                return web.Response()
            if kind == "throttle" and store != "s3":
                body = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}
                return web.json_response(body, status=400, content_type="application/x-amz-json-1.0")
            if kind == "throttle":
                return web.Response(
                    status=503, text="<Error><Code>SlowDown</Code></Error>", content_type="application/xml"
                )
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with self._session.request(
            request.method, f"{self.upstream}{request.path_qs}", data=await request.read(), headers=headers
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)
