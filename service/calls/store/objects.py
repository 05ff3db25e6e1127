"""Calls in S3: incoming recordings and transcripts, and each tenant's results, protected from other tenants."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.answers_kept.archive import Listed
from service.calls.failure import CallErased, CallFailed, FailureReason
from service.calls.keys import NO_TENANT, TENANT_TAG, CallObject, call_ids, calls_prefix, is_tenant
from service.kit.aws.bounded import translated
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash

MOST_BYTES = 512 * 1024 * 1024  # three hours of 16 kHz stereo WAV (691 MB) are too large; as MP3 or FLAC they fit

_REPLACED = "the object was replaced before it was read; the newer one is a call of its own"


class WallBreached(ServiceError):
    """An access to another tenant's object; the message names only the caller's tenant."""

    status = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One version of one object of the input bucket."""

    body: bytes
    metadata: dict[str, str]
    modified: datetime


class CallInputs:
    """Reads and writes the input bucket. Blocking; every method raises ``StoreError`` when S3 does not answer."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self.bucket = bucket
        self._store = f"bucket {bucket!r}"

    def read(self, source: CallObject) -> Arrived:
        """Return the version that ``source`` names.

        Raises:
            CallFailed: it no longer exists, or is too large.
        """
        version = {"VersionId": source.version} if source.version else {}
        try:
            with translated(self._store):
                found = self._client.get_object(
                    Bucket=self.bucket, Key=source.key, IfMatch=f'"{source.etag}"', **version
                )
                with found["Body"] as stream:
                    size = int(found["ContentLength"])
                    body: bytes = b"" if size > MOST_BYTES else stream.read()
        except StoreError as err:
            if _code(err) in {"NoSuchKey", "NoSuchVersion", "404"}:
                raise CallFailed(FailureReason.GONE, "the object was deleted before it was read") from None
            if _code(err) in {"PreconditionFailed", "412"}:
                raise CallFailed(FailureReason.GONE, _REPLACED) from None
            raise
        if str(found["ETag"]).strip('"') != source.etag:
            raise CallFailed(FailureReason.GONE, _REPLACED)
        if size > MOST_BYTES:
            raise CallFailed(FailureReason.TOO_LARGE, f"{size} bytes; the limit is {MOST_BYTES}")
        return Arrived(body=body, metadata=dict(found.get("Metadata", {})), modified=found["LastModified"])

    def put(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write an object, like a system that delivers calls."""
        with translated(self._store):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata or {})

    def listed(self, tenant: str | None = None) -> Iterator[Listed]:
        """Yield a tenant's objects; with None all objects."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="" if tenant is None else calls_prefix(tenant)
        )
        yield from _listed(pages, self._store)


class TenantResults:
    """One tenant's results. Every key begins with the tenant, every object carries its tag and its encryption context."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        tenant: str,
        *,
        kms_key: str | None = None,
        is_erased: Callable[[str], bool] = lambda call_id: False,
    ) -> None:
        """``is_erased`` tells of a call's id whether its customer was erased."""
        if not is_tenant(tenant) and tenant != NO_TENANT:
            raise WallBreached(f"{tenant[:62]!r} is not a tenant's id")
        self._client = client
        self._bucket = bucket
        self.tenant = tenant
        self._kms_key = kms_key
        self._is_erased = is_erased
        self._store = f"bucket {bucket!r}"

    def put(self, key: str, text: str, *, once: bool = False) -> Literal["written", "already"]:
        """Write JSON; with ``once`` only if the object does not exist."""
        return self.put_bytes(key, text.encode(), "application/json", once=once)

    def put_bytes(
        self, key: str, body: bytes, content_type: str, *, once: bool = False
    ) -> Literal["written", "already"]:
        """Write an object; with ``once`` only if it does not exist."""
        self._own(key)
        if any(self._is_erased(call_id) for call_id in call_ids(key)):
            raise CallErased("the customer of this call was erased")
        try:
            with translated(self._store):
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    Tagging=f"{TENANT_TAG}={self.tenant}",
                    **({"IfNoneMatch": "*"} if once else {}),
                    **self._encryption(),
                )
        except StoreError as err:
            if once and _code(err) in {"PreconditionFailed", "412"}:
                return "already"
            raise
        return "written"

    def read(self, key: str) -> str | None:
        """Return an object's text, None when there is none."""
        body = self.read_bytes(key)
        return None if body is None else body.decode()

    def read_bytes(self, key: str) -> bytes | None:
        """Return an object's bytes, None when there is none."""
        self._own(key)
        try:
            with translated(self._store):
                tags = self._client.get_object_tagging(Bucket=self._bucket, Key=key)["TagSet"]
                if {item["Key"]: item["Value"] for item in tags}.get(TENANT_TAG) != self.tenant:
                    raise WallBreached(
                        f"an object under {self.tenant!r} does not have the tenant's tag; it is not read"
                    )
                with self._client.get_object(Bucket=self._bucket, Key=key)["Body"] as stream:
                    return bytes(stream.read())
        except StoreError as err:
            if _code(err) in {"NoSuchKey", "404"}:
                return None
            raise

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Yield the objects under a prefix of this tenant."""
        self._own(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        yield from _listed(pages, self._store)

    def delete(self, *keys: str) -> None:
        """Delete objects, one after the other; missing ones are ignored."""
        for key in keys:
            self._own(key)
            with translated(self._store):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def _own(self, key: str) -> None:
        if not key.startswith(f"{self.tenant}/") or any(part in ("", ".", "..") for part in key.rstrip("/").split("/")):
            raise WallBreached(f"the key does not belong to tenant {self.tenant!r}")

    def _encryption(self) -> dict[str, str | bool]:
        if self._kms_key is None:
            return {}
        # KMS policies can require this context: a role for one tenant's objects cannot decrypt another tenant's.
        context = base64.b64encode(json.dumps({TENANT_TAG: self.tenant}).encode()).decode()
        return {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self._kms_key,
            "SSEKMSEncryptionContext": context,
            # A key that objects of a bucket share is made with the bucket's context, which names no tenant.
            "BucketKeyEnabled": False,
        }


def all_tenants(client: Any, bucket: str, *, kms_key: str | None = None) -> list[TenantResults]:
    """Return the results of every tenant that has any, in the order of their names. For operators: no tenant may call it."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/")
    with translated(f"bucket {bucket!r}"):
        names = [one["Prefix"].rstrip("/") for page in pages for one in page.get("CommonPrefixes", [])]
    tenants = [name for name in sorted(names) if is_tenant(name)]
    return [TenantResults(client, bucket, name, kms_key=kms_key) for name in tenants]


def _listed(pages: Any, store: str) -> Iterator[Listed]:
    with translated(store):
        for page in pages:
            for item in page.get("Contents", []):
                yield Listed(
                    key=item["Key"],
                    etag=str(item["ETag"]).strip('"'),
                    size=int(item["Size"]),
                    modified=item["LastModified"],
                )


def _code(err: StoreError) -> str | None:
    refused = err.__cause__
    return refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else None


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ErasedCalls:
    """Asks the notes of erasures for calls and recordings. Blocking; both raise ``StoreError`` if nobody can tell."""

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones

    def has(self, call_id: str) -> bool:
        """Return whether this call was erased."""
        return self._tombstones.covers((account_hash(call_id),), _LONG_AGO)

    def covers(self, source: CallObject) -> bool:
        """Return whether this call or its recording was erased: one that nobody has begun has no id yet."""
        return self._tombstones.covers((account_hash(source.call_id), account_hash(source.key)), _LONG_AGO)
