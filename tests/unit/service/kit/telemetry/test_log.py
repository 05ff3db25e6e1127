"""Figures from events, CloudWatch's format, spans and correlation ids."""

import io
import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.api.http.correlation import correlation
from service.kit.telemetry import event_metrics, metrics, tracing
from service.kit.telemetry.emf import EmfSink
from service.kit.telemetry.log import Event
from service.kit.telemetry.log_writer import LineWriter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def _delta(instrument, event, fields, **labels):
    before = metrics.total(instrument, **labels)
    event_metrics.record(event, fields)
    return metrics.total(instrument, **labels) - before


USED = {"tool": "pay", "outcome": "done", "latency_ms": 3.0}
ANSWERED = {"model_used": "nova-lite", "arm": "primary", "degraded": False, "cost_usd": "0.0002", "cache_hit": False}


@pytest.mark.parametrize(
    ("event", "fields", "instrument", "labels", "expected"),
    [
        (Event.REQUEST_COMPLETED, ANSWERED, metrics.ANSWERS, {"model": "nova-lite", "arm": "primary"}, 1),
        (Event.REQUEST_COMPLETED, ANSWERED, metrics.COST, {"model": "nova-lite"}, 1),
        (Event.REQUEST_COMPLETED, ANSWERED, metrics.SUMMARY_REUSE, {"hit": "false"}, 1),
        (Event.REQUEST_COMPLETED, ANSWERED, metrics.MISSES, {}, 0),
        (Event.REQUEST_COMPLETED, ANSWERED | {"cost_usd": None}, metrics.COST, {}, 0),  # unknown is not free
        (Event.REQUEST_COMPLETED, ANSWERED | {"degraded": True}, metrics.DEGRADED, {}, 1),
        (Event.REQUEST_COMPLETED, ANSWERED | {"arm": "none"}, metrics.MISSES, {"why": "NO_INTERACTIONS"}, 1),
        (Event.REQUEST_FAILED, {"failure_code": "DEADLINE"}, metrics.FAILURES, {"code": "DEADLINE"}, 1),
        (Event.REQUEST_FAILED, {"failure_code": "DEADLINE"}, metrics.MISSES, {"why": "DEADLINE"}, 1),
        (Event.REQUEST_FAILED, {"failure_code": "INVALID_REQUEST"}, metrics.FAILURES, {}, 0),
        (Event.REQUEST_FAILED, {"failure_code": "INVALID_REQUEST"}, metrics.REJECTED, {"code": "INVALID_REQUEST"}, 1),
        (Event.BEDROCK_INVOKE_FAILURE, {"failure_code": "QUOTA_EXCEEDED"}, metrics.THROTTLES, {}, 1),
        (Event.BEDROCK_INVOKE_FAILURE, {"failure_code": "UPSTREAM_UNAVAILABLE"}, metrics.THROTTLES, {}, 0),
        (Event.BEDROCK_INVOKE_TIMEOUT, {"model": "m"}, metrics.TIMEOUTS, {"dependency": "bedrock"}, 1),
        (
            Event.BEDROCK_INVOKE_SUCCESS,
            {"model": "m", "cache_read_tokens": 5},
            metrics.PROMPT_CACHE,
            {"hit": "true"},
            1,
        ),
        (Event.BEDROCK_INVOKE_SUCCESS, {"model": "t", "output_tokens": 7}, metrics.TOKENS, {"kind": "output"}, 7),
        (Event.BEDROCK_INVOKE_SUCCESS, {"model": "t", "latency_ms": 7}, metrics.MODEL_LATENCY, {"model": "t"}, 1),
        (Event.BEDROCK_INVOKE_CANCELLED, {"model": "t"}, metrics.CANCELLED, {"model": "t"}, 1),
        (Event.CALL_SETTLED, {"tenant": "t", "state": "done"}, metrics.CALLS, {"tenant": "t", "state": "done"}, 1),
        (Event.CALL_SETTLED, {"tenant": "t", "state": "failed"}, metrics.CALLS_ENDED, {"failed": "true"}, 1),
        (Event.CALL_SETTLED, {"tenant": "t", "state": "needs_review"}, metrics.CALLS_ENDED, {"failed": "false"}, 1),
        (Event.CALL_SETTLED, {"state": "waiting"}, metrics.CALLS_ENDED, {"failed": "false"}, 0),
        (Event.CALLS_CHECKED, {"stuck": 3}, metrics.CALLS_STUCK, {}, 1),
        (Event.AGREEMENT_CHECKED, {"fallen": 2}, metrics.AGREEMENT_FALLEN, {}, 1),
        (Event.APPROVALS_CHECKED, {"drift": 1}, metrics.APPROVAL_FINDINGS, {"finding": "drift"}, 1),
        (Event.JUDGE_MEASURED, {"fallen": 1}, metrics.JUDGES_FALLEN, {}, 1),
        (Event.REQUEST_COMPLETED, ANSWERED, metrics.APPROVALS, {}, 0),
        (Event.REQUEST_COMPLETED, ANSWERED | {"approved": False}, metrics.APPROVALS, {"approved": "false"}, 1),
        (Event.CALL_SCORED, {"tenant": "t", "duration_s": 90.5}, metrics.CALL_SECONDS, {"tenant": "t"}, 90.5),
        (Event.CALL_SCORED, {"tenant": "t", "cost_usd": "0.004"}, metrics.CALL_COST, {"tenant": "t"}, 1),
        (Event.CALL_SCORED, {"tenant": "t"}, metrics.CALL_COST, {"tenant": "t"}, 0),
        (Event.CALLBACK_SETTLED, {"state": "closed"}, metrics.CALLBACKS, {"state": "closed"}, 1),
        (Event.CALLBACK_SETTLED, {"promise": "broken"}, metrics.CALLBACK_PROMISES, {"outcome": "broken"}, 1),
        (Event.CALLBACK_SETTLED, {"promise": None}, metrics.CALLBACK_PROMISES, {}, 0),
        (Event.VOICEMAIL_CLOSED, {"promise": "broken"}, metrics.CALLBACK_PROMISES, {"outcome": "broken"}, 1),
        (Event.VOICEMAILS_CHECKED, {"overdue": 2}, metrics.VOICEMAILS_OVERDUE, {}, 1),
        (Event.CALLBACKS_CHECKED, {"overdue": 2}, metrics.CALLBACKS_OVERDUE, {}, 1),
        (Event.HANDOVER_ENTERED, {"reason": "other"}, metrics.HANDOVERS, {"reason": "other"}, 1),
        (Event.HANDOVER_TAKEN, {"latency_ms": 9}, metrics.QUEUE_TIME, {}, 1),
        (Event.HANDOVER_TAKEN, {"latency_ms": 9}, metrics.SERVICE_LEVEL, {}, 1),
        (Event.HANDOVER_ENDED, {"outcome": "callback"}, metrics.HANDOVER_ENDS, {"outcome": "callback"}, 1),
        (Event.HANDOVER_ENDED, {"outcome": "resolved"}, metrics.SERVICE_LEVEL, {}, 0),
        (Event.HANDOVERS_CHECKED, {"waiting": 2}, metrics.QUEUE_SIZE, {}, 1),
        (Event.TOOL_USED, USED, metrics.TOOL_USES, {"tool": "pay", "outcome": "done"}, 1),
        (Event.TOOL_USED, USED, metrics.TOOL_LATENCY, {"tool": "pay"}, 1),
        (Event.TOOL_USED, USED, metrics.TOOL_FAILURES, {}, 0),
        (Event.TOOL_USED, USED | {"outcome": "failed"}, metrics.TOOL_FAILURES, {}, 1),
        (Event.TOOL_USED, USED | {"outcome": "too_late"}, metrics.TOOL_FAILURES, {}, 1),
        (Event.BEDROCK_INVOKE_FAILURE, {"model": "m"}, metrics.MODEL_ERRORS, {"model": "m"}, 1),
        (Event.TOOL_USED, USED | {"outcome": "refused"}, metrics.TOOL_USES, {"outcome": "refused"}, 1),
        (Event.TOOL_USED, USED | {"outcome": "refused"}, metrics.TOOL_LATENCY, {}, 0),
        (Event.ROLLOUT_STOPPED, {"reason": "failures"}, metrics.ROLLOUTS_STOPPED, {}, 1),
        (Event.FEEDBACK_RECORDED, {"feedback": "not_helpful"}, metrics.RATINGS, {"feedback": "not_helpful"}, 1),
        (Event.SHARED_STATE_UNREACHABLE, {"reason": "down"}, metrics.SHARED_OUTAGES, {}, 1),
        (Event.SUMMARY_UNKEPT, {"reason": "down"}, metrics.UNKEPT, {}, 1),
        (Event.DYNAMODB_QUERY_SUCCESS, {"latency_ms": 3}, metrics.STORE_LATENCY, {"store": "dynamodb"}, 1),
        (Event.DYNAMODB_QUERY_FAILURE, {"latency_ms": 3}, metrics.STORE_ERRORS, {"store": "dynamodb"}, 1),
    ],
)
@pytest.mark.acceptance(
    "figure.omni_answers",
    "figure.omni_tool_failures",
    "figure.omni_model_errors",
    "figure.omni_calls",
    "figure.omni_call_seconds",
    "figure.omni_call_cost_usd",
    "figure.omni_degraded",
    "figure.omni_failures",
    "figure.omni_rejected",
    "figure.omni_summary_misses",
    "figure.omni_summary_reuse",
    "figure.omni_prompt_cache",
    "figure.omni_throttles",
    "figure.omni_timeouts",
    "figure.omni_callbacks",
    "figure.omni_callback_promises",
    "figure.omni_calls_stuck",
    "figure.omni_agreement_fallen",
    "figure.omni_approvals",
    "figure.omni_approval_findings",
    "figure.omni_judges_fallen",
    "figure.omni_callbacks_overdue",
    "figure.omni_voicemails_overdue",
    "figure.omni_handovers",
    "figure.omni_handover_ends",
    "figure.omni_calls_ended",
    "figure.omni_tool_uses",
    "figure.omni_tool_latency_ms",
    "figure.omni_cancelled",
    "figure.omni_tokens",
    "figure.omni_store_errors",
    "figure.omni_shared_outages",
    "figure.omni_unkept",
    "figure.omni_rollouts_stopped",
    "figure.omni_ratings",
    "figure.omni_model_latency_ms",
    "figure.omni_store_latency_ms",
    "figure.omni_cost_usd",
)
def test_an_event_updates_its_metrics(event, fields, instrument, labels, expected):
    assert _delta(instrument, event, fields, **labels) == expected


