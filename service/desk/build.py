"""Opens the stores of callbacks and handovers, and the sealer of numbers, by the settings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from service.access.sealing import KmsSealer, Sealer
from service.desk.book import SEALED_AS, CallbackBook
from service.desk.callback_store import CallbackStore
from service.desk.callback_table import CallbackTable
from service.desk.handover_store import HandoversInMemory, HandoverStore
from service.desk.handover_table import HandoverTable
from service.desk.queue import HandoverQueue
from service.kit.aws.clients import client
from service.kit.settings import Settings


class OpenCallbacks(NamedTuple):
    """Where callbacks are kept, and what opens their numbers."""

    store: CallbackStore
    sealer: Sealer


def open_callbacks(settings: Settings, dynamodb: Any = None) -> OpenCallbacks:
    """Return the table and the KMS key of ``settings``, which name an AWS. Contacts nothing.

    ``dynamodb`` is a boto3 client to use; one is built if it is None.
    """
    stores = settings.stores
    table = CallbackTable(
        client("dynamodb", settings, attempts=1) if dynamodb is None else dynamodb,
        stores.callbacks_table,
        scope=settings.stage,
        timeout_s=stores.timeout_s,
    )
    sealer = KmsSealer(partial(client, "kms", settings), stores.callbacks_kms_key, sealed_as=SEALED_AS)
    return OpenCallbacks(store=table, sealer=sealer)


def callback_book(settings: Settings, now: Callable[[], datetime], dynamodb: Any = None) -> CallbackBook:
    """Return the book of callbacks of ``settings``, which name an AWS. Contacts nothing."""
    opened = open_callbacks(settings, dynamodb)
    return CallbackBook(store=opened.store, sealer=opened.sealer, now=now)


def open_handovers(settings: Settings, now: Callable[[], datetime], dynamodb: Any = None) -> HandoverQueue:
    """Return the queue of handovers: in the table that all tasks share, in `local` without an AWS in memory. Contacts nothing."""
    stores = settings.stores
    store: HandoverStore = HandoversInMemory()
    if settings.environment != "local" or settings.aws.endpoint is not None:
        store = HandoverTable(
            client("dynamodb", settings, attempts=1) if dynamodb is None else dynamodb,
            stores.handovers_table,
            scope=settings.stage,
            timeout_s=stores.timeout_s,
        )
    # A page asks at least as often as its customer is told something; one that missed several has been closed.
    left_after = timedelta(seconds=4 * stores.handover_update_s + 60)
    return HandoverQueue(store=store, now=now, left_after=left_after)
