"""Which prefixes of the bucket hold folders by hour: one for each kind of object, and for answers one for each task."""

from service.answers_kept.answer_record import ANSWERS_PREFIX
from service.answers_kept.archive import Archive
from service.loading.objects import PREFIXES


def hourly_prefixes(archive: Archive) -> list[str]:
    """Return the prefixes under which keys sort by time; those of tasks are the ones that have answers.

    Raises:
        StoreError: S3 does not answer.
    """
    return [prefix for kind in PREFIXES for prefix in (archive.folders(kind) if kind == ANSWERS_PREFIX else [kind])]
