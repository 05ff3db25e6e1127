"""The metrics of a running service: counters and histograms, exported to Prometheus and CloudWatch.

Most metrics are derived from log events (``service/kit/telemetry/event_metrics.py``); other code calls ``count`` and
``observe`` with an instrument from the list below. A label never holds an id, an account or text, because each label
value is a time series that costs money.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Histogram as PrometheusHistogram

MetricUnit = Literal["Count", "Milliseconds", "None"]  # CloudWatch's units; "None" is a plain number, here USD
# Finer around the agreed times of 2 s, 5 s (deadline) and 8 s; reused summaries take less than 100 ms.
_LATENCY_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6500, 8000, 15000)
_COST_BOUNDS_USD = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)

REGISTRY = CollectorRegistry()


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter. ``name`` is the Prometheus name without ``_total``, ``emf`` the CloudWatch name.

    ``of`` caches the series of each combination of labels, because Prometheus looks it up under a lock.
    """

    name: str
    emf: str
    what: str
    labels: tuple[str, ...] = ()
    unit: MetricUnit = "Count"
    series: PrometheusCounter = field(init=False, repr=False, compare=False)
    of: dict[tuple[str, ...], PrometheusCounter] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", PrometheusCounter(self.name, self.what, self.labels, registry=REGISTRY))


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram; ``bounds`` are Prometheus's upper bucket bounds, CloudWatch gets the values."""

    name: str
    emf: str
    what: str
    labels: tuple[str, ...] = ()
    unit: MetricUnit = "Milliseconds"
    bounds: tuple[float, ...] = _LATENCY_BOUNDS_MS
    series: PrometheusHistogram = field(init=False, repr=False, compare=False)
    of: dict[tuple[str, ...], PrometheusHistogram] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = PrometheusHistogram(self.name, self.what, self.labels, buckets=self.bounds, registry=REGISTRY)
        object.__setattr__(self, "series", made)


Instrument = Counter | Histogram


def _size(name: str, emf: str, what: str, bounds: tuple[float, ...]) -> Histogram:
    return Histogram(name, emf, what, unit="Count", bounds=bounds)


def _rate(name: str, emf: str, what: str) -> Histogram:
    """Return a histogram of ones and zeros, whose mean is the rate."""
    return Histogram(name, emf, what, unit="None", bounds=(0, 1))


