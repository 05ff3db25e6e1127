"""Builds the runtime by the settings."""

import time
from typing import TYPE_CHECKING, Any

from service.calls.build import CallDesks, build_call_desks
from service.dashboards.reader import build_dashboards
from service.kit.frame.clock import wall_clock
from service.kit.records.shared_watch import SharedWatch
from service.kit.settings import Settings
from service.runtime.answering import build_answering
from service.runtime.conversing import build_conversing
from service.runtime.runtime import Runtime, Shared

if TYPE_CHECKING:
    from service.answers_kept.archive import Archive


def build_runtime(settings: Settings, *, guarded: bool = True) -> Runtime:
    """Build the clients that ``settings`` describes; contacts nothing.

    No setting turns access control off. ``guarded`` False does: the harness serves to itself on loopback and has neither
    token keys nor clients.

    Raises:
        ConfigurationError, PairError: a file that it reads is missing or wrong, or a required task does not exist.
    """
    # Imported here, so that a test with fakes does not load boto3, mlflow and litellm.
    from service.access.control import account_key, open_access
    from service.access.items import PARTITION as ACCESS
    from service.answers_kept.store import Summaries, build_summaries
    from service.kit.aws.clients import client
    from service.kit.aws.queries import DynamoQueries
    from service.kit.records.shared_state import open_shared_state
    from service.kit.telemetry.fields import set_account_key

    now = wall_clock(settings.clock_file)
    # One attempt in botocore: the history reader and the writers retry within their own time limits.
    dynamodb, s3 = (client(name, settings, attempts=1) for name in ("dynamodb", "s3"))
    queries = DynamoQueries.beside(dynamodb, settings)
    if guarded:  # otherwise account hashes use this process's random key
        set_account_key(account_key(settings))
    shared = open_shared_state(settings, dynamodb)
    watch = SharedWatch(shared)
    access = open_access(settings, shared) if guarded else None
    if access is not None:
        watch.on_change(ACCESS, access.refresh)
    bucket = _bucket(settings, s3)
    answering = build_answering(
        settings, shared=shared, watch=watch, queries=queries, dynamodb=dynamodb, bucket=bucket, now=now
    )
    summaries, calls = Summaries(), CallDesks()
    if bucket is not None:
        summaries = build_summaries(settings, queries=queries, dynamodb=dynamodb, s3=s3, now=now, clock=time.monotonic)
        calls = build_call_desks(settings, answering.cards, dynamodb=dynamodb, s3=s3, now=now)
    return Runtime(
        settings=settings,
        answering=answering,
        summaries=summaries,
        conversing=build_conversing(
            settings, queries=queries, dynamodb=dynamodb, bucket=bucket, now=now, guarded=guarded
        ),
        calls=calls,
        dashboards=build_dashboards(settings),
        shared=Shared(state=shared, watch=watch),
        access=access,
        now=now,
        disconnect=queries.aclose,
    )


def _bucket(settings: Settings, s3: Any) -> "Archive | None":
    """Return the bucket of answers, shadow answers and copies of releases; None in `local` without a local AWS."""
    if settings.environment == "local" and settings.aws.endpoint is None:
        return None
    from service.answers_kept.archive import Archive

    return Archive(s3, settings.stores.archive_bucket)
