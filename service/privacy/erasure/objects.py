"""Searches objects of a bucket under a prefix, and deletes every version of what it finds."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.answers_kept.archive import Archive
from service.kit.aws.bounded import patiently, translated
from service.kit.frame.errors import StoreError
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place
from service.privacy.erasure.store import FoundRecord

_PATIENCE_S = 10.0
_THREADS = 16
_NOT_THERE = frozenset({"NoSuchBucket", "NoSuchKey", "404"})
# Which of these keys hold records that need no reading, because the warehouse says whose they are.
KnownOf = Callable[[Sequence[str]], set[str]]


class SearchedObjects:
    """See ``SearchedPlace``."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        place: Place,
        *,
        loaded: KnownOf = lambda keys: set(),
        own: Callable[[CustomerIds], set[str]] = lambda ids: set(),
    ) -> None:
        """``loaded`` are the keys whose owner the warehouse knows, ``own`` those of a customer; without both, all are read."""
        self.name, self.place = f"bucket {bucket}, {prefix}", place
        self.bucket = bucket
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._archive = Archive(client, bucket)
        self._loaded, self._own = loaded, own
        self.is_there = True

    def find(self, ids: CustomerIds) -> Iterator[FoundRecord]:
        """See ``SearchedPlace.find``."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="erasure") as threads:
            own = {key for key in self._own(ids) if key.startswith(self._prefix)}
            for keys in self._pages():
                known = self._loaded(keys)
                wanted = [key for key in keys if key in own or key not in known]
                for key, content in zip(wanted, threads.map(self._read, wanted), strict=True):
                    record = {"object_key": key} | (content if isinstance(content, dict) else {})
                    if key in own or ids.owns(self.place, record):
                        yield FoundRecord(at=key, content=content)

    def delete(self, found: Sequence[FoundRecord]) -> None:
        """See ``SearchedPlace.delete``; no older version stays."""
        self._archive.erase([one.at for one in found])

    def _pages(self) -> Iterator[list[str]]:
        """Yield the keys under the prefix, also of objects of which only older versions are left."""
        self.is_there = True
        try:
            with translated(self.name):
                pages = self._client.get_paginator("list_object_versions").paginate(
                    Bucket=self._bucket, Prefix=self._prefix
                )
                for page in pages:
                    yield list(dict.fromkeys(one["Key"] for one in page.get("Versions", ())))
        except StoreError as err:
            if _code(err) not in _NOT_THERE:
                raise
            self.is_there = False

    def _read(self, key: str) -> Any:
        if self.place.unread:
            return None

        def access() -> bytes:
            with translated(self.name), self._client.get_object(Bucket=self._bucket, Key=key)["Body"] as body:
                found: bytes = body.read()
                return found

        try:
            return json.loads(patiently(access, timeout_s=_PATIENCE_S))
        except StoreError as err:
            if _code(err) in _NOT_THERE:
                return None
            raise
        except ValueError:  # a damaged object; its key may still tell
            return None


def _code(err: StoreError) -> str:
    return str(getattr(err.__cause__, "response", {}).get("Error", {}).get("Code", ""))
