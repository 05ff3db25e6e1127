"""The correlation id that joins our log lines with the caller's: the caller's own if it is safe to log, else ours."""

import re
from collections.abc import Iterable

HEADER = b"x-correlation-id"
_TRACEPARENT = b"traceparent"
# Fits a Salesforce or Connect id, a UUID, a trace id. Other characters must not enter a log line or a response header.
_ALLOWED = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_ALLOWED_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_TRACE = "0" * 32


def correlation(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> tuple[str, str | None]:
    """Return the correlation id of a request and its ``traceparent`` (None when absent or not valid).

    ``X-Correlation-Id`` comes first, then the trace id of ``traceparent`` (W3C Trace Context), then ``request_id``.
    """
    given: dict[bytes, str] = {}
    for name, value in headers:
        if name in (HEADER, _TRACEPARENT):
            given[name] = value.decode("latin-1").strip()
    parent = given.get(_TRACEPARENT)
    match = _ALLOWED_PARENT.fullmatch(parent or "")
    trace_id = match[1] if match and match[1] != _NO_TRACE else None
    own = given.get(HEADER, "")
    return (own if _ALLOWED.fullmatch(own) else trace_id or request_id), (parent if trace_id else None)
