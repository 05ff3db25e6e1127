"""Sends spans to an OTLP collector: off without an endpoint, in batches from a thread, dropped when the collector is slow.

Uses its own tracer provider. The process's global one belongs to MLflow's client, whose exporter must not run during requests.
Attribute names follow OpenTelemetry's semantic conventions, including GenAI. Spans hold no prompt, no answer and no account.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from service.kit.telemetry.fields import pseudonym_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator

SpanKindName = Literal["server", "client", "internal"]
AttributeValue = str | int | float | bool | Sequence[str]
_QUEUE, _BATCH, _DELAY_MS, _EXPORT_TIMEOUT_S, _STOP_S = 2048, 512, 2000, 2, 2.0


class Span:
    """A span that is not recorded; the base class of recorded spans."""

    __slots__ = ()

    @property
    def trace_id(self) -> str | None:
        """The trace id (32 hexadecimal digits), None when not recorded."""
        return None

    def set(self, name: str, value: AttributeValue | None) -> None:
        """Set an attribute; ignores the value None."""

    def fail(self, error_type: str) -> None:
        """Mark the span as failed with an error type of low cardinality; never a message, which may quote a customer."""


class _Recorded(Span):
    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    @property
    def trace_id(self) -> str | None:
        return format(self._span.get_span_context().trace_id, "032x")

    def set(self, name: str, value: AttributeValue | None) -> None:
        if value is not None:
            self._span.set_attribute(name, value)

    def fail(self, error_type: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))


_OFF = nullcontext(Span())  # for any number of blocks at once
_conversation: ContextVar[str | None] = ContextVar("conversation", default=None)
_trace_id: ContextVar[int | None] = ContextVar("trace_id", default=None)
_provider: Any = None
_tracer: Any = None


def start_tracing(
    endpoint: str,
    *,
    environment: str,
    share: float,
    headers: Mapping[str, str] | None = None,
    exporter: "SpanExporter | None" = None,
) -> None:
    """Start sending spans.

    Args:
        endpoint: base URL of an OTLP/HTTP collector; ``/v1/traces`` is appended.
        environment: set on each span's resource.
        share: fraction of traces to keep, 0 to 1; the caller's sampling decision in ``traceparent`` takes precedence.
        headers: HTTP headers of each batch.
        exporter: replaces the HTTP exporter, for tests.
    """
    global _provider, _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_S, headers=dict(headers or {})
        )
    stop_tracing()
    _provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": "omni-insights", "deployment.environment.name": environment}),
        id_generator=_ids(),
        shutdown_on_exit=False,  # it would wait for a hanging collector
    )
    _provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_QUEUE, max_export_batch_size=_BATCH, schedule_delay_millis=_DELAY_MS
        )
    )
    _tracer = _provider.get_tracer("omni-insights")


def stop_tracing() -> None:
    """Send the remaining spans, for at most two seconds, and stop recording. Safe to repeat."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        sending = threading.Thread(target=provider.shutdown, name="tracing-shutdown", daemon=True)
        sending.start()
        sending.join(_STOP_S)


def span(
    name: str,
    kind: SpanKindName = "internal",
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    traceparent: str | None = None,
    trace: str | None = None,
) -> AbstractContextManager[Span]:
    """Record the block as a child of the current span, or of the caller's ``traceparent``; does nothing when tracing is off.

    With ``trace`` the span has no parent, and all that name the same belong to one trace: also of other processes and later. So
    either all of them are kept or none, whatever the share.
    """
    return _OFF if _tracer is None else _recorded(_tracer, name, kind, attributes or {}, traceparent, trace)


def passed(name: str, began: datetime, ended: datetime, attributes: Mapping[str, AttributeValue] | None = None) -> None:
    """Record what has happened elsewhere, as a child of the current span; does nothing when tracing is off."""
    if _tracer is not None:
        recorded = _tracer.start_span(name, attributes=dict(attributes or {}), start_time=_nanoseconds(began))
        recorded.end(_nanoseconds(ended))


@contextmanager
def conversation(conversation_id: str | None) -> Iterator[None]:
    """Set ``gen_ai.conversation.id`` of all spans of this block, also in tasks that start there; None sets nothing.

    It is the id's pseudonym, as in the answers that are kept: a conversation's id may be a telephone number.
    """
    token = _conversation.set(None if conversation_id is None or _tracer is None else pseudonym_of(conversation_id))
    try:
        yield
    finally:
        _conversation.reset(token)


@contextmanager
def _recorded(
    tracer: Any,
    name: str,
    kind: SpanKindName,
    attributes: Mapping[str, AttributeValue],
    traceparent: str | None,
    trace: str | None,
) -> Iterator[Span]:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if (conversation_id := _conversation.get()) is not None:
        attributes = {**attributes, "gen_ai.conversation.id": conversation_id}
    parent = None if traceparent is None else TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    if trace is not None:
        parent = Context()
        _trace_id.set(int.from_bytes(hashlib.sha256(trace.encode()).digest()[:16]))
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=SpanKind[kind.upper()],
        attributes=dict(attributes),
        record_exception=False,  # its message may quote the customer
        set_status_on_exception=False,
    ) as recorded:
        _trace_id.set(None)
        yielded = _Recorded(recorded)
        try:
            yield yielded
        except BaseException as err:
            yielded.fail(type(err).__name__)
            raise


def _ids() -> "IdGenerator":
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class NamedTraces(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _trace_id.get() or super().generate_trace_id()

    return NamedTraces()


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000


def parse_headers(text: str) -> dict[str, str]:
    """Return ``name=value,name=value`` as a dictionary.

    Raises:
        ValueError: a part has no ``=``; the message does not show it, because it may be a key.
    """
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if any(not separator for _, separator, _ in parts):
        raise ValueError("expected name=value,name=value")
    return {name.strip(): value.strip() for name, _, value in parts}