@pytest.mark.acceptance("figure.omni_latency_ms")
def test_emf_lines_follow_the_format_and_lose_no_value():
    lines = []
    sink = EmfSink(lines.append, environment="aws", now=lambda: 1_700_000_000.0)
    for value in range(205):
        sink(metrics.LATENCY, ("/x",), float(value))
    sink(metrics.FAILURES, ("DEADLINE",), 1)
    sink(metrics.FAILURES, ("DEADLINE",), 2)
    sink(metrics.DEGRADED, (), 1)
    sink.flush()
    rows = [json.loads(line) for line in lines]
    failures = next(row for row in rows if "Failures" in row)
    assert failures == {
        "_aws": {
            "Timestamp": 1_700_000_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "OmniInsights",
                    "Dimensions": [["environment"], ["environment", "code"]],
                    "Metrics": [{"Name": "Failures", "Unit": "Count"}],
                }
            ],
        },
        "environment": "aws",
        "code": "DEADLINE",
        "Failures": 3,
    }
    assert next(row for row in rows if "Degraded" in row)["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [
        ["environment"]
    ]
    parts = [row["Latency"] for row in rows if "Latency" in row]
    assert [len(part) for part in parts] == [100, 100, 5]
    assert [value for part in parts for value in part] == [float(value) for value in range(205)]
    sink.flush()
    assert len(lines) == len(rows), "a second flush repeats nothing"


