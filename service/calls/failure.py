"""Why a call has no result: failure reasons that a person can act on, and results that are not ready yet."""

from enum import StrEnum

from service.kit.frame.errors import ServiceError


class FailureReason(StrEnum):
    """Why a call failed; also the folder of its dead letter."""

    BAD_KEY = "bad_key"
    UNKNOWN_TENANT = "unknown_tenant"
    SUSPENDED = "suspended"
    REGION = "region"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    NO_TRANSCRIBER = "no_transcriber"
    TRANSCRIPTION = "transcription"
    FORM = "form"
    LANGUAGE = "language"
    REDACTION = "redaction"
    MODEL = "model"
    STUCK = "stuck"


class CallFailed(ServiceError):
    """A call that cannot be processed as it is. The message says what is wrong and what to do, and quotes nothing of the call."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["CallFailed"], tuple[FailureReason, str]]:
        """Let it pass from one process to another."""
        return type(self), (self.reason, self.detail)


class NotReady(ServiceError):
    """A transcription job or another worker still has the call; try again later."""


class CallErased(NotReady):
    """The customer of this call was erased; nothing about it may be stored."""


class Waiting(NotReady):
    """A transcription job is running; ``job`` is its name. ``watch`` continues the call after the job has ended."""

    def __init__(self, job: str) -> None:
        super().__init__(f"transcription job {job!r} is running")
        self.job = job
