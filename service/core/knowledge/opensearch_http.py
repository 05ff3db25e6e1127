"""Signed requests to a collection of Amazon OpenSearch Serverless."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from service.kit.aws.clients import AwsKey
from service.kit.frame.errors import ConfigurationError, KnowledgeDown, KnowledgeError

_SERVICE = "aoss"  # the signing name of OpenSearch Serverless
_MOST_ANSWER_BYTES = 32_000_000


class OpenSearchCollection:
    """One collection's endpoint. May be used from several threads."""

    def __init__(
        self, endpoint: str, *, region: str, key: Callable[[], AwsKey | None], timeout_s: float = 2.0, attempts: int = 2
    ) -> None:
        """Check the endpoint; nothing is sent.

        ``endpoint`` is the collection's address, as its console shows it; ``key`` may block. ``timeout_s`` bounds connecting and
        reading of one attempt, each; ``attempts`` are those of a request that fails or is throttled.

        Raises:
            ConfigurationError: the endpoint is no address, or would send a key's signature unencrypted to another machine.
        """
        from botocore.httpsession import URLLib3Session

        parts = urlsplit(endpoint)
        encrypted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"))
        if not encrypted or not parts.hostname or parts.query or parts.username:
            raise ConfigurationError(
                f"{endpoint!r} is not a collection's address, as in https://abc.us-east-1.aoss.amazonaws.com"
            )
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._key = key
        self._attempts = attempts
        self._http = URLLib3Session(timeout=timeout_s, max_pool_connections=16)

    @property
    def endpoint(self) -> str:
        """The collection's address."""
        return self._endpoint

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request with a JSON body, or none, and return the JSON answer; None where the answer is 404.

        Raises:
            KnowledgeError: an answer of another status than 200, 201 and 404, or one that is no JSON; ``KnowledgeDown`` where
                nobody answers.
        """
        return self._sent(method, path, b"" if body is None else _json(body), "application/json")

    def call_lines(self, path: str, lines: Iterable[Any]) -> Any:
        """Post one JSON value a line, as ``_bulk`` and ``_msearch`` want them; otherwise as ``call``."""
        return self._sent("POST", path, b"".join(_json(line) + b"\n" for line in lines), "application/x-ndjson")

    def _sent(self, method: str, path: str, body: bytes, kind: str) -> Any:
        from botocore.exceptions import BotoCoreError

        problem, down = "no answer", True
        for _ in range(self._attempts):
            try:
                answer = self._http.send(self._signed(method, path, body, kind))
            except BotoCoreError as err:
                problem = type(err).__name__
                continue
            if answer.status_code == 404:
                return None
            if answer.status_code in (200, 201):
                return self._read(answer.content, path)
            problem = f"status {answer.status_code}"
            if answer.status_code != 429 and answer.status_code < 500:
                down = False
                break
        raise (KnowledgeDown if down else KnowledgeError)(f"OpenSearch at {self._endpoint}: {method} {path}: {problem}")

    def _signed(self, method: str, path: str, body: bytes, kind: str) -> Any:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        key = self._key()
        if key is None:
            raise KnowledgeError(
                "no AWS key is found to sign requests to OpenSearch; set one, as for the AWS command line"
            )
        # OpenSearch Serverless refuses a signed request without this header.
        headers = {"Content-Type": kind, "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest(method, f"{self._endpoint}{path}", data=body, headers=headers)
        SigV4Auth(Credentials(key.id, key.secret, key.token), _SERVICE, self._region).add_auth(request)
        return request.prepare()

    def _read(self, content: bytes, path: str) -> Any:
        if len(content) > _MOST_ANSWER_BYTES:
            raise KnowledgeError(f"OpenSearch at {self._endpoint}: the answer to {path} has {len(content)} bytes")
        try:
            return json.loads(content)
        except ValueError:
            raise KnowledgeError(f"OpenSearch at {self._endpoint}: the answer to {path} is no JSON") from None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
