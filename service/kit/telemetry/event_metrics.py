"""Derives metrics from log events, so that dashboards and the log always agree (decision 0017)."""

from collections.abc import Callable, Mapping

from service.kit.frame.errors import FailureCode
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, Field

Fields = Mapping[str, Field]
_BEDROCK, _DYNAMODB = "bedrock", "dynamodb"
_SERVED_WITHIN_MS = 30_000  # who leaves sooner than that says nothing about the service
_ENDS_OF_CALLS = frozenset({"done", "needs_review", "failed"})
_OUR_FAILURES = frozenset(code.value for code in FailureCode)


def record(event: Event, fields: Fields) -> None:
    """Update the metrics that ``event`` affects; an event without metrics costs one dictionary lookup."""
    counted = _RECORDERS.get(event)
    if counted is not None:
        counted(fields)


def _completed(fields: Fields) -> None:
    model, arm = str(fields.get("model_used")), str(fields.get("arm"))
    metrics.count(metrics.ANSWERS, model, arm)
    if fields.get("degraded"):
        metrics.count(metrics.DEGRADED)
    if arm == "none":
        metrics.count(metrics.MISSES, "NO_INTERACTIONS")
    if "cache_hit" in fields:
        metrics.count(metrics.SUMMARY_REUSE, _yes(fields["cache_hit"]))
    cost = fields.get("cost_usd")
    if cost is not None:
        metrics.observe(metrics.COST, float(cost), model)
    if "approved" in fields:
        metrics.count(metrics.APPROVALS, _yes(fields["approved"]))


def _failed(fields: Fields) -> None:
    code = str(fields.get("failure_code"))
    if code in _OUR_FAILURES:
        metrics.count(metrics.FAILURES, code)
        metrics.count(metrics.MISSES, code)
    else:
        metrics.count(metrics.REJECTED, code)


def _model_answered(fields: Fields) -> None:
    model = str(fields.get("model"))
    metrics.observe(metrics.MODEL_LATENCY, _number(fields, "latency_ms"), model)
    read = _number(fields, "cache_read_tokens")
    metrics.count(metrics.PROMPT_CACHE, _yes(read > 0))
    for kind in ("input_tokens", "output_tokens", "cache_read_tokens"):
        metrics.count(metrics.TOKENS, model, kind.removesuffix("_tokens"), by=_number(fields, kind))


def _model_failed(fields: Fields) -> None:
    metrics.count(metrics.MODEL_ERRORS, str(fields.get("model")))
    metrics.observe(metrics.MODEL_LATENCY, _number(fields, "latency_ms"), str(fields.get("model")))
    if fields.get("failure_code") == FailureCode.QUOTA_EXCEEDED.value:
        metrics.count(metrics.THROTTLES, _BEDROCK)


def _model_timed_out(fields: Fields) -> None:
    metrics.count(metrics.MODEL_ERRORS, str(fields.get("model")))
    metrics.observe(metrics.MODEL_LATENCY, _number(fields, "latency_ms"), str(fields.get("model")))
    metrics.count(metrics.TIMEOUTS, _BEDROCK)


def _history_read(fields: Fields) -> None:
    metrics.observe(metrics.STORE_LATENCY, _number(fields, "latency_ms"), _DYNAMODB)


def _history_failed(fields: Fields) -> None:
    _history_read(fields)
    metrics.count(metrics.STORE_ERRORS, _DYNAMODB)


def _call_scored(fields: Fields) -> None:
    tenant = str(fields.get("tenant"))
    metrics.count(metrics.CALL_SECONDS, tenant, by=_number(fields, "duration_s"))
    if fields.get("cost_usd") is not None:
        metrics.observe(metrics.CALL_COST, _number(fields, "cost_usd"), tenant)


def _call_settled(fields: Fields) -> None:
    # Events of an object without a tenant, or of a call that only waits, are not counted.
    state = str(fields.get("state"))
    metrics.count(metrics.CALLS, str(fields.get("tenant", "none")), state)
    if state in _ENDS_OF_CALLS:
        metrics.count(metrics.CALLS_ENDED, _yes(state == "failed"))


def _callback_settled(fields: Fields) -> None:
    metrics.count(metrics.CALLBACKS, str(fields.get("state")))
    promise = fields.get("promise")
    if promise is not None:
        metrics.count(metrics.CALLBACK_PROMISES, str(promise))


def _handover_taken(fields: Fields) -> None:
    waited_ms = _number(fields, "latency_ms")
    metrics.observe(metrics.QUEUE_TIME, waited_ms)
    metrics.observe(metrics.SERVICE_LEVEL, waited_ms <= _SERVED_WITHIN_MS)


def _handover_ended(fields: Fields) -> None:
    outcome = str(fields.get("outcome"))
    metrics.count(metrics.HANDOVER_ENDS, outcome)
    left = outcome == "abandoned" and fields.get("state") == "waiting"
    metrics.observe(metrics.ABANDONMENT_RATE, left)
    metrics.observe(metrics.CALLBACK_REQUEST_RATE, outcome == "callback")
    if left and _number(fields, "latency_ms") > _SERVED_WITHIN_MS:
        metrics.observe(metrics.SERVICE_LEVEL, 0)


