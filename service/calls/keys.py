"""S3 keys and ids of calls: the tenant of an object, the id of its call, and the keys of all objects of a call.

Every key begins with the tenant. S3 has no folders, so ``a/calls/../../b/x`` is a valid key there; it is refused because a
program that shows or downloads the object may treat it as a path.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from service.calls.failure import CallFailed, FailureReason

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\]{1,900}")
_CALL_ID = re.compile(r"call-[0-9a-f]{24}")
_FOLDER = "calls"
JOB_PREFIX = "cci_"
TENANT_TAG = "tenant_id"  # of objects and jobs, and in the encryption context: policies compare it with a role's own
JOB_OUTPUT = "tmp"  # the folder of all tenants' raw transcriptions, which is no tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class CallObject:
    """One version of an S3 object that holds a call. ``version`` is empty in a bucket without versioning."""

    tenant: str
    key: str
    etag: str
    version: str = ""

    @property
    def call_id(self) -> str:
        """The call's permanent id, made from the tenant and the object's content, not from its name.

        A file name may hold a customer's number, so no part of it is used. The same bytes sent twice are one call.
        """
        # With SSE-KMS and multipart uploads the ETag is not a digest of the content: there the same bytes become two calls.
        return f"call-{_digest(self.tenant, self.etag)}"

    @property
    def form_folder(self) -> str | None:
        """The folder right under ``calls/``, which may name the form: ``acme/calls/support/x.json``."""
        parts = self.key.split("/")
        return parts[2] if len(parts) > 3 else None


def read_key(key: str, *, etag: str, version: str = "") -> CallObject:
    """Return the call object with this key.

    Raises:
        CallFailed: the key is not ``<tenant>/calls/<name>``, or the name contains path segments such as ``..``.
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
        raise CallFailed(FailureReason.BAD_KEY, "the event has no ETag, so the object's version is unknown")
    return CallObject(tenant=tenant, key=key, etag=etag, version=version)


def is_tenant(name: str) -> bool:
    """Return whether ``name`` has the form of a tenant's id, and is not the folder of all tenants' transcriptions."""
    return _TENANT.fullmatch(name) is not None and name != JOB_OUTPUT


def is_call_id(name: str) -> bool:
    """Return whether ``name`` has the form of a call's id."""
    return _CALL_ID.fullmatch(name) is not None


def call_ids(key: str) -> list[str]:
    """Return the ids of calls in the key of a result, a transcript or a dead letter: one, or none."""
    return _CALL_ID.findall(key)


def calls_prefix(tenant: str) -> str:
    """Return the key prefix of a tenant's incoming recordings and transcripts."""
    return f"{tenant}/{_FOLDER}/"


def result_key(tenant: str, call_date: datetime, call_id: str) -> str:
    """Return the key of a call's result, in a folder by the UTC day of the call."""
    return f"{tenant}/{call_date:%Y/%m/%d}/{call_id}.json"


def transcript_key(tenant: str, call_id: str) -> str:
    """Return the key of a call's redacted transcript."""
    return f"{tenant}/transcripts/{call_id}.json"


def earlier_key(tenant: str, call_id: str, scored_at: datetime) -> str:
    """Return the key of a result that another one has replaced."""
    return f"{earlier_prefix(tenant, call_id)}{scored_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.json"


def earlier_prefix(tenant: str, call_id: str) -> str:
    """Return the key prefix of a call's replaced results, in the order of their times."""
    return f"{tenant}/earlier/{call_id}/"


def rescored_prefix(tenant: str, form_id: str, version: int) -> str:
    """Return the key prefix of the results by which a version of a form re-scores calls."""
    return f"{tenant}/rescored/{form_id}/{version}/"


def rescored_key(tenant: str, form_id: str, version: int, call_id: str) -> str:
    """Return the key of a call's result by a version of a form that re-scores it."""
    return f"{rescored_prefix(tenant, form_id, version)}{call_id}.json"


def raw_answer_key(tenant: str, call_id: str) -> str:
    """Return the key of a model's unusable answer."""
    return f"{tenant}/unusable/{call_id}.txt"


def shadow_prefix(tenant: str) -> str:
    """Return the key prefix of a tenant's scorecards by candidates, which nobody sees."""
    return f"{tenant}/shadow/"


def shadow_key(tenant: str, call_id: str, step: int) -> str:
    """Return the key of what the candidate of a rollout step made of a call, beside production's scorecard."""
    return f"{shadow_prefix(tenant)}{call_id}/{step:06d}.json"


def job_name(source: CallObject) -> str:
    """Return the transcription job's name: unique in the account, with characters and length (200) that Transcribe allows."""
    return f"{JOB_PREFIX}{source.tenant}_{source.call_id}"


def call_of_job(name: str) -> tuple[str, str] | None:
    """Return tenant and call id of a transcription job, or None: other systems of the account have jobs, too."""
    tenant, _, call_id = name.removeprefix(JOB_PREFIX).partition("_")
    return (tenant, call_id) if name.startswith(JOB_PREFIX) and is_tenant(tenant) and is_call_id(call_id) else None


def letter_key(tenant: str, reason: FailureReason, name: str) -> str:
    """Return the key of a dead letter."""
    return f"{dead_prefix(tenant)}{reason}/{name}.json"


def dead_prefix(tenant: str) -> str:
    """Return the key prefix of a tenant's dead letters."""
    return f"{tenant}/dead/"


def job_output_key(tenant: str, call_id: str) -> str:
    """Return the key of Amazon Transcribe's output."""
    return f"{JOB_OUTPUT}/{tenant}/{call_id}.json"


def day_prefix(tenant: str, day: date) -> str:
    """Return the key prefix of the results of a UTC day's calls."""
    return f"{tenant}/{day:%Y/%m/%d}/"


def compact_key(tenant: str, table: str, day: date) -> str:
    """Return the key of a day's rows of a table as one Parquet file, in a folder that Athena reads as a partition."""
    return f"{tenant}/compact/{table}/day={day.isoformat()}/rows.parquet"


def manifest_key(tenant: str) -> str:
    """Return the key of the list of a tenant's compacted days."""
    return f"{tenant}/compact/manifest.json"


def export_key(tenant: str, week: str, name: str) -> str:
    """Return the key of a file of a week's export."""
    return f"{tenant}/exports/{week}/{name}"


# Holds dead letters about objects without a tenant; no tenant's id begins with an underscore.
NO_TENANT = "_unknown"


def letter_name_of(key: str, etag: str) -> str:
    """Return the name of a dead letter about an object that has no call id."""
    return _digest(key, etag)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
