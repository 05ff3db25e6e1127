"""Builds the loader from the settings."""

from functools import partial

from service.answers_kept.archive import Archive
from service.core.redaction.build import build_text_redactor
from service.kit.aws.clients import client
from service.kit.aws.event_queue import LONGEST_WAIT_S, EventQueue
from service.kit.records.tombstones import open_tombstones
from service.kit.settings import Settings
from service.loading.loader import Loader, Report
from service.warehouse import open_warehouse


def build_loader(settings: Settings, report: Report = lambda tally: None) -> tuple[Loader, Archive]:
    """Return a loader that passes each batch's tally to ``report``, and its archive, without contacting AWS.

    Raises:
        ConfigurationError: the redactor that the settings name cannot be used.
    """
    # A long poll may take 20 seconds, so the connection's time limit must be longer.
    patient = settings.model_copy(update={"store_timeout_s": LONGEST_WAIT_S + 10.0})
    bucket = settings.stores.archive_bucket
    archive = Archive(client("s3", settings), bucket)
    queue = EventQueue(client("sqs", patient), settings.stores.events_queue, bucket=bucket)
    opened = partial(open_warehouse, settings)
    redactor = build_text_redactor(settings)
    tombstones = open_tombstones(settings)
    return Loader(
        archive=archive, open_warehouse=opened, redactor=redactor, queue=queue, tombstones=tombstones, report=report
    ), archive
