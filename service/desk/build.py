"""Opens the stores of callbacks and handovers, and the sealer of numbers, by the settings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from service.access.sealing import KmsSealer, Sealer
from service.desk.callback import SEALED_AS, CallbackBook, CallbackStore
from service.desk.handover import HandoverStore
from service.desk.queue import HandoverQueue
from service.kit.aws.clients import client
from service.kit.aws.stores import CALLBACKS, HANDOVERS
from service.kit.records.build import open_rows
from service.kit.settings import Settings


class OpenCallbacks(NamedTuple):
    """Where callbacks are kept, and what opens their numbers."""

    store: CallbackStore
    sealer: Sealer


def open_callbacks(settings: Settings, dynamodb: Any = None) -> OpenCallbacks:
    """Return the table and the KMS key of ``settings``, which name an AWS. Contacts nothing.

    ``dynamodb`` is a boto3 client to use; one is built if it is None.
    """
    store = CallbackStore(open_rows(settings, CALLBACKS, dynamodb), scope=settings.stage)
    sealer = KmsSealer(partial(client, "kms", settings), settings.stores.callbacks_kms_key, sealed_as=SEALED_AS)
    return OpenCallbacks(store=store, sealer=sealer)


def callback_book(settings: Settings, now: Callable[[], datetime], dynamodb: Any = None) -> CallbackBook:
    """Return the book of callbacks of ``settings``, which name an AWS. Contacts nothing."""
    opened = open_callbacks(settings, dynamodb)
    return CallbackBook(store=opened.store, sealer=opened.sealer, now=now)


def open_handovers(settings: Settings, now: Callable[[], datetime], dynamodb: Any = None) -> HandoverQueue:
    """Return the queue of handovers: in the table that all tasks share, in `local` without an AWS in memory. Contacts nothing."""
    store = HandoverStore(open_rows(settings, HANDOVERS, dynamodb), scope=settings.stage)
    # A page asks at least as often as its customer is told something; one that missed several has been closed.
    left_after = timedelta(seconds=4 * settings.stores.handover_update_s + 60)
    return HandoverQueue(store=store, now=now, left_after=left_after)
