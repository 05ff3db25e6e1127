"""Exports metrics and spans while the application runs, to the destinations in the settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.kit.telemetry import log, metrics, tracing
from service.kit.telemetry.emf import EmfSink
from service.kit.telemetry.event_metrics import record


@contextmanager
def exporting(settings: Settings) -> Iterator[None]:
    """Derive metrics from log events, and export metrics and spans as ``settings`` say, while the block runs.

    Raises:
        ConfigurationError: the collector's headers cannot be read.
    """
    log.add_listener(record)
    sink = _emf_sink(settings)
    if sink is not None:
        metrics.add_sink(sink)
        sink.start()
    if settings.telemetry.otlp_endpoint is not None:
        given = settings.telemetry.otlp_headers.get_secret_value() if settings.telemetry.otlp_headers else ""
        try:
            headers = tracing.parse_headers(given)
        except ValueError as err:
            raise ConfigurationError(f"OMNI_OTLP_HEADERS: {err}") from None
        tracing.start_tracing(
            settings.telemetry.otlp_endpoint,
            environment=settings.environment,
            share=settings.telemetry.trace_share,
            headers=headers,
        )
    try:
        yield
    finally:
        tracing.stop_tracing()
        if sink is not None:
            metrics.remove_sink(sink)
            sink.stop()
        log.flush_log()


def _emf_sink(settings: Settings) -> EmfSink | None:
    wanted = settings.environment == "aws" if settings.telemetry.emf is None else settings.telemetry.emf
    return EmfSink(log.write_line, environment=settings.environment) if wanted else None
