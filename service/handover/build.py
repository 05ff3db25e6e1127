"""Opens the callbacks' store and the sealer of their numbers, by the settings."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from service.access.sealing import KmsSealer, Sealer
from service.aws.clients import client
from service.handover.book import SEALED_AS, CallbackBook
from service.handover.callback_store import CallbackStore
from service.handover.callback_table import CallbackTable
from service.settings import Settings


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
