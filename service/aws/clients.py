"""The one place that builds boto3 clients: bounded timeouts, at most one retry, a local endpoint where one is set."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from service.settings import Settings

# Threads that talk to a store at once; the connection pool is as large, so that none waits for a connection.
MAX_CONNECTIONS = 64


class AwsKey(NamedTuple):
    """What requests are signed with; ``token`` belongs to keys that expire."""

    id: str
    secret: str
    token: str | None = None


# A stand-in on this machine checks no signature.
LOCAL_KEY = AwsKey("local", "local")
# botocore renews what expires some ten minutes ahead; whoever looks once a minute never holds an expired key.
_KEY_S = 60.0


def has_credentials() -> bool:
    """Return whether boto3 finds credentials, or a Bedrock API key, in its usual places; asks an instance's metadata last."""
    import os

    import boto3

    return bool(os.environ.get("AWS_BEARER_TOKEN_BEDROCK")) or boto3.session.Session().get_credentials() is not None


def client(name: str, settings: Settings, *, attempts: int = 2) -> Any:
    """Return a thread-safe boto3 client of service ``name``.

    Connecting and reading are each bounded by ``settings.stores.timeout_s``; the caller bounds the whole operation. With
    ``attempts`` 1 the caller repeats: botocore's own back-off after a throttle is up to a second long.
    botocore's errors are for the stores to translate.
    """
    # boto3 takes 0.4 s to import: not on the way to `--help`.
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
        proxies = {}  # a stand-in on loopback is never behind the proxy of the environment
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
    """Return what finds the present key in boto3's usual places, renewed where it expires; it may block."""
    if settings.aws.endpoint is not None:
        return lambda: LOCAL_KEY
    return usual_key(settings.aws.region)


def usual_key(region: str) -> Callable[[], AwsKey | None]:
    """Return what finds the key in boto3's usual places, wherever the settings' other stores are."""
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

    For aiohttp's ``trust_env``: with it aiohttp asks two threads, for proxies and for a .netrc, before each request.
    """
    parts = urlsplit(url)
    return parts.scheme in getproxies() and not (parts.hostname and proxy_bypass(parts.hostname))


class KeptKey:
    """A key that is looked for in a thread: at first by whoever needs it, later in the background while the old one serves."""

    def __init__(self, find: Callable[[], AwsKey | None]) -> None:
        """Take what finds the key; it may block and raise."""
        self._find = find
        self._looking: asyncio.Task[AwsKey | None] | None = None
        self._key: AwsKey | None = None
        self._due = 0.0

    async def get(self) -> AwsKey | None:
        """Return the key; None where there is none. Raises what the look raises, while there is no older key."""
        loop = asyncio.get_running_loop()
        if self._looking is not None and self._looking.get_loop() is not loop:
            self._looking = None  # its event loop has ended, and the look with it
        if loop.time() >= self._due and self._looking is None:
            self._looking = loop.create_task(self._look())
        if self._key is None and self._looking is not None:
            return await asyncio.shield(self._looking)  # others wait for the same look
        return self._key

    def forget(self) -> None:
        """Look anew before the next use."""
        self._key, self._due = None, 0.0

    async def _look(self) -> AwsKey | None:
        try:
            self._key = await asyncio.to_thread(self._find)
            self._due = asyncio.get_running_loop().time() + _KEY_S
            return self._key
        except Exception:
            if self._key is None:
                raise
            return self._key  # still good for minutes; the next use looks again
        finally:
            self._looking = None
