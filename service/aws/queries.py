"""Queries of DynamoDB on the event loop, for requests: its JSON over aiohttp, by aiodynamo.

The same query through boto3 needs a thread and 1.5 to 2.5 ms of CPU, here 0.25 ms, and a request makes two of them; whatever is
not on a request's way uses boto3.
"""

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import stamina
from aiodynamo import errors
from aiodynamo.client import Client
from aiodynamo.credentials import Credentials, Key
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.http.types import HttpImplementation
from aiodynamo.models import RetryConfig, RetryTimeout
from botocore.exceptions import BotoCoreError
from yarl import URL

from service.aws.bounded import FIRST_WAIT_S, LONGEST_WAIT_S, StoreDropped, StoreThrottled
from service.aws.clients import AwsKey, KeptKey, is_proxied, key_finder
from service.errors import StoreError
from service.settings import Settings

QueryPage = dict[str, Any]
# Beyond this many at once a query waits for a connection.
_CONNECTIONS = 256
_THROTTLES = (errors.ProvisionedThroughputExceeded, errors.RequestLimitExceeded, errors.Throttled)
# What a kept connection gives that the other side has closed meanwhile.
_DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class TableQueries(Protocol):
    """One query of one table, its arguments and its answer as DynamoDB's own JSON has them."""

    async def query(self, **arguments: Any) -> QueryPage:
        """Return one page.

        Raises:
            StoreThrottled: the table asks for patience.
            StoreDropped: the connection broke; a new one will do.
            StoreError: no answer, or a refusal.
        """
        ...


class DynamoQueries:
    """Belongs to the event loop that first asks, until ``aclose``. A query is bounded by ``timeout_s`` and never repeated."""

    def __init__(
        self, *, url: str, region: str, key: Callable[[], AwsKey | None], timeout_s: float, through_proxy: bool
    ) -> None:
        """``key`` finds what requests are signed with; it may block, and runs in a thread once a minute."""
        self._url = URL(url)
        self._region = region
        self._key = key
        self._timeout_s = timeout_s
        self._through_proxy = through_proxy
        self._opened: tuple[aiohttp.ClientSession, Client] | None = None

    @classmethod
    def beside(cls, client: Any, settings: Settings) -> Self:
        """Return queries with the endpoint, region and key of a boto3 client that ``service.aws.clients.client`` built."""
        return cls(
            url=client.meta.endpoint_url,
            region=client.meta.region_name,
            key=key_finder(settings),
            timeout_s=settings.stores.timeout_s,
            through_proxy=settings.aws.endpoint is None,  # a stand-in on loopback is never behind one
        )

    async def __aenter__(self) -> Self:
        """Open nothing yet; leaving closes what the queries opened."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        """See ``aclose``."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next query opens new ones."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[0].close()

    async def query(self, **arguments: Any) -> QueryPage:
        """See ``TableQueries.query``."""
        store = f"table {arguments['TableName']!r}"
        try:
            return await self._client().send_request(action="Query", payload=arguments)
        except _THROTTLES as err:
            raise StoreThrottled(f"{store} refuses: {type(err).__name__}") from err
        except errors.TableNotFound as err:
            raise StoreError(f"{store} refuses: no such table; create it (locally: omni up)") from err
        except errors.NoCredentialsFound as err:
            raise StoreError(f"{store}: no AWS credentials; set them where boto3 looks for them") from err
        except errors.AIODynamoError as err:
            raise StoreError(f"{store} refuses: {_reason(err)}") from err
        except aiohttp.ClientConnectorError as err:
            raise StoreError(f"{store} cannot be reached: {type(err).__name__}") from err
        except _DROPPED as err:
            raise StoreDropped(f"{store} closed the connection") from err
        except TimeoutError as err:
            raise StoreError(f"{store} gave no answer within {self._timeout_s:g} s") from err
        except (aiohttp.ClientError, ssl.SSLError, ValueError, RetryTimeout, BotoCoreError) as err:
            raise StoreError(f"{store} cannot be reached: {type(err).__name__}") from err

    def _client(self) -> Client:
        if self._opened is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                # With it aiohttp asks two threads, for proxies and for a .netrc, before each request.
                trust_env=self._through_proxy and is_proxied(str(self._url)),
            )
            client = Client(
                AIOHTTP(session),
                _FoundKey(self._key),
                self._region,
                self._url,
                throttle_config=_Once(time_limit_secs=0),
            )
            self._opened = session, client
        return self._opened[1]


async def patient_query(
    queries: TableQueries, arguments: dict[str, Any], *, patience_s: float
) -> tuple[QueryPage, int]:
    """Return a page and how often it had to be asked for again: a hot partition throttles for milliseconds at a time.

    Raises:
        StoreError: the last one when ``patience_s`` is over, or at once if asking again is no use.
    """
    # The first try by itself: stamina's bookkeeping is a tenth of a query's CPU time, and most tables answer.
    until = time.monotonic() + patience_s - 2 * LONGEST_WAIT_S
    try:
        return await queries.query(**arguments), 0
    except (StoreThrottled, StoreDropped):
        if time.monotonic() >= until:
            raise
    await asyncio.sleep(random.uniform(0, FIRST_WAIT_S))
    async for attempt in stamina.retry_context(
        on=(StoreThrottled, StoreDropped),
        attempts=None,
        timeout=max(until - time.monotonic(), 0.001),
        wait_initial=FIRST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=FIRST_WAIT_S,
    ):
        with attempt:
            return await queries.query(**arguments), attempt.num
    raise AssertionError("retry_context ends with a return or a raise")


class _Once(RetryConfig):
    """aiodynamo's own repeating is bound to a client's time limit; ours to what is left of a request's."""

    def delays(self) -> Iterable[float]:
        return ()

    async def attempts(self) -> AsyncIterable[None]:
        yield
        raise RetryTimeout


class _FoundKey(Credentials):
    """A key of ours as aiodynamo wants it."""

    def __init__(self, find: Callable[[], AwsKey | None]) -> None:
        self._kept = KeptKey(find)

    async def get_key(self, http: HttpImplementation) -> Key | None:
        found = await self._kept.get()
        return None if found is None else Key(found.id, found.secret, found.token)

    def invalidate(self) -> bool:
        self._kept.forget()
        return True

    def is_disabled(self) -> bool:
        return False


def _reason(err: errors.AIODynamoError) -> str:
    # Never the body: a refusal quotes the query, and with it the account.
    return f"HTTP {err.status}" if isinstance(err, errors.UnknownError) else type(err).__name__
