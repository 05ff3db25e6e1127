"""Puts a report into an S3 bucket, under a prefix of its own."""

from botocore.exceptions import BotoCoreError

from omni.delivery.destinations import BucketDestination
from omni.delivery.outgoing import DeliveryFailed, Outgoing
from service.kit.aws.bounded import StoreDropped, StoreThrottled, translated
from service.kit.aws.clients import client
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

_TIMEOUT_S = 30.0


def put_into_bucket(report: Outgoing, destination: BucketDestination, settings: Settings) -> str:
    """Write all files of the report, then ``message.txt``, and return their place; the same report has the same keys.

    Raises:
        DeliveryFailed: the bucket refuses them or cannot be reached.
    """
    folder = f"{destination.prefix}{report.report_id}/"
    message = ("message.txt", "text/plain", report.text().encode())
    s3 = client("s3", settings.model_copy(update={"store_timeout_s": _TIMEOUT_S}), attempts=1)
    try:
        with translated(f"bucket {destination.bucket!r}"):
            for name, media_type, content in (*((f.name, f.media_type, f.content) for f in report.files), message):
                kind = f"{media_type}; charset=utf-8"
                s3.put_object(Bucket=destination.bucket, Key=folder + name, Body=content, ContentType=kind)
    except StoreError as err:
        passing = isinstance(err, StoreThrottled | StoreDropped) or isinstance(err.__cause__, BotoCoreError)
        raise DeliveryFailed(str(err), passing=passing) from err
    finally:
        s3.close()
    return f"s3://{destination.bucket}/{folder}"
