"""Calls Bedrock's Converse API on the event loop: litellm builds the request and parses the answer; we sign and send it.

``litellm.acompletion`` does the same through two other threads, table look-ups and its own logging. That takes three times the
CPU, and each thread switch waits for the GIL on a busy service (decision 0029). Streams still use ``acompletion``.
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

from service.core.llm.chat_format import answer_format, tools_of
from service.core.llm.model_call import ModelCall
from service.core.unit.pair import Sampling
from service.kit.aws.clients import LOCAL_KEY, AwsKey, KeptKey, is_proxied, usual_key

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# Above a minute, so that a call after a quiet minute needs no TLS handshake; Bedrock may close it earlier (_DROPPED).
_KEEP_ALIVE_S = 75.0
# Errors of a pooled connection that the server has closed in the meantime.
_DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
# litellm's own default for an unknown model; passing it saves litellm a table look-up of 0.5 ms a call.
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
    """litellm's ``ModelResponse`` and the HTTP headers of the answer."""

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
    """A client of one Converse endpoint. Creating it imports litellm (1.5 to 4.5 s). Each event loop has its own connections."""

    def __init__(self, *, region: str, endpoint: str | None) -> None:
        """Sign requests for ``region``. ``endpoint``, if given, replaces Bedrock's URL and is signed with a dummy key."""
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
        # The URL to which litellm sends streams, too.
        self._endpoint, _ = base.get_runtime_endpoint(
            api_base=None, aws_bedrock_runtime_endpoint=endpoint, aws_region_name=region
        )
        self._local = endpoint is not None
        self._key = KeptKey((lambda: LOCAL_KEY) if self._local else usual_key(region))
        self._options = lru_cache(maxsize=256)(self._mapped)
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._holders: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def ask(self, call: ModelCall, messages: list[dict[str, Any]]) -> ConverseAnswer:
        """Return the answer to ``call``; ``messages`` are in litellm's format. The caller sets the timeout.

        Raises:
            Exception: litellm's when the model rejects the request, aiohttp's when the endpoint cannot be reached, and
                botocore's when there are no credentials.
        """
        request = self._request(call, messages)
        status, headers, content = await self._send(request, await self._headers(request))
        if status >= 300:
            raise self._error(call.model, status, headers, content)
        return self._answer(call.model, request, headers, content)

    def rehearse(self, call: ModelCall, messages: list[dict[str, Any]]) -> None:
        """Do everything that a call does except sending, so that the first real call does not pay for lazy initialisation."""
        request = self._request(call, messages)
        self._sign(request, LOCAL_KEY)
        self._answer(call.model, request, {}, _REHEARSED)

    def _request(self, call: ModelCall, messages: list[dict[str, Any]]) -> _Request:
        schema = None if call.answer_schema is None else json.dumps(dict(call.answer_schema))
        tools = json.dumps(tools_of(call.tools)) if call.tools else None
        options = self._options(call.model, call.sampling, schema, tools)
        content = self._config.transform_request(
            model=call.model,
            messages=messages,
            optional_params=copy.deepcopy(options),  # a copy: the options are cached, and litellm may change them
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
            raw_response=self._httpx_response(200, content=content),  # no headers: aiohttp has decompressed it
            model_response=self._litellm.ModelResponse(),
            logging_obj=None,
            request_data=request.content,
            messages=request.messages,
            optional_params=request.options,
            litellm_params={},
            encoding=None,
        )
        return ConverseAnswer(response=response, headers=headers)

    def _mapped(self, model: str, sampling: Sampling, schema: str | None, tools: str | None) -> dict[str, Any]:
        asked: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": int(sampling.max_output_tokens)}
        if sampling.top_p is not None:
            asked["top_p"] = sampling.top_p
        if sampling.stop_sequences:
            asked["stop"] = list(sampling.stop_sequences)
        if schema is not None:
            asked["response_format"] = answer_format(json.loads(schema))
        if tools is not None:
            asked["tools"] = json.loads(tools)
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
        except _DROPPED:  # send once more, as litellm does
            return await self._post(request, headers)

    async def _post(self, request: _Request, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        session = await self._session()
        # encoded=True: the URL must be sent exactly as signed, with its "%3A"
        target = URL(request.url, encoded=True)
        # A redirect would take the prompt to an address that nobody configured.
        async with session.post(target, data=request.body, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            # An event loop closes its asynchronous generators when it ends; this generator then closes the connections.
            # Harness and service use one gateway in many event loops, and need not close it in each.
            self._holders[loop] = self._hold(loop)
            await anext(self._holders[loop])
        return self._sessions[loop]

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        session = self._sessions[loop] = aiohttp.ClientSession(
            # No limit: calls to a model that hangs must not delay other calls.
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
