"""Queries on the event loop against a misbehaving server: the error for each failure, retries and signatures."""

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from aiodynamo.credentials import Key
from aiodynamo.sign import Instant, signed_dynamo_request
from aiohttp import web
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from service.kit.aws.bounded import StoreDropped, StoreThrottled
from service.kit.aws.clients import AwsKey, is_proxied
from service.kit.aws.queries import DynamoQueries, patient_query
from service.kit.frame.errors import StoreError

ACCOUNT = "1234567890"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KIND = "com.amazonaws.dynamodb.v20120810#"


def _ask(
    handler: Handler,
    *,
    times: int = 1,
    at_once: bool = False,
    patience_s: float | None = None,
    key: Callable[[], AwsKey | None] = lambda: AwsKey("an-id", "a-secret", "a-token"),
    timeout_s: float = 5.0,
) -> list[Any]:
    """Return the result of each of ``times`` queries to a server with ``handler``."""

    async def run() -> list[Any]:
        app = web.Application()
        app.router.add_post("/", handler)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        made = DynamoQueries(
            url=f"http://127.0.0.1:{port}", region="us-east-1", key=key, timeout_s=timeout_s, through_proxy=False
        )
        arguments = {"TableName": "t", "ExpressionAttributeValues": {":account": {"S": ACCOUNT}}}

        async def one(queries: DynamoQueries) -> Any:
            if patience_s is None:
                return await queries.query(**arguments)
            return await patient_query(queries, arguments, patience_s=patience_s)

        try:
            async with made as queries:
                if at_once:
                    return list(await asyncio.gather(*(one(queries) for _ in range(times))))
                return [await one(queries) for _ in range(times)]
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def _until(done: Callable[[], bool]) -> None:
    for _ in range(1000):
        if done():
            return
        time.sleep(0.005)


async def _empty(request: web.Request) -> web.Response:
    return web.json_response({"Items": []})


def _refusing(status: int, body: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    return handler


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"__type": f"{KIND}ProvisionedThroughputExceededException"}, StoreThrottled, "ProvisionedThroughput"),
        (400, {"__type": f"{KIND}RequestLimitExceeded"}, StoreThrottled, "RequestLimitExceeded"),
        (400, {"__type": "com.amazon.coral.availability#ThrottlingException"}, StoreThrottled, "Throttled"),
        (400, {"__type": f"{KIND}ResourceNotFoundException"}, StoreError, r"create it \(locally"),
        (400, {"__type": f"{KIND}ValidationException", "message": ACCOUNT}, StoreError, "ValidationException"),
        (400, {"__type": f"{KIND}NobodyKnowsThis", "message": ACCOUNT}, StoreError, "HTTP 400"),
        (500, {"message": ACCOUNT}, StoreError, "InternalDynamoError"),
        (503, {}, StoreError, "ServiceUnavailable"),
        (200, f"<html>{ACCOUNT}", StoreError, "JSONDecodeError"),
    ],
)
def test_every_refusal_is_a_store_error_that_quotes_nothing(
    status: int, body: Any, kind: type[StoreError], message: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(StoreError, match=f"table 't' .*{message}") as caught:
        _ask(_refusing(status, text))
    assert type(caught.value) is kind
    assert ACCOUNT not in str(caught.value)


def test_a_broken_connection_has_its_own_error_and_is_retried() -> None:
    seen = []

    async def breaks_once(request: web.Request) -> web.StreamResponse:
        seen.append(1)
        if len(seen) == 1:
            assert request.transport is not None
            request.transport.abort()
        return await _empty(request)

    assert _ask(breaks_once, patience_s=5.0) == [({"Items": []}, 1)]
    seen.clear()
    with pytest.raises(StoreDropped, match="closed the connection"):
        _ask(breaks_once)


def test_a_throttled_query_is_retried_until_the_time_limit() -> None:
    seen = []

    async def hot(request: web.Request) -> web.StreamResponse:
        seen.append(1)
        body = json.dumps({"__type": f"{KIND}ProvisionedThroughputExceededException"})
        return await (_empty if len(seen) > 2 else _refusing(400, body))(request)

    assert _ask(hot, patience_s=5.0) == [({"Items": []}, 2)]
    seen.clear()
    with pytest.raises(StoreThrottled):
        _ask(hot, patience_s=0.001)
    assert len(seen) == 1


def test_a_query_without_an_answer_times_out() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return await _empty(request)

    with pytest.raises(StoreError, match=r"no answer within 0\.05 s"):
        _ask(silent, timeout_s=0.05)


def test_concurrent_queries_share_one_key_lookup_and_it_is_repeated_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks, ended, ids = [], [], []

    def find() -> AwsKey:
        looks.append(1)
        try:
            if len(looks) == 2:
                raise OSError("the metadata service is away")
            time.sleep(0.05)
            return AwsKey(f"id-{len(looks)}", "secret", "token")
        finally:
            ended.append(1)

    async def handler(request: web.Request) -> web.Response:
        ids.append(request.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
        assert request.headers["X-Amz-Security-Token"] == "token"
        return await _empty(request)

    _ask(handler, times=20, at_once=True, key=find)
    assert (len(looks), set(ids)) == (1, {"id-1"})

    # Every query looks the key up again; the second lookup fails, and the old key stays in use.
    looks.clear()
    ended.clear()
    ids.clear()
    monkeypatch.setattr("service.kit.aws.clients._KEY_S", 0.0)

    async def slow(request: web.Request) -> web.Response:
        answer = await handler(request)
        # This query's background lookup ends before the next query.
        await asyncio.to_thread(_until, lambda: len(ended) >= len(ids))
        await asyncio.sleep(0.02)
        return answer

    _ask(slow, times=4, key=find)
    assert ids == ["id-1", "id-1", "id-1", "id-3"]
    gc.collect()
    assert not caplog.records  # asyncio complains of an error that nobody took


def test_without_a_key_the_error_says_so() -> None:
    with pytest.raises(StoreError, match="no AWS credentials"):
        _ask(_empty, key=lambda: None)


def test_a_query_is_signed_as_boto3_signs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)
    monkeypatch.setattr(Instant, "now", classmethod(lambda cls: cls(now)))
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
    ours = signed_dynamo_request(
        key=Key("an-id", "a-secret"), payload={"TableName": "t"}, action="Query", region="eu-west-1"
    )
    headers = {name: ours.headers[name] for name in ("Content-Type", "X-Amz-Target")}
    theirs = AWSRequest("POST", str(ours.url), headers=headers, data=ours.body)
    botocore.auth.SigV4Auth(Credentials("an-id", "a-secret"), "dynamodb", "eu-west-1").add_auth(theirs)
    assert ours.headers["Authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize(
    ("environment", "url", "proxied"),
    [
        ({}, "https://dynamodb.eu-west-1.amazonaws.com", False),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://dynamodb.eu-west-1.amazonaws.com", True),
        ({"https_proxy": "http://proxy:3128"}, "https://dynamodb.eu-west-1.amazonaws.com", True),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://127.0.0.1:4566", False),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".amazonaws.com"}, "https://a.amazonaws.com", False),
        ({"NO_PROXY": "localhost"}, "https://dynamodb.eu-west-1.amazonaws.com", False),
    ],
)
def test_proxy_settings_are_read_once(
    environment: dict[str, str], url: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_proxied(url) is proxied
