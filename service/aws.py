"""The one place that builds boto3 clients: bounded timeouts, at most one retry, a local endpoint where one is set."""

from collections.abc import Callable
from typing import Any, NamedTuple

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


def has_credentials() -> bool:
    """Return whether boto3 finds credentials, or a Bedrock API key, in its usual places; asks an instance's metadata last."""
    import os

    import boto3

    return bool(os.environ.get("AWS_BEARER_TOKEN_BEDROCK")) or boto3.session.Session().get_credentials() is not None


def client(name: str, settings: Settings, *, attempts: int = 2) -> Any:
    """Return a thread-safe boto3 client of service ``name``.

    Connecting and reading are each bounded by ``settings.store_timeout_s``; the caller bounds the whole operation. With
    ``attempts`` 1 the caller repeats: botocore's own back-off after a throttle is up to a second long.
    botocore's errors are for the stores to translate.
    """
    # boto3 takes 0.4 s to import: not on the way to `--help`.
    import boto3
    from botocore.config import Config

    local: dict[str, Any] = {}
    proxies: dict[str, str] | None = None
    if settings.aws_endpoint is not None:
        local = {
            "endpoint_url": settings.aws_endpoint,
            "aws_access_key_id": LOCAL_KEY.id,
            "aws_secret_access_key": LOCAL_KEY.secret,
        }
        proxies = {}  # a stand-in on loopback is never behind the proxy of the environment
    config = Config(
        connect_timeout=settings.store_timeout_s,
        read_timeout=settings.store_timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=MAX_CONNECTIONS,
        proxies=proxies,
    )
    session = boto3.session.Session(region_name=settings.aws_region)
    return session.client(name, config=config, **local)


def key_finder(settings: Settings) -> Callable[[], AwsKey | None]:
    """Return what finds the present key in boto3's usual places, renewed where it expires; it may block."""
    if settings.aws_endpoint is not None:
        return lambda: LOCAL_KEY
    import boto3

    session = boto3.session.Session(region_name=settings.aws_region)

    def find() -> AwsKey | None:
        credentials = session.get_credentials()
        if credentials is None:
            return None
        frozen = credentials.get_frozen_credentials()
        return AwsKey(frozen.access_key, frozen.secret_key, frozen.token)

    return find
