"""The local AWS: ministack as a background process, with tables, buckets, queues and sample customers."""

import importlib.util

from service.kit.aws.endpoint import endpoint as endpoint
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local.daemon import Daemon, python_argv
from service.local.loopback import HOST, ensure_running

HEALTH_PATH = "/_ministack/health"


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
    """Deploy tables, buckets, queues and keys to ``settings.aws.endpoint``, and write the sample customers' history.

    Raises:
        ConfigurationError: a table of a name has other keys, or the template cannot be read.
        StoreError: the endpoint does not answer, or refuses the template.
    """
    from datetime import UTC, datetime

    from service.access.control import LOCAL_TENANT
    from service.calls.tenants.store import ConfiguredTenant, build_tenants
    from service.interactions.table import InteractionTable
    from service.kit.aws.clients import client
    from service.local.samples import sample_histories
    from service.local.stores.deploy import deploy_stores

    deploy_stores(settings)
    dynamodb = client("dynamodb", settings)
    store = InteractionTable(dynamodb, settings.stores.interactions_table)
    for account, interactions in sample_histories(datetime.now(UTC).date()).items():
        store.replace(account, interactions)
    build_tenants(settings, dynamodb=dynamodb).add(ConfiguredTenant(tenant=LOCAL_TENANT, name="Demo ConfiguredTenant"))
    dynamodb.close()
