"""Queries DynamoDB, and puts items into it, on the event loop for requests, with aiodynamo over aiohttp.

A call takes 0.25 ms of CPU here, and 1.5 to 2.5 ms and a thread with boto3; a request makes two queries and one put. Code that
does not serve requests uses boto3.
"""

import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
from aiodynamo import errors
from aiodynamo.client import Client
from aiodynamo.credentials import Credentials, Key
from aiodynamo.http.types import HttpImplementation, Request, RequestFailed, Response
from aiodynamo.models import RetryConfig, RetryTimeout
from botocore.exceptions import BotoCoreError
from yarl import URL

from service.kit.aws.bounded import PASSING, STORE_RETRIES, ItemChanged, StoreDropped, StoreThrottled, StoreTimedOut
from service.kit.aws.clients import AwsKey, KeptKey, is_proxied, key_finder
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

QueryPage = dict[str, Any]
# With more queries at once, a query waits for a connection.
_CONNECTIONS = 256
_THROTTLES = (
    *(errors.ProvisionedThroughputExceeded, errors.RequestLimitExceeded, errors.Throttled),
    *(errors.TransactionConflict, errors.TransactionInProgress),
)
_BUSY = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
# Errors of a kept connection that the other side has closed meanwhile.
_DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class TableQueries(Protocol):
    """Queries tables, with arguments and answers in DynamoDB's JSON."""

    async def query(self, **arguments: Any) -> QueryPage:
        """Return one page.

        Raises:
            StoreThrottled: the table throttled the query.
            StoreDropped: the connection broke; retry on a new one.
            StoreError: the table did not answer, or refused the query.
        """


class TablePuts(Protocol):
    """Puts items into tables, with arguments in DynamoDB's JSON."""

    async def put(self, **arguments: Any) -> None:
        """Put one item.

        Raises:
            ItemChanged: the item does not meet the condition of ``arguments``.
            StoreError: as for ``TableQueries.query``.
        """


class TableTransactions(Protocol):
    """Makes several writes or none of them, with arguments in DynamoDB's JSON."""

    async def write_together(self, **arguments: Any) -> None:
        """Make all writes of ``arguments``.

        Raises:
            ItemChanged: an item does not meet its condition.
            StoreThrottled: another write of one of the items is on its way, or the table throttled.
            StoreError: as for ``TableQueries.query``.
        """


class EventLoopTables(TableQueries, TablePuts, TableTransactions, Protocol):
    """All of them, as a service's stores need them."""


class DynamoQueries:
    """Implements ``EventLoopTables`` on the event loop of its first call, until ``aclose``.

    A call is bounded by ``timeout_s`` and not retried.
    """

    def __init__(
        self, *, url: str, region: str, key: Callable[[], AwsKey | None], timeout_s: float, through_proxy: bool
    ) -> None:
        """``key`` returns the key that signs requests; it may block, and runs in a thread once a minute."""
        self._url = URL(url)
        self._region = region
        self._key = key
        self._timeout_s = timeout_s
        self._through_proxy = through_proxy
        self._opened: tuple[aiohttp.ClientSession, Client] | None = None

    @classmethod
    def beside(cls, client: Any, settings: Settings) -> Self:
        """Return queries with the endpoint, region and key of a boto3 client that ``service.kit.aws.clients.client`` built."""
        return cls(
            url=client.meta.endpoint_url,
            region=client.meta.region_name,
            key=key_finder(settings),
            timeout_s=settings.stores.timeout_s,
            through_proxy=settings.aws.endpoint is None,  # a stand-in on loopback is not reached through a proxy
        )

    async def __aenter__(self) -> Self:
        """Return self without opening a connection; leaving the context closes the connections."""
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
        return await self._send("Query", arguments)

    async def put(self, **arguments: Any) -> None:
        """See ``TablePuts.put``."""
        await self._send("PutItem", arguments)

    async def write_together(self, **arguments: Any) -> None:
        """See ``TableTransactions.write_together``."""
        await self._send("TransactWriteItems", arguments)

    async def _send(self, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        store = f"table {_table_of(arguments)!r}"
        try:
            return await self._client().send_request(action=action, payload=arguments)
        except _THROTTLES as err:
            raise StoreThrottled(f"{store} refuses: {type(err).__name__}") from err
        except errors.ConditionalCheckFailed as err:
            raise ItemChanged(f"{store}: the item is not as expected") from err
        except errors.TransactionCanceled as err:
            if "ConditionalCheckFailed" in _reasons(err):
                raise ItemChanged(f"{store}: an item is not as expected") from err
            if not _BUSY.isdisjoint(_reasons(err)):
                raise StoreThrottled(f"{store} is busy with another write") from err
            raise StoreError(f"{store} refuses: {_reason(err)}") from err
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
            raise StoreTimedOut(f"{store} gave no answer within {self._timeout_s:g} s") from err
        except (aiohttp.ClientError, ssl.SSLError, ValueError, RetryTimeout, BotoCoreError) as err:
            raise StoreError(f"{store} cannot be reached: {type(err).__name__}") from err

    def _client(self) -> Client:
        if self._opened is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                # With trust_env aiohttp runs two lookups in threads (proxies and .netrc) before each request.
                trust_env=self._through_proxy and is_proxied(str(self._url)),
            )
            client = Client(
                _OneHost(session),
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
    """Return a page and the number of retries: a hot partition throttles for milliseconds at a time.

    Raises:
        StoreError: the last error after ``patience_s`` seconds, or an error that a retry cannot fix.
    """
    attempts = 0

    def ask() -> Awaitable[QueryPage]:
        nonlocal attempts
        attempts += 1
        return queries.query(**arguments)

    # The last attempt needs time of its own.
    page = await STORE_RETRIES.run_async(ask, on=PASSING, timeout_s=patience_s - STORE_RETRIES.longest_s)
    return page, attempts - 1


class _OneHost:
    """Sends aiodynamo's requests; its own adapter follows a redirect, and would take a query's key to another host."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, request: Request) -> Response:
        try:
            async with self._session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            ) as answer:
                return Response(answer.status, await answer.read())
        except aiohttp.ClientError as err:
            raise RequestFailed(err) from err


class _Once(RetryConfig):
    """Disables aiodynamo's retries, which know only a time limit per client: we retry within what is left of a request's."""

    def delays(self) -> Iterable[float]:
        return ()

    async def attempts(self) -> AsyncIterable[None]:
        yield
        raise RetryTimeout


class _FoundKey(Credentials):
    """Adapts ``KeptKey`` to aiodynamo's ``Credentials``."""

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


def _table_of(arguments: dict[str, Any]) -> str:
    if "TableName" in arguments:
        return str(arguments["TableName"])
    (write,) = arguments["TransactItems"][0].values()
    return str(write["TableName"])


def _reasons(err: errors.TransactionCanceled) -> set[str]:
    return {reason.code for reason in err.cancellation_reasons if reason is not None}


def _reason(err: errors.AIODynamoError) -> str:
    # Not the response body, which quotes the query and with it the account.
    return f"HTTP {err.status}" if isinstance(err, errors.UnknownError) else type(err).__name__