def test_emf_writes_what_is_left_when_it_stops():
    lines = []
    sink = EmfSink(lines.append, environment="local", flush_s=3600)
    sink.start()
    sink(metrics.DEGRADED, (), 1)
    sink.stop()
    assert len(lines) == 1


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.start_tracing("http://unused", environment="local", share=1.0, exporter=exporter)
    yield lambda: (tracing._provider.force_flush(), exporter.get_finished_spans())[1]
    tracing.stop_tracing()


def test_spans_nest_under_the_callers_and_hold_no_message(spans):
    secret = "customer 1234567890 is furious"

    def fail():
        with (
            tracing.span("POST", "server", traceparent=PARENT),
            tracing.span("chat m", "client", {"gen_ai.request.model": "m"}) as inner,
        ):
            assert inner.trace_id == TRACE
            raise ValueError(secret)

    with pytest.raises(ValueError, match="furious"):
        fail()
    chat, post = spans()
    assert chat.parent.span_id == post.context.span_id
    assert post.parent.span_id == 0x00F067AA0BA902B7
    assert chat.attributes == {"gen_ai.request.model": "m", "error.type": "ValueError"}
    assert secret not in chat.to_json() + post.to_json()


def test_a_caller_who_does_not_sample_decides(spans):
    with tracing.span("POST", "server", traceparent=PARENT[:-2] + "00"):
        pass
    assert spans() == ()


