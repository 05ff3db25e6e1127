"""The local AWS: ministack as a background process, with tables, buckets, queues and sample customers."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.errors import ConfigurationError, StoreError
from service.local.daemon import Daemon, python_argv
from service.local.loopback import HOST, ensure_running
from service.settings import Settings

HEALTH_PATH = "/_ministack/health"


def endpoint(settings: Settings) -> str:
    """Return the base URL of the local AWS."""
    return f"http://{HOST}:{settings.local.aws_port}"


def with_endpoint(settings: Settings) -> Settings:
    """Return ``settings`` for a command that asks the local AWS which the service started; it is not started here."""
    if settings.environment != "local" or settings.aws.endpoint is not None:
        return settings
    return settings.model_copy(update={"aws_endpoint": endpoint(settings)})


@contextmanager
def reached() -> Iterator[Settings]:
    """Settings ``with_endpoint`` for a command; an unreachable store is reported with what to do.

    Raises:
        ConfigurationError: a store did not answer in the ``with`` block.
    """
    settings = with_endpoint(Settings())
    try:
        yield settings
    except StoreError as err:
        do = (
            "start the local AWS with omni serve or omni up" if settings.environment == "local" else "check its address"
        )
        raise ConfigurationError(f"{err}; {do}, or set OMNI_AWS_ENDPOINT to the one that the service uses") from err


def ministack(settings: Settings) -> Daemon:
    """Return the background process. Its state is under ``settings.state_dir``; a SIGKILL loses the last seconds."""
    state = settings.state_dir / "ministack"
    return Daemon(
        name="ministack",
        argv=python_argv("service.local.saved_aws"),
        run_dir=settings.state_dir / "run",
        env={
            "BIND_HOST": HOST,  # by default it listens on every interface
            "GATEWAY_PORT": str(settings.local.aws_port),
            "IOT_MTLS_ENABLED": "0",  # otherwise it also listens on port 8883 of every interface
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "LOG_LEVEL": "WARNING",
        },
    )


def start(settings: Settings) -> bool:
    """Start ministack unless it runs, create what is missing and load samples; return whether it was started. Safe to repeat.

    Raises:
        ConfigurationError: ministack is not installed, its port is taken, or it does not start.
        StoreError: it runs but refuses the tables or samples.
    """
    if importlib.util.find_spec("ministack") is None:
        raise ConfigurationError(
            "the package ministack is not installed: run make setup (it is a development dependency)"
        )
    started, _ = ensure_running(
        ministack(settings), port=settings.local.aws_port, health_path=HEALTH_PATH, port_setting="OMNI_LOCAL_AWS_PORT"
    )
    load(settings.model_copy(update={"aws_endpoint": endpoint(settings)}))
    return started


def load(settings: Settings) -> None:
    """Create tables, buckets and queues at ``settings.aws.endpoint``, and write the sample customers' history.

    Raises:
        StoreError: the endpoint does not answer.
    """
    from datetime import UTC, datetime

    from service.access.control import LOCAL_TENANT
    from service.access.sealing import create_sealing_key
    from service.aws.clients import client
    from service.aws.event_queue import create_queue
    from service.aws.shared_state import create_shared_table
    from service.calls.store.form_store import FormStore, create_config_table
    from service.calls.store.states import create_jobs_table
    from service.interactions.table import InteractionTable, create_table
    from service.local.samples import sample_histories
    from service.summaries.answer_table import create_answer_table
    from service.summaries.archive import create_bucket
    from service.summaries.outbox_table import create_outbox_table
    from service.summaries.table import create_summary_table

    dynamodb = client("dynamodb", settings)
    create_table(dynamodb, settings.stores.interactions_table)
    store = InteractionTable(dynamodb, settings.stores.interactions_table)
    for account, interactions in sample_histories(datetime.now(UTC).date()).items():
        store.replace(account, interactions)
    create_summary_table(dynamodb, settings.summaries.table)
    create_outbox_table(dynamodb, settings.summaries.outbox_table)
    create_answer_table(dynamodb, settings.summaries.answers_table)
    create_config_table(dynamodb, settings.stores.config_table)
    create_shared_table(dynamodb, settings.stores.shared_table)
    _create_conversation_tables(dynamodb, settings)
    forms = FormStore(
        dynamodb, settings.stores.config_table, timeout_s=settings.stores.timeout_s, now=lambda: datetime.now(UTC)
    )
    forms.add_tenant(LOCAL_TENANT, "Demo Tenant")
    s3 = client("s3", settings)
    create_bucket(s3, settings.stores.archive_bucket)
    sqs = client("sqs", settings)
    create_queue(
        sqs, s3, settings.stores.events_queue, bucket=settings.stores.archive_bucket, prefixes=_announced_prefixes()
    )
    create_jobs_table(dynamodb, settings.calls.table)
    for bucket in (settings.calls.bucket, settings.calls.results_bucket):
        create_bucket(s3, bucket)
    # Only calls arrive in this bucket, so the queue is notified of every object, whatever its key.
    create_queue(sqs, s3, settings.calls.queue, bucket=settings.calls.bucket, prefixes=("",))
    kms = client("kms", settings)
    create_sealing_key(kms, settings.access.kms_key, what="the keys that sign access tokens")
    create_sealing_key(kms, settings.stores.callbacks_kms_key, what="the telephone numbers of callbacks")
    for made in (dynamodb, s3, sqs, kms):
        made.close()


def _create_conversation_tables(dynamodb: Any, settings: Settings) -> None:
    """Create the tables of conversations and of what is left of them for people."""
    from service.audit.stores import create_finding_table
    from service.conversations.table import create_conversation_table
    from service.handover.callback_table import create_callback_table
    from service.handover.handover_table import create_handover_table
    from service.phone.voicemail_table import create_voicemail_table

    create_conversation_table(dynamodb, settings.stores.conversations_table)
    create_callback_table(dynamodb, settings.stores.callbacks_table)
    create_handover_table(dynamodb, settings.stores.handovers_table)
    create_voicemail_table(dynamodb, settings.stores.voicemails_table)
    create_finding_table(dynamodb, settings.stores.findings_table)


def _announced_prefixes() -> tuple[str, ...]:
    """Return where objects are put that the warehouse loads."""
    from service.audit.record import AUDIT_PREFIX
    from service.summaries.answer_record import ANSWER_FEEDBACK_PREFIX, ANSWERS_PREFIX
    from service.summaries.record import FEEDBACK_PREFIX, PROCESSED_PREFIX, RELEASES_PREFIX

    return PROCESSED_PREFIX, FEEDBACK_PREFIX, ANSWERS_PREFIX, ANSWER_FEEDBACK_PREFIX, RELEASES_PREFIX, AUDIT_PREFIX
