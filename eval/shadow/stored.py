"""Reads the shadow answers that a service kept: files of this machine and objects in S3."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from eval.spine.errors import ShadowError
from figures.command_line import REASON, omni
from service.answers_kept.archive import Archive
from service.calls.keys import shadow_prefix as call_shadows
from service.calls.store.objects import TenantResults
from service.kit.settings import Settings
from service.rollouts.shadow_record import ShadowRecord, shadow_prefix

_READERS = 8
_MOST_BYTES = 5_000_000  # of one record: the longest history that a request may hold is far shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShadows:
    """Records in the order of time; ``unreadable`` says where a line or object is none, ``left_out`` counts older ones."""

    records: tuple[ShadowRecord, ...]
    unreadable: tuple[str, ...]
    left_out: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedShadows:
    """The records of one candidate beside one production; ``others`` are the pairs of digests of which there are records too."""

    candidate: str
    production: str
    records: tuple[ShadowRecord, ...]
    others: tuple[tuple[str, str], ...]


def read_shadows(
    task: str, settings: Settings, archive: Archive | None, *, most: int, tenants: Sequence[TenantResults] = ()
) -> StoredShadows:
    """Return the newest ``most`` records of ``task``; a record that both stores hold counts once.

    Scorecards of calls lie with their ``tenants``.

    Raises:
        StoreError: S3 does not answer.
    """
    path = settings.state_dir / "shadow" / f"{task}.jsonl"
    found: dict[str, ShadowRecord] = {}
    unreadable: list[str] = []
    places = [str(path)] if path.exists() else []
    sources = [_lines(path)]
    left_out = 0
    if archive is not None:
        keys = [item.key for page in archive.listed(shadow_prefix(task)) for item in page]
        left_out = max(len(keys) - most, 0)
        if keys:
            places.append(f"s3://{settings.stores.archive_bucket}/{shadow_prefix(task)}")
        sources.append(_objects(archive, keys[-most:]))
    for results in tenants:
        listed = sorted(results.listed(call_shadows(results.tenant)), key=lambda item: item.modified)
        left_out += max(len(listed) - most, 0)
        places += [f"results of tenant {results.tenant}"] * bool(listed)
        sources.append(_of_tenant(results, [item.key for item in listed[-most:]]))
    for where, text in (item for source in sources for item in source):
        try:
            record = ShadowRecord.model_validate_json(text)
        except ValidationError as err:
            unreadable.append(f"{where}: {err.errors(include_url=False)[0]['msg']}")
            continue
        if record.task == task:
            found.setdefault(record.id or where, record)
    records = sorted(found.values(), key=lambda record: record.at)
    return StoredShadows(
        records=tuple(records[-most:]),
        unreadable=tuple(unreadable),
        left_out=left_out + max(len(records) - most, 0),
        places=tuple(places),
    )


def choose_candidate(records: Sequence[ShadowRecord], digest: str | None) -> ComparedShadows:
    """Return the records of the candidate whose digest begins with ``digest``; of the newest record's without one.

    A candidate that stood beside several productions is compared with the last of them.

    Raises:
        ShadowError: there are no records, or none of this candidate.
    """
    if not records:
        start = omni("rollout", "PAIR", *REASON, "--shadow", "5")
        raise ShadowError(f"no shadow answers are stored; start them with `{start}`")
    wanted = [item for item in records if item.unseen.pair_digest.startswith(digest or "")]
    if not wanted:
        known = ", ".join(sorted({item.unseen.pair_digest[:12] for item in records}))
        raise ShadowError(f"no shadow answers of a candidate {digest!r}; there are some of {known}")
    newest = _sides(wanted[-1])
    return ComparedShadows(
        candidate=newest[0],
        production=newest[1],
        records=tuple(item for item in records if _sides(item) == newest),
        others=tuple(sorted({_sides(item) for item in records} - {newest})),
    )


def _sides(record: ShadowRecord) -> tuple[str, str]:
    return record.unseen.pair_digest, record.shown.pair_digest


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", line


def _of_tenant(results: TenantResults, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    def read(key: str) -> tuple[str, str] | None:
        text = results.read(key)
        return None if text is None else (key, text)

    with ThreadPoolExecutor(_READERS) as pool:
        yield from filter(None, pool.map(read, keys))


def _objects(archive: Archive, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    def read(key: str) -> tuple[str, str] | None:
        stored = archive.read(key, most_bytes=_MOST_BYTES)
        return None if stored is None else (key, (stored.body or b"").decode(errors="replace"))

    with ThreadPoolExecutor(_READERS) as pool:
        yield from filter(None, pool.map(read, keys))
