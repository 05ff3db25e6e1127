"""API Gateway as its document says: routes, keys, checks of parameters and bodies, and the integrations behind them."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jsonschema
from aiohttp import web

from omni.deploying.rehearsal.front import OF_CONNECTION

_EXTENSION = "x-amazon-apigateway-"


class GatewayFront:
    """Answers below ``/<stage>`` by the stack's ``document``; ``hosts`` says where the hosts of its integrations listen."""

    def __init__(self, document: Mapping[str, Any], stage: str, keys: set[str], hosts: Mapping[str, str]) -> None:
        self._document, self._stage, self._keys, self._hosts = document, stage, keys, hosts
        self._routes = [
            (re.compile("^" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path) + "$"), item)
            # A literal part is preferred to a parameter.
            for path, item in sorted(document["paths"].items(), key=lambda one: one[0].replace("{", "~"))
        ]

    async def start(self, address: str, port: int) -> None:
        """Listen on ``address``."""
        timeout = aiohttp.ClientTimeout(total=29)
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=timeout)
        app = web.Application(client_max_size=10 * 2**20)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(f"/{self._stage}")
        for pattern, item in self._routes:
            found = pattern.match(path)
            operation = item.get(request.method.lower()) if found else None
            if found and operation:
                break
        else:
            return web.json_response({"message": "Missing Authentication Token"}, status=403)
        body = await request.read()
        if operation.get("security") and request.headers.get("x-api-key") not in self._keys:
            return self._refusal("INVALID_API_KEY")
        if any(not _given(one, request) for one in operation.get("parameters", ()) if one["required"]):
            return self._refusal("BAD_REQUEST_PARAMETERS")
        if not self.fits(operation, body, request.content_type):
            return self._refusal("BAD_REQUEST_BODY")
        return await self._integrated(operation[f"{_EXTENSION}integration"], request, found.groupdict(), body)

    def fits(self, operation: Mapping[str, Any], body: bytes, kind: str) -> bool:
        """Return whether a body is what the operation takes."""
        wanted = operation.get("requestBody")
        if wanted is None:
            return True
        if not body:
            return not wanted["required"]
        schema = wanted["content"].get(kind, {}).get("schema")
        if schema is None or kind != "application/json":
            return True  # the gateway has no model for it
        try:
            given = json.loads(body)
        except ValueError:
            return False
        whole = schema | {"components": self._document["components"]}
        return bool(jsonschema.Draft4Validator(whole).is_valid(given))

    def _refusal(self, kind: str) -> web.Response:
        told = self._document[f"{_EXTENSION}gateway-responses"][kind]
        ((content_type, text),) = told["responseTemplates"].items()
        return web.Response(status=told["statusCode"], text=text, content_type=content_type)

    async def _integrated(
        self, integration: Mapping[str, Any], request: web.Request, parts: Mapping[str, str], body: bytes
    ) -> web.StreamResponse:
        path = urlsplit(integration["uri"]).path
        for to, source in integration["requestParameters"].items():
            path = path.replace(f"{{{to.rpartition('.')[2]}}}", parts[source.rpartition(".")[2]])
        host = self._hosts[urlsplit(integration["uri"]).netloc]
        query = f"?{request.query_string}" if request.query_string else ""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OF_CONNECTION}
        try:
            async with self._session.request(
                integration["httpMethod"],
                f"http://{host}{path}{query}",
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                given = {name: value for name, value in answer.headers.items() if name.lower() not in OF_CONNECTION}
                return web.Response(status=answer.status, headers=given, body=await answer.read())
        except TimeoutError:
            return self._refusal("INTEGRATION_TIMEOUT")
        except (aiohttp.ClientError, OSError):
            return self._refusal("INTEGRATION_FAILURE")


def _given(parameter: Mapping[str, Any], request: web.Request) -> bool:
    place, name = parameter["in"], parameter["name"]
    return place == "path" or name in (request.query if place == "query" else request.headers)
