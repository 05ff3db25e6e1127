"""The names of things: which tenant an object belongs to, what its call is called, and where everything of a call lies.

Every key begins with the tenant. S3 knows no folders: ``a/calls/../../b/x`` is a name like any other, and is refused all the
same, because whoever shows or downloads it may read it as a path.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from service.calls.failure import CallFailed, FailureReason

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,900}")
_CALL_ID = re.compile(r"call-[0-9a-f]{24}")
_FOLDER = "calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallObject:
    """One version of one object that holds a call. ``version`` is empty in a bucket without versions."""

    tenant: str
    key: str
    etag: str
    version: str = ""

    @property
    def call_id(self) -> str:
        """The call's name for ever: of the tenant and the object's content, whatever the object is called.

        A file name may hold a customer's number, so no part of it is used. The same bytes sent twice are one call.
        """
        # SSE-KMS and multipart uploads give an ETag that is no digest of the content: there the same bytes are two calls.
        return f"call-{_digest(self.tenant, self.etag)}"

    @property
    def form_folder(self) -> str | None:
        """The folder right under ``calls/``, which may name the form: ``acme/calls/support/x.json``."""
        parts = self.key.split("/")
        return parts[2] if len(parts) > 3 else None


def read_key(key: str, *, etag: str, version: str = "") -> CallObject:
    """Return what an object's key says.

    Raises:
        CallFailed: it is no ``<tenant>/calls/<name>``, or a name that could be read as a path elsewhere.
    """
    tenant, _, rest = key.partition("/")
    folder, _, name = rest.partition("/")
    if not is_tenant(tenant) or folder != _FOLDER or not _NAME.fullmatch(name):
        raise CallFailed(FailureReason.BAD_KEY, "the key is not <tenant>/calls/<name>")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise CallFailed(
            FailureReason.BAD_KEY, "the key has an empty, '.' or '..' folder in it; upload the file under a plain name"
        )
    if not etag:
        raise CallFailed(FailureReason.BAD_KEY, "the event names no ETag, so nobody can tell which version it means")
    return CallObject(tenant=tenant, key=key, etag=etag, version=version)


def is_tenant(name: str) -> bool:
    """Return whether ``name`` could be a tenant's id."""
    return _TENANT.fullmatch(name) is not None


def is_call_id(name: str) -> bool:
    """Return whether ``name`` could be a call's id."""
    return _CALL_ID.fullmatch(name) is not None


def calls_prefix(tenant: str) -> str:
    """Return where a tenant's recordings and transcripts arrive."""
    return f"{tenant}/{_FOLDER}/"


def result_key(tenant: str, call_date: datetime, call_id: str) -> str:
    """Return the key of a call's result: by the day of the call, UTC."""
    return f"{tenant}/{call_date:%Y/%m/%d}/{call_id}.json"


def transcript_key(tenant: str, call_id: str) -> str:
    """Return the key of a call's redacted transcript."""
    return f"{tenant}/transcripts/{call_id}.json"


def raw_answer_key(tenant: str, call_id: str) -> str:
    """Return the key of what a model said that could not be used."""
    return f"{tenant}/unusable/{call_id}.txt"


def letter_key(tenant: str, reason: FailureReason, name: str) -> str:
    """Return the key of a dead letter."""
    return f"{dead_prefix(tenant)}{reason}/{name}.json"


def dead_prefix(tenant: str) -> str:
    """Return where a tenant's dead letters lie."""
    return f"{tenant}/dead/"


def job_output_key(tenant: str, call_id: str) -> str:
    """Return where Amazon Transcribe puts what it heard."""
    return f"tmp/{tenant}/{call_id}.json"


# Dead letters about objects under no tenant; no tenant's id begins with an underscore.
NOBODY = "_unknown"


def letter_name_of(key: str, etag: str) -> str:
    """Return the name of a letter about an object that has no call id."""
    return _digest(key, etag)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
