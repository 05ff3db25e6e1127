"""Keeps dead letters: for each object that cannot be loaded, an object under ``omni-channel/dead/`` with reason and time.

The original object stays in place; a dead letter holds no customer text.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.answers_kept.archive import Archive
from service.answers_kept.record import utc_text
from service.loading.batch import Dead
from service.loading.objects import DeadReason

DEAD_PREFIX = "omni-channel/dead/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter in the bucket: its own ``key``, and the ``object_key`` of the object that could not be loaded."""

    key: str
    object_key: str
    reason: str


class DeadLetters:
    """The dead letters of one bucket."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def bury(self, dead: Sequence[Dead], now: datetime) -> None:
        """Write a letter for each object that has none for this reason; an existing letter is kept. Safe to repeat."""
        for one in dead:
            text = {
                "object_key": one.key,
                "etag": one.etag,
                "kind": one.kind,
                "reason": one.reason.value,
                "detail": one.detail,
                "at": utc_text(now),
            }
            self._archive.put_json(_key(one.key, one.reason), json.dumps(text))

    def waiting(self, reason: DeadReason | None = None) -> Iterator[DeadLetter]:
        """Yield all letters, or those with one reason, in key order."""
        for page in self._archive.listed(DEAD_PREFIX if reason is None else f"{DEAD_PREFIX}{reason}/"):
            for item in page:
                said, _, rest = item.key.removeprefix(DEAD_PREFIX).partition("/")
                yield DeadLetter(key=item.key, object_key=rest.removesuffix(".dead.json"), reason=said)

    def lift(self, letters: Sequence[DeadLetter]) -> None:
        """Delete letters, after their objects were loaded or got a letter with another reason."""
        self._archive.delete([letter.key for letter in letters])


def _key(object_key: str, reason: DeadReason) -> str:
    return f"{DEAD_PREFIX}{reason}/{object_key}.dead.json"