REQUESTS = Counter("omni_requests", "Requests", "Requests answered, by route and HTTP status", ("path", "status"))
ANSWERS = Counter("omni_answers", "Answers", "Answers given, by what answered", ("model", "arm"))
DEGRADED = Counter("omni_degraded", "Degraded", "Answers that no model gave in time")
FAILURES = Counter("omni_failures", "Failures", "Requests without an answer, by failure code", ("code",))
REJECTED = Counter("omni_rejected", "Rejected", "Requests refused because of what the client sent", ("code",))
MISSES = Counter(
    "omni_summary_misses", "SummaryMisses", "Requests that ended with no summary of interactions", ("why",)
)
SUMMARY_REUSE = Counter(
    "omni_summary_reuse", "SummaryReuse", "Answers by whether a stored summary was reused", ("hit",)
)
PROMPT_CACHE = Counter(
    "omni_prompt_cache", "PromptCache", "Model answers by whether a cached prefix was read", ("hit",)
)
THROTTLES = Counter("omni_throttles", "Throttles", "Calls that a dependency throttled", ("dependency",))
TIMEOUTS = Counter("omni_timeouts", "Timeouts", "Calls that a dependency did not answer in time", ("dependency",))
CANCELLED = Counter("omni_cancelled", "Cancelled", "Model calls cancelled because the other arm won", ("model",))
TOKENS = Counter("omni_tokens", "Tokens", "Metered tokens", ("model", "kind"))
STORE_ERRORS = Counter("omni_store_errors", "StoreErrors", "Store operations that failed", ("store",))
SPOOLED = Counter("omni_spooled", "Spooled", "Answers that wait on disk because a store did not take them")
SHARED_OUTAGES = Counter(
    "omni_shared_outages", "SharedOutages", "Times that the table that all tasks share began not to answer"
)
UNKEPT = Counter("omni_unkept", "Unkept", "Answers sent before DynamoDB had confirmed them")
LOG_DROPPED = Counter("omni_log_lines_dropped", "LogLinesDropped", "Log lines that nobody read in time")
CALLS = Counter(
    "omni_calls", "Calls", "Recorded calls by how they ended; a tenant is no id of a person", ("tenant", "state")
)
CALL_SECONDS = Counter(
    "omni_call_seconds", "CallSeconds", "Length of recorded calls that a model scored, in seconds", ("tenant",)
)
CALLS_ENDED = Counter(
    "omni_calls_ended", "CallsEnded", "Recorded calls that ended, by whether they failed", ("failed",)
)
TOOL_USES = Counter(
    "omni_tool_uses", "ToolUses", "Uses of tools, those that were refused included", ("tool", "outcome")
)
TOOL_FAILURES = Counter(
    "omni_tool_failures", "ToolExecutionErrors", "Uses of tools that failed or were too late; refused ones are none"
)
MODEL_ERRORS = Counter("omni_model_errors", "ModelErrors", "Model calls that failed or were too late", ("model",))
CONVERSATIONS = Counter("omni_conversations", "Conversations", "Conversations that began", ("channel",))
CONVERSATION_ENDS = Counter(
    "omni_conversation_ends", "ConversationEnds", "Conversations that ended, by how", ("resolution",)
)
TURNS = Counter(
    "omni_conversation_turns",
    "ConversationTurns",
    "Answered turns, by whether a hallucination was found",
    ("hallucination",),
)
VALIDATIONS = Counter("omni_validations", "Validations", "Validated turns, by outcome", ("outcome",))
VALIDATION_TIMEOUTS = Counter(
    "omni_validation_timeouts", "ValidationTimeouts", "Answers that were not checked in time, and not shown"
)
HALLUCINATIONS = Counter(
    "omni_hallucinations", "HallucinationsFound", "Statements that nothing supports", ("kind", "severity")
)
AUDIT_UNKEPT = Counter("omni_audit_unkept", "AuditUnkept", "Audit records that the log has and a store has not")
ROLLOUTS_STOPPED = Counter("omni_rollouts_stopped", "RolloutsStopped", "Rollouts that stopped by themselves")
RATINGS = Counter("omni_ratings", "Ratings", "Answers that agents rated, by verdict", ("feedback",))
APPROVALS = Counter(
    "omni_approvals", "Approvals", "Answers that a pair itself approved or refused, such as messages", ("approved",)
)
REGISTRY_LOOKS = Counter(
    "omni_registry_looks", "RegistryLooks", "Looks at the registry, by whether they found nothing to serve", ("failed",)
)
WORKER_ROUNDS = Counter("omni_worker_rounds", "WorkerRounds", "Rounds that a worker began: its heartbeat", ("worker",))
CALLBACKS = Counter("omni_callbacks", "Callbacks", "Rings of callbacks by what became of them", ("state",))
CALLBACK_PROMISES = Counter(
    "omni_callback_promises", "CallbackPromises", "Promised callbacks by whether they were rung in time", ("outcome",)
)
HANDOVERS = Counter("omni_handovers", "Handovers", "Customers who began to wait for a person", ("reason",))
HANDOVER_ENDS = Counter("omni_handover_ends", "HandoverEnds", "Handovers that ended, by how", ("outcome",))
LATENCY = Histogram("omni_latency_ms", "Latency", "Whole request, milliseconds", ("path",))
MODEL_LATENCY = Histogram("omni_model_latency_ms", "ModelLatency", "One model call, milliseconds", ("model",))
TOOL_LATENCY = Histogram("omni_tool_latency_ms", "ToolLatency", "One use of a tool, milliseconds", ("tool",))
STORE_LATENCY = Histogram("omni_store_latency_ms", "StoreLatency", "One store operation, milliseconds", ("store",))
CONVERSATION_LENGTH = _size(
    "omni_conversation_length",
    "ConversationLength",
    "Customer's messages in a conversation that ended",
    (1, 2, 3, 5, 8, 12, 20, 50, 200),
)
COST = Histogram("omni_cost_usd", "Cost", "One answer, USD", ("model",), unit="None", bounds=_COST_BOUNDS_USD)
CALL_COST = Histogram(
    "omni_call_cost_usd", "CallCost", "One scored call, USD", ("tenant",), unit="None", bounds=_COST_BOUNDS_USD
)
CALLS_STUCK = _size(
    "omni_calls_stuck", "CallsStuck", "Calls that nobody takes up, at each look", (0, 1, 2, 5, 10, 20, 50, 100)
)
AGREEMENT_FALLEN = _size(
    "omni_agreement_fallen",
    "AgreementFallen",
    "Criteria on which people confirm the model less than before, at each look",
    (0, 1, 2, 5, 10),
)
APPROVAL_FINDINGS = Histogram(
    "omni_approval_findings",
    "ApprovalFindings",
    "What the daily look at approvals found, by kind of finding",
    ("finding",),
    unit="Count",
    bounds=(0, 1, 2, 5, 10),
)
JUDGES_FALLEN = _rate(
    "omni_judges_fallen",
    "JudgesFallen",
    "1: a pair's judge agrees with the labels less than when it was first measured, beyond chance; else 0",
)
CALLBACKS_OVERDUE = _size(
    "omni_callbacks_overdue",
    "CallbacksOverdue",
    "Open callbacks whose promised time is over, at each look",
    (0, 1, 2, 5, 10, 20, 50),
)
QUEUE_SIZE = _size(
    "omni_queue_size", "QueueSize", "Customers who wait for a person, at each look", (0, 1, 2, 5, 10, 20, 50, 100)
)
QUEUE_TIME = Histogram(
    "omni_queue_time_ms",
    "AverageQueueTime",  # CloudWatch averages the values
    "How long a customer waited until a person took over, milliseconds",
    bounds=(5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000),
)
ABANDONMENT_RATE = _rate("omni_abandonment", "AbandonmentRate", "1: a customer left before anybody took over; else 0")
CALLBACK_REQUEST_RATE = _rate(
    "omni_callback_request", "CallbackRequestRate", "1: a handover ended with a callback; else 0"
)
SERVICE_LEVEL = _rate("omni_service_level", "ServiceLevel", "1: taken over within 30 s; 0: later, or left after 30 s")
CANARY_ANSWERED = _rate(
    "omni_canary_answered",
    "CanaryAnswered",
    "1: a model answered about the canary account, asked each minute as a customer asks; else 0",
)
KEYS_UNUSABLE = _size(
    "omni_keys_unusable",
    "KeysUnusable",
    "KMS keys that are disabled or wait for their deletion, at each look",
    (0, 1, 2, 5),
)
VOICEMAILS_OVERDUE = _size(
    "omni_voicemails_overdue",
    "VoicemailsOverdue",
    "Open messages of callers whose promised time is over, at each look",
    (0, 1, 2, 5, 10, 20, 50),
)

