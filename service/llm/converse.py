"""Bedrock's Converse from the event loop: litellm writes the request and reads the answer, we sign and send it.

``litellm.acompletion`` does the same by way of two other threads, a search of its tables and a log of its own: three times the
CPU, and each change of thread waits for the interpreter lock while the service is busy (decision 0029). Streams go that way.
"""

import asyncio
import copy
import json
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import aiohttp
from yarl import URL

from service.aws.clients import LOCAL_KEY, AwsKey, KeptKey, is_proxied, usual_key
from service.llm.model_call import ModelCall
from service.pair import Sampling

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# Longer than a quiet minute, so that the next agent pays for no TLS handshake; Bedrock may close it before (_DROPPED).
_KEEP_ALIVE_S = 75.0
# What a kept connection gives that the other side has closed meanwhile.
_DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
# What litellm assumes of every model that nobody flagged; said here, it does not search its tables for 0.5 ms a call.
MODEL_INFO = {"supports_regex_lookaround": True}
_REHEARSED = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    }
).encode()


@dataclass(frozen=True, slots=True)
class ConverseAnswer:
    """litellm's ``ModelResponse``, and the HTTP headers that it came with."""

    response: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    content: dict[str, Any]
    body: bytes
    options: dict[str, Any]
    messages: list[dict[str, Any]]


class Converse:
    """One endpoint's Converse. Importing litellm (1.5 to 4.5 s) is part of making it; connections belong to each event loop."""

    def __init__(self, *, region: str, endpoint: str | None) -> None:
        """Sign for ``region``; ``endpoint`` stands in for Bedrock's own and gets a dummy key."""
        import httpx
        import litellm
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from litellm.llms.bedrock.base_aws_llm import BaseAWSLLM
        from litellm.utils import get_optional_params

        base = BaseAWSLLM()
        self._litellm, self._httpx_response = litellm, httpx.Response
        self._config = litellm.AmazonConverseConfig()
        self._get_optional_params = get_optional_params
        self._sigv4, self._credentials, self._aws_request = SigV4Auth, Credentials, AWSRequest
        self._encode = base.encode_model_id
        self._region = region
        # The same place to which litellm sends a stream.
        self._endpoint, _ = base.get_runtime_endpoint(
            api_base=None, aws_bedrock_runtime_endpoint=endpoint, aws_region_name=region
        )
        self._local = endpoint is not None
        self._key = KeptKey((lambda: LOCAL_KEY) if self._local else usual_key(region))
        self._options = lru_cache(maxsize=256)(self._mapped)
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._holders: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def ask(self, call: ModelCall, messages: list[dict[str, Any]]) -> ConverseAnswer:
        """Return the answer to ``call`` with ``messages`` as litellm takes them; the caller bounds how long.

        Raises:
            Exception: litellm's for what the model refuses, aiohttp's where it cannot be reached, botocore's without a key.
        """
        request = self._request(call, messages)
        status, headers, content = await self._send(request, await self._headers(request))
        if status >= 400:
            raise self._error(call.model, status, headers, content)
        return self._answer(call.model, request, headers, content)

    def rehearse(self, call: ModelCall, messages: list[dict[str, Any]]) -> None:
        """Do what a call does but send it: litellm's and botocore's work of a first call is then in nobody's latency."""
        request = self._request(call, messages)
        self._sign(request, LOCAL_KEY)
        self._answer(call.model, request, {}, _REHEARSED)

    def _request(self, call: ModelCall, messages: list[dict[str, Any]]) -> _Request:
        schema = None if call.answer_schema is None else json.dumps(dict(call.answer_schema))
        options = self._options(call.model, call.sampling, schema)
        content = self._config.transform_request(
            model=call.model,
            messages=messages,
            optional_params=copy.deepcopy(options),  # kept for the next call, and litellm may change it
            litellm_params={"model_info": MODEL_INFO},
            headers={},
        )
        return _Request(
            url=f"{self._endpoint}/model/{self._encode(call.model)}/converse",
            content=content,
            body=json.dumps(content).encode(),
            options=options,
            messages=messages,
        )

    def _answer(self, model: str, request: _Request, headers: Mapping[str, str], content: bytes) -> ConverseAnswer:
        response = self._config.transform_response(
            model=model,
            raw_response=self._httpx_response(200, content=content),  # without headers: aiohttp has unpacked it already
            model_response=self._litellm.ModelResponse(),
            logging_obj=None,
            request_data=request.content,
            messages=request.messages,
            optional_params=request.options,
            litellm_params={},
            encoding=None,
        )
        return ConverseAnswer(response=response, headers=headers)

    def _mapped(self, model: str, sampling: Sampling, schema: str | None) -> dict[str, Any]:
        asked: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": int(sampling.max_output_tokens)}
        if sampling.top_p is not None:
            asked["top_p"] = sampling.top_p
        if sampling.stop_sequences:
            asked["stop"] = list(sampling.stop_sequences)
        if schema is not None:
            asked["response_format"] = _answer_format(json.loads(schema))
        mapped = self._get_optional_params(model=f"converse/{model}", custom_llm_provider="bedrock", **asked)
        mapped.pop("stream", None)
        return dict(mapped)

    async def _headers(self, request: _Request) -> dict[str, str]:
        bearer = os.environ.get(_BEARER)
        if bearer and not self._local:
            return _JSON | {"Authorization": f"Bearer {bearer}"}
        return self._sign(request, await self._key.get())

    def _sign(self, request: _Request, key: AwsKey | None) -> dict[str, str]:
        credentials = None if key is None else self._credentials(key.id, key.secret, key.token)
        signed = self._aws_request(method="POST", url=request.url, data=request.body, headers=_JSON)
        self._sigv4(credentials, "bedrock", self._region).add_auth(signed)
        return dict(signed.headers.items())

    async def _send(self, request: _Request, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return await self._post(request, headers)
        except aiohttp.ClientConnectorError:
            raise
        except _DROPPED:  # litellm, too, sends once more then
            return await self._post(request, headers)

    async def _post(self, request: _Request, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        session = await self._session()
        # encoded: what was signed is what is sent, "%3A" and all
        async with session.post(URL(request.url, encoded=True), data=request.body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            # An event loop closes its asynchronous generators when it ends, and with this one the connections: harness and
            # service run a gateway in many loops, and none of them has to remember.
            self._holders[loop] = self._hold(loop)
            await anext(self._holders[loop])
        return self._sessions[loop]

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        session = self._sessions[loop] = aiohttp.ClientSession(
            # No bound: a model that hangs must not keep the next call from being sent.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A stand-in on loopback is never behind a proxy.
            trust_env=not self._local and is_proxied(self._endpoint),
        )
        try:
            yield
        finally:
            del self._sessions[loop], self._holders[loop]
            await session.close()

    def _error(self, model: str, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
        refused: Exception = self._config.get_error_class(
            error_message=content.decode(errors="replace"), status_code=status, headers=dict(headers)
        )
        try:
            self._litellm.exception_type(model=model, original_exception=refused, custom_llm_provider="bedrock")
        except Exception as err:
            return err
        return refused


def _answer_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the ``response_format`` that asks for ``schema``.

    litellm makes a tool of it, forced where the model can be forced, and unpacks the call into the content again.
    """
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
