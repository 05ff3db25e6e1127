"""Calls Bedrock's Converse API on the event loop: we sign and send; litellm builds and parses whatever is more than text.

``litellm.acompletion`` does the same through two other threads, table look-ups and its own logging. That takes three times the
CPU, and each thread switch waits for the GIL on a busy service (decision 0029). Streams still use ``acompletion``.
"""

import asyncio
import copy
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from service.core.llm.chat_format import answer_format, messages_of, tools_of
from service.core.llm.model_call import ModelCall
from service.core.llm.plain_call import plain_answer, plain_content, plain_refusal, runtime_endpoint
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
    """litellm's ``ModelResponse``, or what ``plain_answer`` returns in its place, and the HTTP headers of the answer."""

    response: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    content: dict[str, Any]
    body: bytes
    plain: bool


class LiteLLMFormats:
    """litellm's requests and answers of Converse. Creating it imports litellm (1.5 to 4.5 s)."""

    def __init__(self) -> None:
        import httpx
        import litellm
        from litellm.utils import get_optional_params

        self._litellm, self._httpx_response = litellm, httpx.Response
        self._config = litellm.AmazonConverseConfig()
        self._get_optional_params = get_optional_params
        self.options = lru_cache(maxsize=256)(self._mapped)

    def options_of(self, call: ModelCall) -> dict[str, Any]:
        """Return litellm's options of ``call``; they are shared by all calls like it."""
        schema = None if call.answer_schema is None else json.dumps(dict(call.answer_schema))
        tools = json.dumps(tools_of(call.tools)) if call.tools else None
        return self.options(call.model, call.sampling, schema, tools)

    def content(self, call: ModelCall) -> dict[str, Any]:
        """Return the body of the request."""
        content: dict[str, Any] = self._config.transform_request(
            model=call.model,
            messages=messages_of(call),
            optional_params=copy.deepcopy(self.options_of(call)),  # a copy: litellm may change them
            litellm_params={"model_info": MODEL_INFO},
            headers={},
        )
        return content

    def answer(self, call: ModelCall, request: dict[str, Any], content: bytes) -> Any:
        """Return the ``ModelResponse`` of an answer's body."""
        return self._config.transform_response(
            model=call.model,
            raw_response=self._httpx_response(200, content=content),  # no headers: aiohttp has decompressed it
            model_response=self._litellm.ModelResponse(),
            logging_obj=None,
            request_data=request,
            messages=messages_of(call),
            optional_params=self.options_of(call),
            litellm_params={},
            encoding=None,
        )

    def error(self, model: str, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
        """Return the error of an answer with ``status``."""
        refused: Exception = self._config.get_error_class(
            error_message=content.decode(errors="replace"), status_code=status, headers=dict(headers)
        )
        try:
            self._litellm.exception_type(model=model, original_exception=refused, custom_llm_provider="bedrock")
        except Exception as err:
            return err
        return refused

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


class Converse:
    """A client of one Converse endpoint. Each event loop has its own connections."""

    def __init__(
        self, *, region: str, endpoint: str | None, formats: Callable[[], LiteLLMFormats] = LiteLLMFormats
    ) -> None:
        """Sign requests for ``region``.

        ``endpoint`` replaces Bedrock's URL and is signed with a dummy key. ``formats`` is called in a thread, by the first call
        that needs litellm's formats.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        self._sigv4, self._credentials, self._aws_request = SigV4Auth, Credentials, AWSRequest
        self._region = region
        self._endpoint = runtime_endpoint(region, endpoint)  # litellm sends streams to the same
        self._local = endpoint is not None
        self._key = KeptKey((lambda: LOCAL_KEY) if self._local else usual_key(region))
        self._import_formats = formats
        self._formats: LiteLLMFormats | None = None
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._holders: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def ask(self, call: ModelCall, model: str) -> ConverseAnswer:
        """Return the answer to ``call``; errors call the model ``model``. The caller sets the timeout.

        Raises:
            ModelError: the model refuses a plain call for now.
            Exception: litellm's when the model rejects the request, aiohttp's when the endpoint cannot be reached, and
                botocore's when there are no credentials.
        """
        plain = plain_content(call)
        request = self._request(call, plain, None if plain is not None else await self._ready_formats())
        status, headers, content = await self._send(request, await self._headers(request))
        if status >= 300:
            refused = plain_refusal(model, status, content)
            raise refused or (await self._ready_formats()).error(call.model, status, headers, content)
        answer = plain_answer(content) if request.plain else None
        return ConverseAnswer(answer or (await self._ready_formats()).answer(call, request.content, content), headers)

    def rehearse(self, call: ModelCall, formats: LiteLLMFormats | None) -> None:
        """Do everything that a call does except sending, so that the first real call does not pay for lazy initialisation.

        With ``formats`` litellm does its part of a call that it builds; they are kept.
        """
        self._formats = formats or self._formats
        request = self._request(call, plain_content(call), formats)
        self._sign(request, LOCAL_KEY)
        plain_answer(_REHEARSED)
        if formats is not None:
            formats.answer(call, formats.content(call), _REHEARSED)

    async def _ready_formats(self) -> LiteLLMFormats:
        if self._formats is None:
            self._formats = await asyncio.to_thread(self._import_formats)
        return self._formats

    def _request(self, call: ModelCall, plain: dict[str, Any] | None, formats: LiteLLMFormats | None) -> _Request:
        content = plain
        if content is None:
            assert formats is not None
            content = formats.content(call)
        return _Request(
            url=f"{self._endpoint}/model/{quote(call.model, safe='')}/converse",
            content=content,
            body=json.dumps(content).encode(),
            plain=plain is not None,
        )

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
