"""Writes everything that is kept of a tenant as a ZIP file: one JSON file a place, and the objects of its calls as they are."""

import json
import re
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import IO, Any

from service.kit.aws.bounded import patiently, translated
from service.privacy.erasure.eraser import Found
from service.privacy.erasure.objects import SearchedObjects
from service.privacy.erasure.places import inventory

_PATIENCE_S = 30.0
_PIECE = 1024 * 1024
_README = """\
Everything that the service keeps of one tenant: one JSON file for each place, and under objects/ the files of its calls.
`counts.json` says how many records each place gave. `not-here.json` names places that belong to other systems.
"""


def write_tenant(
    out: IO[bytes], found: Found, *, s3: Any, recordings: bool, report: Callable[[str], None] = lambda line: None
) -> int:
    """Write the ZIP file to ``out``, which need not be seekable, and return the number of records.

    Without ``recordings`` the input bucket's objects are named only. An object that is gone meanwhile is left out.
    """
    outside = {name: place.outside for name, place in inventory().every().items() if place.outside}
    counts = {place.name: len(records) for place, records in found.items() if records}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README)
        archive.writestr("not-here.json", _text(outside))
        archive.writestr("counts.json", _text(counts))
        for place, records in found.items():
            if not records:
                continue
            name = re.sub(r"[^A-Za-z0-9-]+", "_", place.name).strip("_")
            archive.writestr(f"{name}.json", _text([{"at": one.at, "record": one.content} for one in records]))
            if isinstance(place, SearchedObjects) and (recordings or place.place.bucket != "calls_bucket"):
                _copy(archive, s3, place.bucket, (one.at for one in records if one.content is None))
                report(f"{place.name}: {len(records)}")
    return sum(counts.values())


def _copy(archive: zipfile.ZipFile, s3: Any, bucket: str, keys: Iterable[str]) -> None:
    for key in keys:
        try:
            found = patiently(partial(_opened, s3, bucket, key), timeout_s=_PATIENCE_S)
        except FileNotFoundError:
            continue
        with closing(found) as body, archive.open(f"objects/{bucket}/{key}", "w", force_zip64=True) as file:
            for piece in body.iter_chunks(_PIECE):
                file.write(piece)


def _opened(s3: Any, bucket: str, key: str) -> Any:
    with translated(f"bucket {bucket!r}"):
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"]
        except s3.exceptions.NoSuchKey:
            raise FileNotFoundError(key) from None


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=sorted)
