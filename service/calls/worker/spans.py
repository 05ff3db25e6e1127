"""A call's trace: one for each call, however often and by whichever workers it is taken up, without a word or a file's name."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from service.calls.failure import CallFailed, Waiting
from service.calls.result import CallResult
from service.calls.store.states import CallJob
from service.kit.telemetry.tracing import AttributeValue, Span, span


@contextmanager
def working_on(job: CallJob) -> Iterator[Span]:
    """Record a worker's turn at a call, as a root of the call's trace."""
    with _marked("work on call", _named(job), trace=_trace(job)) as recorded:
        yield recorded


@contextmanager
def scoring_again(job: CallJob) -> Iterator[Span]:
    """Record that a stored call is scored again, in the call's trace."""
    with _marked("score call again", _named(job), trace=_trace(job)) as recorded:
        yield recorded


@contextmanager
def step(name: str) -> Iterator[Span]:
    """Record a step of the turn."""
    with _marked(name) as recorded:
        yield recorded


@contextmanager
def storing_rows(jobs: Iterable[CallJob]) -> Iterator[None]:
    """Record in the trace of each call that the rows of all of them are written."""
    with ExitStack() as spans:
        for job in jobs:
            spans.enter_context(span("store rows", attributes=_named(job), trace=_trace(job)))
        yield


def by_whom(recorded: Span, result: CallResult) -> None:
    """Say by which form and pair the call was scored."""
    found = result.qa_evaluation
    if found is not None:
        recorded.set("omni.form", found.form_id)
        recorded.set("omni.form.version", found.qa_template_version)
    recorded.set("omni.pair.digest", result.scored_by.pair_digest)
    recorded.set("omni.call.needs_review", result.needs_review)


@contextmanager
def _marked(name: str, attributes: dict[str, AttributeValue] | None = None, trace: str | None = None) -> Iterator[Span]:
    """Record the block; waiting for a transcription is no failure, and a failed call says by its reason why."""
    ended: CallFailed | Waiting | None = None
    with span(name, attributes=attributes, trace=trace) as recorded:
        try:
            yield recorded
        except Waiting as err:
            recorded.set("omni.call.outcome", "waiting")
            ended = err
        except CallFailed as err:
            recorded.fail(err.reason.value)
            ended = err
    if ended is not None:
        raise ended


def _named(job: CallJob) -> dict[str, AttributeValue]:
    return {
        "omni.tenant": job.tenant,
        "omni.call.id": job.call_id,
        "omni.call.state": job.state,
        "omni.call.attempt": job.attempts,
    }


def _trace(job: CallJob) -> str:
    return f"{job.tenant}/{job.call_id}"
