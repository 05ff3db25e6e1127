import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eval.shadow.stored import choose_candidate, read_shadows
from eval.spine.errors import ShadowError
from service.answers_kept.archive import Listed, Stored
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.rollouts.shadow_record import ShadowRecord

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def record(number, *, candidate="c" * 64, production="p" * 64, **changes):
    answer = {
        "output": "A summary.",
        "arm": "primary",
        "model": "m",
        "answered_by": "m",
        "latency_ms": 900.0,
        "cost_usd": "0.0001",
        "failure": None,
        "guarded": [],
        "repaired": False,
    }
    return {
        "id": f"{number:016x}",
        "at": (NOW + timedelta(minutes=number)).isoformat(),
        "task": "summarize",
        "rollout": 5,
        "inputs": {},
        "shown": {"pair_digest": production, **answer},
        "unseen": {"pair_digest": candidate, **answer},
    } | changes


class Bucket:
    """An archive of texts by key."""

    def __init__(self, *records):
        made = [ShadowRecord.model_validate(item) for item in records]
        self.texts = {item.object_key: item.model_dump_json().encode() for item in made}

    def listed(self, prefix):
        keys = sorted(key for key in self.texts if key.startswith(prefix))
        yield [Listed(key=key, etag="e", size=1, modified=NOW) for key in keys]

    def read(self, key, *, most_bytes):
        return Stored(etag="e", size=1, body=self.texts[key])


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path)


def write(settings, *lines):
    path = Path(settings.state_dir) / "shadow" / "summarize.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_file_and_bucket_are_read_together_and_a_record_counts_once(settings):
    write(settings, json.dumps(record(1)), json.dumps(record(2)))
    found = read_shadows("summarize", settings, Bucket(record(2), record(3)), most=100)
    assert [item.id[-1] for item in found.records] == ["1", "2", "3"]
    assert len(found.places) == 2


def test_lines_from_before_records_had_ids_are_read(settings):
    old = [record(number) for number in (1, 2)]
    for item in old:
        del item["id"]
    write(settings, *map(json.dumps, old))
    assert len(read_shadows("summarize", settings, None, most=100).records) == 2


def test_what_is_no_record_is_counted_and_named(settings):
    bucket = Bucket(record(3))
    bucket.texts["omni-shadow/summarize/2026/11/21/10/x.json"] = b"\xff{"
    write(settings, json.dumps(record(1)), "{half a line", json.dumps(record(2) | {"extra": 1}))
    found = read_shadows("summarize", settings, bucket, most=100)
    assert len(found.records) == 2
    assert [where.split(": ")[0].rpartition("/")[2] for where in found.unreadable] == [
        "summarize.jsonl:2",
        "summarize.jsonl:3",
        "x.json",
    ]


def test_only_the_newest_are_read(settings):
    write(settings, json.dumps(record(1)))
    found = read_shadows("summarize", settings, Bucket(*(record(number) for number in range(2, 8))), most=3)
    assert [item.id[-1] for item in found.records] == ["5", "6", "7"]
    assert found.left_out == 4


def test_a_bucket_that_does_not_answer_is_no_empty_one(settings):
    class Down:
        def listed(self, prefix):
            raise StoreError("down")
            yield

    with pytest.raises(StoreError):
        read_shadows("summarize", settings, Down(), most=10)


def test_the_newest_candidate_is_compared_with_its_last_production():
    rows = [
        ShadowRecord.model_validate(item)
        for item in (
            record(1, candidate="a" * 64),
            record(2, candidate="b" * 64, production="q" * 64),
            record(3, candidate="b" * 64),
            record(4, candidate="b" * 64),
        )
    ]
    chosen = choose_candidate(rows, None)
    assert (chosen.candidate[0], chosen.production[0], len(chosen.records)) == ("b", "p", 2)
    assert [(a[0], b[0]) for a, b in chosen.others] == [("a", "p"), ("b", "q")]
    assert choose_candidate(rows, "aaa").candidate == "a" * 64
    with pytest.raises(ShadowError, match="no shadow answers of a candidate 'zz'; there are some of aaaaaaaaaaaa"):
        choose_candidate(rows, "zz")
