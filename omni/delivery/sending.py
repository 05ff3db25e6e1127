"""Sends a report to any destination."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from omni.delivery.chat import post_to_chat
from omni.delivery.destinations import (
    ArchiveDestination,
    BucketDestination,
    Destination,
    FolderDestination,
    SesDestination,
    SmtpDestination,
)
from omni.delivery.mail import send_by_ses, send_by_smtp
from omni.delivery.outgoing import DeliveryFailed, Outgoing, delivering
from omni.records import REPORTS_PREFIX
from service.kit.settings import Settings


def send(report: Outgoing, destination: Destination, settings: Settings, environment: Mapping[str, str]) -> str:
    """Send the report and return a remark for the operator, "" without one.

    Raises:
        DeliveryFailed: the destination did not take it.
    """
    if isinstance(destination, ArchiveDestination):
        destination = _archive(destination, settings)
    if isinstance(destination, FolderDestination):
        return str(put_into_folder(report, destination, settings.root))
    if isinstance(destination, BucketDestination):
        return put_into_bucket(report, destination, settings)
    if isinstance(destination, SmtpDestination):
        return send_by_smtp(report, destination, environment)
    if isinstance(destination, SesDestination):
        send_by_ses(report, destination, settings)
        return ""
    post_to_chat(report, destination, environment)
    return ""


def _archive(destination: ArchiveDestination, settings: Settings) -> FolderDestination | BucketDestination:
    from service.kit.records.shared_state import has_shared_state

    if not has_shared_state(settings):
        return FolderDestination(kind="folder", path=destination.path)
    prefix = f"{REPORTS_PREFIX}{settings.stage}/delivered/"
    return BucketDestination(kind="bucket", bucket=settings.stores.archive_bucket, prefix=prefix)


def put_into_folder(report: Outgoing, destination: FolderDestination, root: Path) -> Path:
    """Write all files of the report and ``message.txt``, and return their folder; a folder that exists stays as it is.

    Raises:
        DeliveryFailed: the folder cannot be written.
    """
    shelf = root / destination.path
    folder = shelf / report.report_id
    temporary = shelf / f".{report.report_id}.{secrets.token_hex(4)}.tmp"
    try:
        if folder.is_dir():
            return folder
        temporary.mkdir(parents=True)
        for file in report.files:
            (temporary / file.name).write_bytes(file.content)
        (temporary / "message.txt").write_text(report.text(), encoding="utf-8")
        temporary.rename(folder)
    except OSError as err:
        raise DeliveryFailed(f"{folder} cannot be written: {err.strerror or type(err).__name__}", passing=True) from err
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def put_into_bucket(report: Outgoing, destination: BucketDestination, settings: Settings) -> str:
    """Write all files of the report, then ``message.txt``, and return their place; the same report has the same keys.

    Raises:
        DeliveryFailed: the bucket refuses them or cannot be reached.
    """
    folder = f"{destination.prefix}{report.report_id}/"
    message = ("message.txt", "text/plain", report.text().encode())
    with delivering("s3", f"bucket {destination.bucket!r}", settings) as s3:
        for name, media_type, content in (*((f.name, f.media_type, f.content) for f in report.files), message):
            kind = f"{media_type}; charset=utf-8"
            s3.put_object(Bucket=destination.bucket, Key=folder + name, Body=content, ContentType=kind)
    return f"s3://{destination.bucket}/{folder}"
