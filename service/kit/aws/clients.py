"""Builds all boto3 clients: bounded timeouts, at most one retry, and the local endpoint if one is set."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from service.kit.settings import Settings

# The most threads that use a store at once. The connection pool has the same size, so that no thread waits for a connection.
MAX_CONNECTIONS = 64


class AwsKey(NamedTuple):
    """The credentials that sign requests; keys that expire have a ``token``."""

    id: str
    secret: str
    token: str | None = None


# The local stand-ins for AWS do not check signatures.
LOCAL_KEY = AwsKey("local", "local")
# botocore renews a key about ten minutes before it expires, so checking once a minute never yields an expired key.
_KEY_S = 60.0


def has_credentials() -> bool:
    """Return whether boto3 finds credentials or a Bedrock API key in its usual places; may query the instance metadata."""
    import os

    import boto3

    return bool(os.environ.get("AWS_BEARER_TOKEN_BEDROCK")) or boto3.session.Session().get_credentials() is not None


def client(name: str, settings: Settings, *, attempts: int = 2) -> Any:
    """Return a thread-safe boto3 client of service ``name``.

    Connecting and reading are each bounded by ``settings.stores.timeout_s``; the caller bounds the whole operation. Pass
    ``attempts=1`` if the caller retries, because botocore backs off for up to a second after a throttle. The caller translates
    botocore's errors.
    """
    # Imported here because boto3 takes 0.4 s to import, which would delay `--help`.
    import boto3
    from botocore.config import Config

    local: dict[str, Any] = {}
    proxies: dict[str, str] | None = None
    if settings.aws.endpoint is not None:
        local = {
            "endpoint_url": settings.aws.endpoint,
            "aws_access_key_id": LOCAL_KEY.id,
            "aws_secret_access_key": LOCAL_KEY.secret,
        }
        proxies = {}  # a stand-in on loopback is not reached through the environment's proxy
    config = Config(
        connect_timeout=settings.stores.timeout_s,
        read_timeout=settings.stores.timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=MAX_CONNECTIONS,
        proxies=proxies,
    )
    session = boto3.session.Session(region_name=settings.aws.region)
    return session.client(name, config=config, **local)


def key_finder(settings: Settings) -> Callable[[], AwsKey | None]:
    """Return a function that returns the current key of ``settings``, renewed if it expires; the function may block."""
    if settings.aws.endpoint is not None:
        return lambda: LOCAL_KEY
    return usual_key(settings.aws.region)


def usual_key(region: str) -> Callable[[], AwsKey | None]:
    """Return a function that looks up the key in boto3's usual places, even if the settings name a local endpoint."""
    import boto3

    session = boto3.session.Session(region_name=region)

    def find() -> AwsKey | None:
        credentials = session.get_credentials()
        if credentials is None:
            return None
        frozen = credentials.get_frozen_credentials()
        return AwsKey(frozen.access_key, frozen.secret_key, frozen.token)

    return find


def is_proxied(url: str) -> bool:
    """Return whether the environment sends ``url`` through a proxy.

    Callers set aiohttp's ``trust_env`` only if this is true: with it, aiohttp runs two lookups in threads (proxies and .netrc)
    before each request.
    """
    parts = urlsplit(url)
    return parts.scheme in getproxies() and not (parts.hostname and proxy_bypass(parts.hostname))


class KeptKey:
    """Keeps a key and looks it up in a thread: the first caller waits, later lookups run in the background."""

    def __init__(self, find: Callable[[], AwsKey | None]) -> None:
        """Keep ``find``, the function that looks up the key; it may block and raise."""
        self._find = find
        self._looking: asyncio.Task[AwsKey | None] | None = None
        self._key: AwsKey | None = None
        self._due = 0.0

    async def get(self) -> AwsKey | None:
        """Return the key, or None if none is found. Raises the lookup's error only if there is no older key."""
        loop = asyncio.get_running_loop()
        if self._looking is not None and self._looking.get_loop() is not loop:
            self._looking = None  # its event loop has ended, and the lookup with it
        if loop.time() >= self._due and self._looking is None:
            self._looking = loop.create_task(self._look())
        if self._key is None and self._looking is not None:
            return await asyncio.shield(self._looking)  # other callers wait for the same lookup
        return self._key

    def forget(self) -> None:
        """Discard the key, so that the next use looks it up again."""
        self._key, self._due = None, 0.0

    async def _look(self) -> AwsKey | None:
        try:
            self._key = await asyncio.to_thread(self._find)
            self._due = asyncio.get_running_loop().time() + _KEY_S
            return self._key
        except Exception:
            if self._key is None:
                raise
            return self._key  # still valid for minutes; the next use looks it up again
        finally:
            self._looking = None
