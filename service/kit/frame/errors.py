"""The exceptions of the service: each has a failure code for logs and metrics, an HTTP status, and no customer text."""

from enum import StrEnum
from typing import ClassVar


class FailureCode(StrEnum):
    """Why a request has no answer; results, logs, metrics and error bodies use the same codes."""

    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    INSUFFICIENT_CONTENT = "INSUFFICIENT_CONTENT"
    FAILED_SAFETY_GUIDELINES = "FAILED_SAFETY_GUIDELINES"
    OUTPUT_INVALID = "OUTPUT_INVALID"
    DEADLINE = "DEADLINE"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class ServiceError(Exception):
    """Base class of the service's own exceptions."""

    status: ClassVar[int] = 500
    code: ClassVar[FailureCode] = FailureCode.INTERNAL_ERROR


class ConfigurationError(ServiceError):
    """A setting, file or program on this machine is missing or wrong; the message says what to do."""


class PairError(ServiceError):
    """A pair cannot be used: malformed file, unknown model or wrong digest."""


class RegistryError(ServiceError):
    """The registry is unreachable or locked, or holds a release that fails verification."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class NothingReleased(RegistryError):
    """The registry answers and has no release of the task."""


class ToolsDiffer(RegistryError):
    """A pair was released with other tools than those that are there, so it must not be served."""


class StoreError(ServiceError):
    """A data store did not answer; ``cause`` is what the log says of it."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE
    cause = "refused"


class WarehouseError(ServiceError):
    """The warehouse is missing or has another schema, or a row does not fit its table."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class WarehouseBusy(WarehouseError):
    """Another process is writing the warehouse; the message names the file and the process."""


class QueryRefused(WarehouseError):
    """A query is not a SELECT in Redshift's dialect, or DuckDB would answer it differently from Redshift."""

    status = 400
    code = FailureCode.INTERNAL_ERROR


class KnowledgeError(ServiceError):
    """Documents cannot be indexed, or an index is missing, damaged or not the one that was asked for."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class KnowledgeDown(KnowledgeError):
    """The index is elsewhere, and nobody answers there."""


class ModelError(ServiceError):
    """A model call gave no usable answer.

    ``charged_reply`` is the unusable answer, or the part of it that came (a ``ModelReply``), because the provider charges for it.
    """

    status = 502
    code = FailureCode.UPSTREAM_UNAVAILABLE
    charged_reply: object | None = None


class QuotaExceeded(ModelError):
    """The provider throttles us (HTTP 429)."""

    status = 429
    code = FailureCode.QUOTA_EXCEEDED


class UpstreamUnavailable(ModelError):
    """The provider is down, answers with 5xx, or drops the connection."""


class DeadlineExceeded(ModelError):
    """The time budget ran out before an answer came."""

    status = 504
    code = FailureCode.DEADLINE


class OutputInvalid(ModelError):
    """The model's answer must not be shown: it is empty, truncated or in the wrong format.

    ``raw_text`` is the answer, for the harness; it is never part of the message.
    """

    code = FailureCode.OUTPUT_INVALID

    def __init__(self, message: str, *, raw_text: str = "") -> None:
        super().__init__(message)
        self.raw_text = raw_text


class AnswerRefused(OutputInvalid):
    """The task's guard found something in the answer that must not be shown, and a repair failed or was not possible."""


class SafetyRefused(ModelError):
    """The provider's guardrail stopped the answer."""

    code = FailureCode.FAILED_SAFETY_GUIDELINES


class RequestRejected(ModelError):
    """The provider rejects the request: unknown model, prompt longer than the context, no access. Retrying does not help."""

    status = 502
    code = FailureCode.INTERNAL_ERROR


class ModelUnusable(RequestRejected):
    """No call of this model can succeed before a person changes something: its key, name, server or budget."""