def test_spans_of_one_name_share_a_trace_and_have_no_parent(spans):
    with tracing.span("turn", trace="acme/call-1"):
        with tracing.span("step"):
            pass
        with tracing.span("rows", trace="acme/call-2"):
            pass
    with tracing.span("turn", trace="acme/call-1"):
        pass
    with tracing.span("other"):
        pass
    step, rows, first, second, other = spans()
    assert first.context.trace_id == second.context.trace_id == step.context.trace_id
    assert step.parent.span_id == first.context.span_id
    assert [one.parent for one in (first, rows, second, other)] == [None] * 4
    assert len({one.context.trace_id for one in (first, rows, other)}) == 3


def test_a_named_trace_is_kept_whole_or_not_at_all():
    exporter = InMemorySpanExporter()
    tracing.start_tracing("http://unused", environment="local", share=0.5, exporter=exporter)
    for _ in range(3):
        for number in range(40):
            with tracing.span("turn", trace=f"acme/call-{number}"):
                pass
    tracing._provider.force_flush()
    kept = Counter(span.context.trace_id for span in exporter.get_finished_spans())
    tracing.stop_tracing()
    assert set(kept.values()) == {3}
    assert 0 < len(kept) < 40


def test_what_passed_elsewhere_has_its_own_times(spans):
    began = datetime(2026, 11, 23, 9, tzinfo=UTC)
    with tracing.span("turn"):
        tracing.passed("wait", began, began + timedelta(minutes=4))
    wait, turn = spans()
    assert wait.end_time - wait.start_time == 240 * 10**9
    assert wait.start_time == int(began.timestamp()) * 10**9
    assert wait.parent.span_id == turn.context.span_id


def test_nothing_is_recorded_when_off():
    tracing.stop_tracing()
    with tracing.span("x") as span:
        span.set("a", 1)
        assert span.trace_id is None


