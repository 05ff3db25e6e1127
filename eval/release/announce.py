"""Tells the warehouse of releases and of what the gate promised of them: an object each in the bucket, or rows of the local file.

Everything comes from what verifies: the ledger's signed releases, the attestations that they name, and the figures that these
fix by digest.
"""

import json
from dataclasses import dataclass
from typing import Any

from eval.release.evidence import FIGURES_FILE
from eval.release.ledger import Ledger
from eval.tracking.store import Tracking
from service.canonical import sha256_hex
from service.errors import RegistryError
from service.events import SCHEMA_VERSION
from service.loading.objects import ReleasePromise, ReleaseRecord
from service.release.attestation import read_attestation
from service.release.registry import check_store
from service.release.release import Release
from service.release.statements import TrustedKeys, load_trusted_keys
from service.settings import Settings

UNKNOWN = "unknown"
BACKUP = "backup."  # before the names of what was promised of the backup model


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One release as the warehouse will know it; ``lacking`` says what could not be verified and is left out."""

    record: ReleaseRecord
    lacking: str | None = None


class ReleaseDesk:
    """Reads the verified releases of one task."""

    def __init__(self, task: str, settings: Settings) -> None:
        """Open the store.

        Raises:
            RegistryError: it cannot be read.
            ConfigurationError: the trusted keys cannot be read.
        """
        check_store(settings.registry.uri)
        self._keys: TrustedKeys = load_trusted_keys(settings.trusted_keys_file)
        self._tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
        self._ledger = Ledger(task, self._tracking, settings, self._keys)

    def all(self) -> list[Told]:
        """Return every verified release, oldest first."""
        return [self.told(release) for release in reversed(self._ledger.releases())]

    def told(self, release: Release) -> Told:
        """Return one release with its promises, without them where the evidence does not verify."""
        promises: tuple[ReleasePromise, ...] = ()
        version, lacking = UNKNOWN, None
        try:
            promises = promises_of(self._figures(release))
            version = self._tracking.pair_of(release.task, release.registry_version).version
        except RegistryError as err:
            lacking = str(err)
        record = ReleaseRecord(
            task=release.task,
            environment=release.environment,
            sequence=release.sequence,
            kind=release.kind,
            pair=release.pair_name,
            pair_digest=release.pair_digest,
            prompt_version=version,
            registry_version=release.registry_version,
            released_at=release.moment,
            released_by=release.who,
            why=release.why,
            attestation_digest=release.attestation,
            promises=promises,
            schema_version=SCHEMA_VERSION,
        )
        return Told(record=record, lacking=lacking)

    def _figures(self, release: Release) -> str:
        what = f"release {release.sequence}"
        envelope = self._ledger.attestation(release)
        if envelope is None:
            raise RegistryError(f"{what}: its gate attestation {release.attestation[:12]} is gone")
        attestation, _ = read_attestation(envelope, self._keys, f"the gate attestation of {what}")
        figures = self._tracking.artifact(release.gate_run_id, FIGURES_FILE)
        if figures is None or sha256_hex(figures) != attestation.figures_digest:
            state = "are gone" if figures is None else "were changed"
            raise RegistryError(f"{what}: the figures of MLflow run {release.gate_run_id} {state}")
        return figures


def promises_of(figures: str) -> tuple[ReleasePromise, ...]:
    """Return the metrics of a ``figures.json``: value, 95% interval and n; those of the backup model are called ``backup.*``."""
    found: dict[str, Any] = json.loads(figures)
    return tuple(
        ReleasePromise(
            metric=prefix + name, **{field: metric[field] for field in ("value", "low", "high", "n", "unit")}
        )
        for group, prefix in (("metrics", ""), ("backup_metrics", BACKUP))
        for name, metric in found[group].items()
    )


def bucket_settings(settings: Settings) -> Settings | None:
    """Return settings that point at the bucket: AWS's, a named endpoint's, or the local stack's while it runs; else None."""
    if settings.environment == "aws" or settings.aws.endpoint is not None:
        return settings
    from service.local import aws
    from service.local.loopback import get_json

    endpoint = aws.endpoint(settings)
    if get_json(endpoint + aws.HEALTH_PATH) is None:
        return None
    return settings.model_copy(update={"aws_endpoint": endpoint})


def put_releases(told: list[Told], settings: Settings) -> int:
    """Write each release into the bucket unless it is there; return how many were new.

    Raises:
        StoreError: the bucket does not take one.
    """
    from service.aws.clients import client
    from service.summaries.archive import Archive

    s3 = client("s3", settings)
    archive = Archive(s3, settings.stores.archive_bucket)
    try:
        return sum(archive.put_json(one.record.object_key, one.record.model_dump_json()) == "written" for one in told)
    finally:
        s3.close()


def export_releases(told: list[Told], settings: Settings) -> int:
    """Write each release into the warehouse itself, through the loader's own checks; return how many rows were new or changed.

    Raises:
        WarehouseError: it does not take them.
        RegistryError: one of them does not pass the loader's checks.
    """
    from contextlib import closing
    from datetime import UTC, datetime

    from service.loading.batch import prepare
    from service.loading.merging import merge_batch
    from service.loading.objects import Fetched
    from service.warehouse import open_warehouse

    items = [
        Fetched(key=one.record.object_key, etag="ledger", body=one.record.model_dump_json().encode()) for one in told
    ]
    batch = prepare(items, datetime.now(UTC))
    if batch.dead:
        raise RegistryError(f"{batch.dead[0].key} is not loaded: {batch.dead[0].detail}")
    with closing(open_warehouse(settings)) as warehouse:
        warehouse.migrate()
        return merge_batch(warehouse, batch, datetime.now(UTC), bury=lambda dead: None, record=False).rows


def announce(release: Release, settings: Settings) -> str | None:
    """Tell the bucket of a release that was just made; return a line about it, None when all is well.

    A release that nobody told the warehouse of is a release all the same: nothing is raised.
    """
    from service.errors import ServiceError

    again = f"; tell it later: omni releases --task {release.task}"
    try:
        target = bucket_settings(settings)
        if target is None:
            return (
                f"the warehouse does not know of release {release.sequence} yet: no bucket runs here{again} [--export]"
            )
        told = ReleaseDesk(release.task, settings).told(release)
        put_releases([told], target)
    except ServiceError as err:
        return f"the warehouse does not know of release {release.sequence} yet: {err}{again}"
    return None if told.lacking is None else f"without the gate's promises: {told.lacking}"
