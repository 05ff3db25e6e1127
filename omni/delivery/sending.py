"""Sends a report to any destination."""

from collections.abc import Mapping

from omni.delivery.destinations import (
    ArchiveDestination,
    BucketDestination,
    Destination,
    FolderDestination,
    SesDestination,
    SmtpDestination,
)
from omni.delivery.outgoing import Outgoing
from omni.records.opening import REPORTS_PREFIX
from service.kit.settings import Settings


def send(report: Outgoing, destination: Destination, settings: Settings, environment: Mapping[str, str]) -> str:
    """Send the report and return a remark for the operator, "" without one.

    Raises:
        DeliveryFailed: the destination did not take it.
    """
    if isinstance(destination, ArchiveDestination):
        destination = _archive(destination, settings)
    if isinstance(destination, FolderDestination):
        from omni.delivery.folder import put_into_folder

        return str(put_into_folder(report, destination, settings.root))
    if isinstance(destination, BucketDestination):
        from omni.delivery.bucket import put_into_bucket

        return put_into_bucket(report, destination, settings)
    if isinstance(destination, SmtpDestination):
        from omni.delivery.mail import send_by_smtp

        return send_by_smtp(report, destination, environment)
    if isinstance(destination, SesDestination):
        from omni.delivery.mail import send_by_ses

        send_by_ses(report, destination, settings)
        return ""
    from omni.delivery.chat import post_to_chat

    post_to_chat(report, destination, environment)
    return ""


def _archive(destination: ArchiveDestination, settings: Settings) -> FolderDestination | BucketDestination:
    from service.kit.records.shared_state import has_shared_state

    if not has_shared_state(settings):
        return FolderDestination(kind="folder", path=destination.path)
    prefix = f"{REPORTS_PREFIX}{settings.stage}/delivered/"
    return BucketDestination(kind="bucket", bucket=settings.stores.archive_bucket, prefix=prefix)
