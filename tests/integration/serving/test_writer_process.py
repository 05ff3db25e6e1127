"""The summary writer's process against a local AWS: nothing lost, nothing twice, whoever dies, stops or finds no disk."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from builders import summary_record
from made_tables import make_table
from structlog.testing import capture_logs

from service.answers_kept.archive import Archive
from service.answers_kept.record import utc_text
from service.answers_kept.table import SummaryTable
from service.answers_kept.writer import answer_spool, answer_writer
from service.answers_kept.writer_process import WriterProcess
from service.kit.aws.clients import client
from service.kit.aws.stores import SUMMARIES
from service.kit.frame.retries import RetryPlan

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLE, BUCKET = "written-elsewhere", "written-elsewhere"


class Place:
    """Both stores, a spool, and a writer process made for one test."""

    def __init__(self, settings, folder, hour):
        self.settings = settings.model_copy(update={"spool_dir": folder})
        self.hour = hour
        self.dynamodb, self.s3 = (client(name, settings, attempts=1) for name in ("dynamodb", "s3"))
        self.table = SummaryTable(self.dynamodb, TABLE, ttl=timedelta(days=7))
        self.archive = Archive(self.s3, BUCKET)
        self.here = 0
        self.spool = answer_spool(folder, max_bytes=10**7)
        self.writer = WriterProcess(self.settings, self.spool, self.make_here)

    def make_here(self):
        self.here += 1
        return answer_writer(self.table, self.archive, self.spool, others_after_s=0.0, replay_every_s=0.1)

    def records(self, count):
        return [
            summary_record(
                request_id=f"req-{self.hour:02}{number:010}",
                unique_process_id=f"p-{self.hour}-{number}",
                generated_at=utc_text(NOW + timedelta(hours=self.hour, seconds=number)),
            )
            for number in range(count)
        ]

    def stored(self):
        """Request ids in table and archive; lists, not sets: what is there twice shows."""
        since, until = utc_text(NOW + timedelta(hours=self.hour)), utc_text(NOW + timedelta(hours=self.hour + 1))
        return sorted(self.table.request_ids(since, until)), sorted(self.archive.request_ids(since, until))

    def spooled_long_ago(self):
        """Make what is spooled old enough for a replay, which leaves the files of the last ten seconds alone."""
        for path in self.spool.waiting():
            with suppress(FileNotFoundError):  # written by now
                os.utime(path, (time.time() - 60, time.time() - 60))

    def everything_arrives(self, records):
        wanted = sorted(record.request_id for record in records)
        until(lambda: self.spool.ids() == (set(), set()) and len(self.stored()[1]) >= len(wanted))
        assert self.stored() == (wanted, wanted)

    def close(self):
        self.writer.close()
        self.dynamodb.close()
        self.s3.close()


def until(condition, within_s=45.0):
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def settings(local_aws):
    made = local_aws(summaries_table=TABLE, archive_bucket=BUCKET)
    dynamodb, s3 = (client(name, made, attempts=1) for name in ("dynamodb", "s3"))
    make_table(dynamodb, SUMMARIES, TABLE)
    s3.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture
def place(settings, tmp_path, request):
    made = Place(settings, tmp_path / "spool", hour=sum(map(ord, request.node.name)) % 1000)
    yield made
    made.close()


def test_the_child_writes_what_the_parent_takes_and_reports_it(place):
    place.writer.start()
    records = place.records(30)
    for record in records:
        place.writer.keep(record)
    place.everything_arrives(records)
    until(lambda: place.writer.snapshot()["written"] == 30)
    # On a busy machine the child may begin so late that its replay is first with some.
    assert place.writer.snapshot() | {"in_flight": 0, "replayed": 0} == {
        "accepted": 30, "written": 30, "replayed": 0, "failures": 0, "unspooled": 0, "refused": 0, "lost": 0,
        "in_flight": 0, "homeless": 0,
    }  # fmt: skip
    assert place.here == 0


def test_closing_ends_the_child_after_it_has_written_what_it_was_told_of(place):
    place.writer.start()
    until(lambda: place.writer.pid is not None)
    pid = place.writer.pid
    records = place.records(40)
    for record in records:
        place.writer.keep(record)
    place.writer.close(drain_s=60.0)  # a busy machine takes more than the usual five seconds
    assert place.stored()[0] == sorted(record.request_id for record in records)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.acceptance("event.SUMMARY_WRITER_DIED")
def test_a_child_killed_in_mid_write_is_followed_by_another_that_writes_the_rest(place):
    place.writer.start()
    records = place.records(120)
    with capture_logs() as logs:
        for number, record in enumerate(records):
            place.writer.keep(record)
            if number == 60:
                until(lambda: place.stored()[0] != [])
                os.kill(place.writer.pid, signal.SIGKILL)
        place.spooled_long_ago()
        place.everything_arrives(records)
    died = [entry for entry in logs if entry["event"] == "SUMMARY_WRITER_DIED"]
    assert [(entry["reason"], entry["failures"]) for entry in died] == [("ended with code -9", 1)]
    assert place.writer.snapshot()["accepted"] == 120


def test_a_child_that_does_not_read_delays_no_request(place):
    place.writer.start()
    until(lambda: place.writer.pid is not None)
    os.kill(place.writer.pid, signal.SIGSTOP)
    records = place.records(2000)  # their names are more than a pipe holds
    for record in records:
        place.writer.keep(record)
    assert len(place.spool.ids()[0]) == 2000
    os.kill(place.writer.pid, signal.SIGCONT)
    until(lambda: place.writer.snapshot()["written"] > 500)
    # What no name was sent of is for the replay, which leaves young files alone for ten seconds.


def test_records_that_the_disk_refuses_are_written_by_the_parent(place):
    place.writer.start()
    place.spool._max_bytes = 10
    records = place.records(3)
    with capture_logs() as logs:
        for record in records:
            place.writer.keep(record)
    assert [entry["event"] for entry in logs] == ["SUMMARY_SPOOL_FAILURE"] * 3
    place.everything_arrives(records)
    until(lambda: place.writer.snapshot()["written"] == 3)
    assert place.writer.snapshot()["unspooled"] == 3


def test_the_parent_writes_when_no_child_survives(place, monkeypatch):
    monkeypatch.setattr("service.answers_kept.writer_process._PAUSES", RetryPlan(first_s=0.01, longest_s=30))
    monkeypatch.setattr("service.answers_kept.writer_process.sys.executable", "/bin/false")
    records = place.records(5)
    with capture_logs() as logs:
        place.writer.start()
        for record in records:
            place.writer.keep(record)
        place.everything_arrives(records)
    assert [entry["failures"] for entry in logs if entry["event"] == "SUMMARY_WRITER_DIED"][:3] == [1, 2, 3]
    assert place.here == 1


# Takes records and dies by SIGKILL, as soon as its child has begun.
_VICTIM = """
import json, os, signal, sys, time
from pathlib import Path
from service.kit.settings import Settings
from service.answers_kept.record import SummaryRecord
from service.answers_kept.writer import answer_spool
from service.answers_kept.writer_process import WriterProcess

settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
writer = WriterProcess(settings, answer_spool(settings.spool_folder, max_bytes=10**7), lambda: sys.exit("not needed"))
writer.start()
for line in Path(sys.argv[2]).read_text().splitlines():
    writer.keep(SummaryRecord.model_validate_json(line))
while not writer.snapshot()["written"]:
    time.sleep(0.005)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_parent_killed_in_mid_write_leaves_a_child_that_finishes(place, tmp_path):
    records = place.records(150)
    given, lines = tmp_path / "settings.json", tmp_path / "records.jsonl"
    given.write_text(json.dumps(place.settings.flat()), encoding="utf-8")
    lines.write_text("\n".join(record.to_json() for record in records), encoding="utf-8")
    died = subprocess.run([sys.executable, "-c", _VICTIM, str(given), str(lines)], check=False)
    assert died.returncode == -signal.SIGKILL
    place.spooled_long_ago()
    place.writer.start()  # the next service: what no name was sent of is its replay's
    place.everything_arrives(records)
