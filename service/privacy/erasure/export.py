"""Writes what was found of a customer as a ZIP file that the customer can read."""

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO

from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import inventory
from service.privacy.erasure.store import FoundRecord, SearchedPlace

_README = """\
Everything that the service keeps about one customer, one JSON file for each place.
`ids.json` holds the ids under which it was found. `not-here.json` names places that belong to other systems.
A record without content is a recording or a file that is no text: it is named, and its owner can fetch it.
"""


def write_zip(out: IO[bytes], found: Mapping[SearchedPlace, Sequence[FoundRecord]], ids: CustomerIds) -> None:
    """Write the ZIP file to ``out``, which need not be seekable."""
    outside = {name: place.outside for name, place in inventory().every().items() if place.outside}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README)
        known = {kind: values for kind, values in ids.plain().items() if kind != "text"}
        archive.writestr("ids.json", _text(known))
        archive.writestr("not-here.json", _text(outside))
        for place, records in found.items():
            if records:
                name = re.sub(r"[^A-Za-z0-9-]+", "_", place.name).strip("_")
                content = [{"at": one.at, "holds": place.place.holds, "record": one.content} for one in records]
                archive.writestr(f"{name}.json", _text(content))


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=sorted)
