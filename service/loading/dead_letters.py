"""Keeps dead letters: for each object that cannot be loaded, an object under ``omni-channel/dead/`` with reason and time.

The original object stays in place; a dead letter holds no customer text.
"""

from collections.abc import Sequence
from datetime import datetime

from service.answers_kept.archive import Archive
from service.kit.delivery.dead_letters import DeadLetters
from service.loading.batch import Dead

DEAD_PREFIX = "omni-channel/dead/"


def letters_of(archive: Archive) -> DeadLetters:
    """Return the dead letters of one bucket; a letter that exists is kept."""
    return DeadLetters(
        prefix=DEAD_PREFIX,
        suffix=".dead.json",
        write=archive.put_json,
        keys=lambda prefix: (item.key for page in archive.listed(prefix) for item in page),
        delete=archive.delete,
    )


def bury(letters: DeadLetters, dead: Sequence[Dead], now: datetime) -> None:
    """Write a letter for each object that has none for this reason. Safe to repeat."""
    for one in dead:
        about = {"object_key": one.key, "etag": one.etag, "kind": one.kind}
        letters.bury(one.key, one.reason.value, one.detail, now, about)
