"""The entry point of the phone's function in AWS Lambda."""

from functools import cache

from service.channels.phone.build import phone_function
from service.channels.phone.function import PhoneFunction
from service.kit.settings import Settings
from service.kit.telemetry.log import configure_logging, flush_log


def lambda_handler(event: object, context: object) -> dict[str, str]:
    """Answer one invocation by a flow."""
    try:
        return _opened().handle(event)
    finally:
        flush_log()  # Lambda stops the process between two invocations


@cache
def _opened() -> PhoneFunction:
    """Open once per process: clients outlive an invocation."""
    settings = Settings()
    configure_logging(settings.telemetry.log_level)
    return phone_function(settings)
