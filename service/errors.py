"""The error tree: each failure has a code for logs and metrics, an HTTP status, and a message without customer text."""

from enum import StrEnum
from typing import ClassVar


class FailureCode(StrEnum):
    """Why an answer could not be given; the same words in results, logs, metrics and error bodies."""

    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    INSUFFICIENT_CONTENT = "INSUFFICIENT_CONTENT"
    FAILED_SAFETY_GUIDELINES = "FAILED_SAFETY_GUIDELINES"
    OUTPUT_INVALID = "OUTPUT_INVALID"
    DEADLINE = "DEADLINE"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class ServiceError(Exception):
    """Base of everything that the service raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[FailureCode] = FailureCode.INTERNAL_ERROR


class ConfigurationError(ServiceError):
    """Something on this machine is missing or wrong; the message says what to do."""


class PairError(ServiceError):
    """A pair that cannot be used: malformed file, unknown model, digest that does not fit."""


class RegistryError(ServiceError):
    """The registry is unreachable, locked, or holds something that does not verify."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class StoreError(ServiceError):
    """A data store did not answer."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class WarehouseError(ServiceError):
    """The warehouse cannot be used: missing, of another schema, or a row that does not fit its table."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class WarehouseBusy(WarehouseError):
    """Another process writes the warehouse; the message says which file, and whom to wait for."""


class QueryRefused(WarehouseError):
    """A query that is not a SELECT in Redshift's dialect, or that this engine would answer wrongly."""

    status = 400
    code = FailureCode.INTERNAL_ERROR


class ModelError(ServiceError):
    """A model call that gave no usable answer. ``retry_after_s`` is the provider's hint, if it gave one."""

    status = 502
    code = FailureCode.UPSTREAM_UNAVAILABLE


class QuotaExceeded(ModelError):
    """The provider throttles us (HTTP 429)."""

    status = 429
    code = FailureCode.QUOTA_EXCEEDED


class UpstreamUnavailable(ModelError):
    """The provider is down, answers 5xx, or breaks the connection."""


class DeadlineExceeded(ModelError):
    """The time budget ran out before an answer came."""

    status = 504
    code = FailureCode.DEADLINE


class OutputInvalid(ModelError):
    """The model answered, but not with something that may be shown: empty, truncated, or in the wrong format.

    ``raw_text`` keeps what it said, for the harness; it is never part of the message.
    """

    code = FailureCode.OUTPUT_INVALID

    def __init__(self, message: str, *, raw_text: str = "") -> None:
        super().__init__(message)
        self.raw_text = raw_text


class AnswerRefused(OutputInvalid):
    """The task's guard found something in the answer that must not be shown, and asking again did not help."""


class SafetyRefused(ModelError):
    """The provider's guardrail stopped the answer."""

    code = FailureCode.FAILED_SAFETY_GUIDELINES


class RequestRejected(ModelError):
    """The provider says that our request is wrong: unknown model, prompt over the context, no access. Retrying is useless."""

    status = 502
    code = FailureCode.INTERNAL_ERROR