def _tool_used(fields: Fields) -> None:
    tool, outcome = str(fields.get("tool")), str(fields.get("outcome"))  # a tool that no pair names is "unknown"
    metrics.count(metrics.TOOL_USES, tool, outcome)
    if outcome in ("failed", "too_late"):
        metrics.count(metrics.TOOL_FAILURES)
    if outcome != "refused":
        metrics.observe(metrics.TOOL_LATENCY, _number(fields, "latency_ms"), tool)


def _approvals_checked(fields: Fields) -> None:
    for finding in ("drift", "refusals", "confirmed", "cost"):
        metrics.observe(metrics.APPROVAL_FINDINGS, _number(fields, finding), finding)


def _conversation_ended(fields: Fields) -> None:
    metrics.count(metrics.CONVERSATION_ENDS, str(fields.get("outcome")))
    metrics.observe(metrics.CONVERSATION_LENGTH, _number(fields, "turns"))


def _turn_validated(fields: Fields) -> None:
    metrics.count(metrics.TURNS, _yes(fields.get("hallucination")))
    metrics.count(metrics.VALIDATIONS, str(fields.get("outcome")))


def _hallucination(fields: Fields) -> None:
    metrics.count(metrics.HALLUCINATIONS, str(fields.get("kinds")), str(fields.get("severity")))


def _number(fields: Fields, name: str) -> float:
    return float(fields.get(name) or 0)


def _yes(value: object) -> str:
    return "true" if value else "false"


_RECORDERS: Mapping[Event, Callable[[Fields], None]] = {
    Event.REQUEST_COMPLETED: _completed,
    Event.REQUEST_FAILED: _failed,
    Event.BEDROCK_INVOKE_SUCCESS: _model_answered,
    Event.BEDROCK_INVOKE_FAILURE: _model_failed,
    Event.BEDROCK_INVOKE_TIMEOUT: _model_timed_out,
    Event.BEDROCK_INVOKE_CANCELLED: lambda fields: metrics.count(metrics.CANCELLED, str(fields.get("model"))),
    Event.CALL_SCORED: _call_scored,
    Event.CALL_SETTLED: _call_settled,
    Event.CALLS_CHECKED: lambda fields: metrics.observe(metrics.CALLS_STUCK, _number(fields, "stuck")),
    Event.AGREEMENT_CHECKED: lambda fields: metrics.observe(metrics.AGREEMENT_FALLEN, _number(fields, "fallen")),
    Event.APPROVALS_CHECKED: _approvals_checked,
    Event.JUDGE_MEASURED: lambda fields: metrics.observe(metrics.JUDGES_FALLEN, _number(fields, "fallen")),
    Event.CALLBACK_SETTLED: _callback_settled,
    Event.VOICEMAIL_CLOSED: lambda fields: metrics.count(metrics.CALLBACK_PROMISES, str(fields.get("promise"))),
    Event.VOICEMAILS_CHECKED: lambda fields: metrics.observe(metrics.VOICEMAILS_OVERDUE, _number(fields, "overdue")),
    Event.CALLBACKS_CHECKED: lambda fields: metrics.observe(metrics.CALLBACKS_OVERDUE, _number(fields, "overdue")),
    Event.HANDOVER_ENTERED: lambda fields: metrics.count(metrics.HANDOVERS, str(fields.get("reason"))),
    Event.HANDOVER_TAKEN: _handover_taken,
    Event.HANDOVER_ENDED: _handover_ended,
    Event.HANDOVERS_CHECKED: lambda fields: metrics.observe(metrics.QUEUE_SIZE, _number(fields, "waiting")),
    Event.TOOL_USED: _tool_used,
    Event.CONVERSATION_STARTED: lambda fields: metrics.count(metrics.CONVERSATIONS, str(fields.get("channel"))),
    Event.CONVERSATION_ENDED: _conversation_ended,
    Event.TURN_VALIDATED: _turn_validated,
    Event.VALIDATION_TIMEOUT: lambda _: metrics.count(metrics.VALIDATION_TIMEOUTS),
    Event.HALLUCINATION_FOUND: _hallucination,
    Event.AUDIT_UNKEPT: lambda _: metrics.count(metrics.AUDIT_UNKEPT),
    Event.ROLLOUT_STOPPED: lambda _: metrics.count(metrics.ROLLOUTS_STOPPED),
    Event.FEEDBACK_RECORDED: lambda fields: metrics.count(metrics.RATINGS, str(fields.get("feedback"))),
    Event.SHARED_STATE_UNREACHABLE: lambda _: metrics.count(metrics.SHARED_OUTAGES),
    Event.SUMMARY_UNKEPT: lambda _: metrics.count(metrics.UNKEPT),
    Event.DYNAMODB_QUERY_SUCCESS: _history_read,
    Event.DYNAMODB_QUERY_FAILURE: _history_failed,
}
