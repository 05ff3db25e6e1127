"""Opens the place that the settings name: DynamoDB and S3 if an AWS is set, otherwise the state folder."""

from dataclasses import dataclass

from omni.records.disk import DiskObjects, DiskRecords
from omni.records.port import Objects, Records
from service.kit.settings import Settings

REPORTS_PREFIX = "omni-reports/"  # in the bucket of the answers; then the stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPlace:
    """Records and objects of one schedule."""

    records: Records
    objects: Objects


def open_place(settings: Settings) -> SharedPlace:
    """Return where the schedule keeps its state.

    With OMNI_ENVIRONMENT=aws or OMNI_AWS_ENDPOINT it is shared by every machine with this AWS and stage.
    """
    from service.kit.records.shared_state import open_shared_state

    state = open_shared_state(settings)
    if state is None:
        folder = settings.state_dir / "schedule"
        return SharedPlace(records=DiskRecords(folder), objects=DiskObjects(folder / "outbox"))
    from omni.records.shared import BucketObjects, SharedRecords
    from service.kit.aws.clients import client

    bucket = BucketObjects(
        client("s3", settings), settings.stores.archive_bucket, prefix=f"{REPORTS_PREFIX}{settings.stage}/"
    )
    return SharedPlace(records=SharedRecords(state), objects=bucket)