@pytest.mark.acceptance("promise-18")
def test_a_collector_that_hangs_blocks_no_request_and_no_shutdown():
    hangs = threading.Event()

    class Hanging(SpanExporter):
        def export(self, batch):
            hangs.wait(30)
            return SpanExportResult.FAILURE

        def shutdown(self):
            hangs.wait(30)

    tracing.start_tracing("http://unused", environment="local", share=1.0, exporter=Hanging())
    started = time.monotonic()
    for _ in range(5000):  # more than the queue holds
        with tracing.span("x"):
            pass
    tracing.stop_tracing()
    waited = time.monotonic() - started
    hangs.set()
    assert waited < 25, "it waited for the collector"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ("req-1", None)),
        ([(b"x-correlation-id", b"5003x00001ABC")], ("5003x00001ABC", None)),
        ([(b"traceparent", PARENT.encode())], (TRACE, PARENT)),
        ([(b"x-correlation-id", b"a"), (b"traceparent", PARENT.encode())], ("a", PARENT)),
        ([(b"x-correlation-id", b'evil"\r\nX: y')], ("req-1", None)),
        ([(b"x-correlation-id", b"a" * 129)], ("req-1", None)),
        ([(b"x-correlation-id", "\u00e9".encode("latin-1"))], ("req-1", None)),
        ([(b"traceparent", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01")], ("req-1", None)),
        ([(b"traceparent", b"nonsense")], ("req-1", None)),
    ],
)
@pytest.mark.acceptance("header.X-Correlation-Id")
def test_a_correlation_id_that_is_unsafe_to_log_is_ignored(headers, expected):
    assert correlation(headers, "req-1") == expected


def test_headers_of_a_collector():
    assert tracing.parse_headers("a=b, x-key=c=d") == {"a": "b", "x-key": "c=d"}
    with pytest.raises(ValueError, match="name=value") as caught:
        tracing.parse_headers("secret")
    assert "secret" not in str(caught.value)


def test_a_gauge_reads_its_value_at_each_scrape():
    held = [3.0]
    metrics.gauge("omni_test_gauge", "test", lambda: held[0])
    held[0] = 4.0
    assert metrics.REGISTRY.get_sample_value("omni_test_gauge") == 4.0


class _Stuck(io.StringIO):
    """Standard output that nobody reads until ``read`` is set."""

    def __init__(self):
        super().__init__()
        self.read = threading.Event()

    def write(self, text):
        self.read.wait(30)
        return super().write(text)


def test_log_lines_keep_their_order_and_are_all_there_after_a_flush():
    out = io.StringIO()
    writer = LineWriter(out)
    for number in range(5000):
        writer.msg(str(number))
    assert writer.flush(20)
    assert out.getvalue().splitlines() == [str(number) for number in range(5000)]
    writer.info("later")
    assert writer.flush(20)
    assert out.getvalue().endswith("\nlater\n")


def test_a_line_that_arrives_while_the_thread_goes_idle_is_written():
    class Wake(threading.Event):
        late = 1

        def clear(self):
            if self.late:
                self.late -= 1
                writer.msg("late")  # finds the flag set, and wakes nobody
            super().clear()

    out = io.StringIO()
    writer = LineWriter(out)
    writer._wake = Wake()
    writer.msg("first")
    until = time.monotonic() + 10
    while "late" not in out.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    assert out.getvalue().splitlines() == ["first", "late"]
    assert writer.flush(20)


@pytest.mark.acceptance("figure.omni_log_lines_dropped", "promise-18")
def test_a_stalled_reader_loses_lines_and_delays_no_request():
    out = _Stuck()
    writer = LineWriter(out, most_waiting=10)
    before = metrics.total(metrics.LOG_DROPPED)
    for number in range(100):
        writer.msg(str(number))  # would not return if it waited for the reader
    assert not writer.flush(0.05)
    assert metrics.total(metrics.LOG_DROPPED) - before >= 80
    out.read.set()
    assert writer.flush(20)
    assert out.getvalue().splitlines()[0] == "0"
