"""Which AWS a command asks: the local one, where the environment is ``local`` and no endpoint is set."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.settings import Settings


def endpoint(settings: Settings) -> str:
    """Return the base URL of the local AWS."""
    return f"http://127.0.0.1:{settings.local.aws_port}"


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
