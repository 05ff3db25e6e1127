"""Why a call has no result: reasons that a person can act on, and what is merely not ready yet."""

from enum import StrEnum

from service.errors import ServiceError


class FailureReason(StrEnum):
    """Why a call failed; also the folder of its dead letter."""

    BAD_KEY = "bad_key"
    UNKNOWN_TENANT = "unknown_tenant"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    NO_TRANSCRIBER = "no_transcriber"
    TRANSCRIPTION = "transcription"
    FORM = "form"
    REDACTION = "redaction"
    MODEL = "model"
    STUCK = "stuck"


class CallFailed(ServiceError):
    """A call that cannot go on as it is. The message names what and what to do, never a word of the call."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class NotReady(ServiceError):
    """Somebody else is still at work on the call: a transcription job, or another worker. It is looked at again."""


class Waiting(NotReady):
    """A transcription job is under way; ``job`` is its name, and whoever watches the calls asks for it."""

    def __init__(self, job: str) -> None:
        super().__init__(f"transcription job {job!r} is under way")
        self.job = job