INSTRUMENTS: tuple[Instrument, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Counter | Histogram)
)

Sink = Callable[[Instrument, tuple[str, ...], float], None]
_sinks: list[Sink] = []


def count(counter: Counter, *labels: str, by: float = 1) -> None:
    """Add ``by`` (not negative) to ``counter``; ``labels`` are its label values in order. Takes about 2 µs."""
    series = counter.of.get(labels)
    if series is None:
        series = counter.of[labels] = counter.series.labels(*labels) if labels else counter.series
    series.inc(by)
    for sink in _sinks:
        sink(counter, labels, by)


def observe(histogram: Histogram, value: float, *labels: str) -> None:
    """Record one ``value`` in the histogram's unit; label values as for ``count``."""
    series = histogram.of.get(labels)
    if series is None:
        series = histogram.of[labels] = histogram.series.labels(*labels) if labels else histogram.series
    series.observe(value)
    for sink in _sinks:
        sink(histogram, labels, value)


def gauge(name: str, what: str, read: Callable[[], float]) -> None:
    """Register a gauge that calls ``read`` at each scrape; replaces a gauge of the same name."""
    made = _gauges.get(name)
    if made is None:
        made = _gauges[name] = Gauge(name, what, registry=REGISTRY)
    made.set_function(read)


_gauges: dict[str, Gauge] = {}


def total(instrument: Instrument, **labels: str) -> float:
    """Return a counter's value, or a histogram's number of observations, summed over all series with ``labels``."""
    wanted = f"{instrument.name}_{'total' if isinstance(instrument, Counter) else 'count'}"
    return sum(
        sample.value
        for family in instrument.series.collect()
        for sample in family.samples
        if sample.name == wanted and labels.items() <= sample.labels.items()
    )


def add_sink(sink: Sink) -> None:
    """Also pass every value to ``sink``, which must be quick and must not raise."""
    _sinks.append(sink)


def remove_sink(sink: Sink) -> None:
    """Stop passing values to ``sink``; an unknown sink is ignored."""
    if sink in _sinks:
        _sinks.remove(sink)
