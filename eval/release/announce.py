"""Sends releases and the gate's figures for them to the warehouse: one object each in the bucket, or rows in the local file.

All of it is verified first: the ledger's signed releases, the attestations that they name, and the figures whose digests the
attestations hold.
"""

import json
from dataclasses import dataclass
from typing import Any

from eval.release.ledger import Ledger
from eval.tracking.store import FIGURES_FILE
from figures.command_line import omni
from service.core.release.attestation import read_attestation
from service.core.release.release import Release
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings
from service.loading.objects import ReleasePromise, ReleaseRecord
from service.warehouse.events import SCHEMA_VERSION

UNKNOWN = "unknown"
BACKUP = "backup."  # prefix of the backup model's metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMessage:
    """One release as the warehouse stores it; ``missing`` says why the gate's figures are left out, None if they are there."""

    record: ReleaseRecord
    missing: str | None = None


def message_of(release: Release, ledger: Ledger) -> ReleaseMessage:
    """Return a verified release with the gate's figures, or without them if the evidence does not verify."""
    promises: tuple[ReleasePromise, ...] = ()
    version, missing = UNKNOWN, None
    try:
        promises = promises_of(_figures(release, ledger))
        version = ledger.tracking.pair_of(release.task, release.registry_version).version
    except RegistryError as err:
        missing = str(err)
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
        why=_why(release),
        attestation_digest=release.attestation,
        promises=promises,
        schema_version=SCHEMA_VERSION,
    )
    return ReleaseMessage(record=record, missing=missing)


def _figures(release: Release, ledger: Ledger) -> str:
    what = f"release {release.sequence}"
    envelope = ledger.attestation(release)
    if envelope is None:
        raise RegistryError(f"{what}: its gate attestation {release.attestation[:12]} is gone")
    attestation, _ = read_attestation(envelope, ledger.keys, f"the gate attestation of {what}")
    figures = ledger.tracking.artifact(release.gate_run_id, FIGURES_FILE)
    if figures is None or sha256_hex(figures) != attestation.figures_digest:
        state = "are gone" if figures is None else "were changed"
        raise RegistryError(f"{what}: the figures of MLflow run {release.gate_run_id} {state}")
    return figures


def promises_of(figures: str) -> tuple[ReleasePromise, ...]:
    """Return the metrics of a ``figures.json``: value, 95% interval and n; the backup model's are named ``backup.*``."""
    found: dict[str, Any] = json.loads(figures)
    return tuple(
        ReleasePromise(
            metric=prefix + name, **{field: metric[field] for field in ("value", "low", "high", "n", "unit")}
        )
        for group, prefix in (("metrics", ""), ("backup_metrics", BACKUP))
        for name, metric in found[group].items()
    )


def bucket_settings(settings: Settings) -> Settings | None:
    """Return settings for the bucket in AWS, at the configured endpoint, or in the running local stack; None without one."""
    if settings.environment == "aws" or settings.aws.endpoint is not None:
        return settings
    from service.local import aws
    from service.local.loopback import get_json

    endpoint = aws.endpoint(settings)
    if get_json(endpoint + aws.HEALTH_PATH) is None:
        return None
    return settings.model_copy(update={"aws_endpoint": endpoint})


def put_releases(messages: list[ReleaseMessage], settings: Settings) -> int:
    """Write each release into the bucket unless it is there; return how many were new."""
    from service.answers_kept.archive import Archive
    from service.kit.aws.clients import client

    s3 = client("s3", settings)
    archive = Archive(s3, settings.stores.archive_bucket)
    try:
        return sum(
            archive.put_json(one.record.object_key, one.record.model_dump_json()) == "written" for one in messages
        )
    finally:
        s3.close()


def export_releases(messages: list[ReleaseMessage], settings: Settings) -> int:
    """Write each release into the warehouse itself, through the loader's own checks; return how many rows were new or changed."""
    from contextlib import closing
    from datetime import UTC, datetime

    from service.core.redaction.texts import TextRedactor
    from service.loading.batch import prepare
    from service.loading.merging import merge_batch
    from service.loading.objects import Fetched
    from service.warehouse import open_warehouse

    items = [
        Fetched(key=one.record.object_key, etag="ledger", body=one.record.model_dump_json().encode())
        for one in messages
    ]
    batch = prepare(items, datetime.now(UTC), TextRedactor())
    if batch.dead:
        raise RegistryError(f"{batch.dead[0].key} is not loaded: {batch.dead[0].detail}")
    with closing(open_warehouse(settings)) as warehouse:
        warehouse.migrate()
        return merge_batch(warehouse, batch, datetime.now(UTC), bury=lambda dead: None, record=False).rows


def announce(release: Release, settings: Settings) -> str | None:
    """Write a new release into the bucket; return a warning, or None if it was written with the gate's figures.

    Does not raise: the release is valid even if the warehouse does not know of it yet.
    """
    from service.kit.frame.errors import ServiceError

    unknown = f"the warehouse does not know of release {release.sequence} yet"
    try:
        target = bucket_settings(settings)
        if target is None:
            return f"{unknown}: no local bucket is running; write it: {omni('releases', '--export', task=release.task)}"
        message = message_of(release, Ledger.open(release.task, settings))
        put_releases([message], target)
    except ServiceError as err:
        return f"{unknown}: {err}; send it later: {omni('releases', task=release.task)}"
    return None if message.missing is None else f"sent to the warehouse without the gate's figures: {message.missing}"


def _why(release: Release) -> str:
    """Return the reason with the exception under which the pair was released, for whoever reads the weekly report."""
    found = release.exception
    return release.why if found is None else f"{release.why} ({found.text(release.moment)})"
