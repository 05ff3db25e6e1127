"""Where a scan of the bucket begins: at what was loaded of the same folder, and of no folder with a similar name."""

from types import SimpleNamespace

import loadable
import pytest
from empty_warehouse import empty_warehouse

from service.loading.loader import Loader
from service.warehouse.events import LoadEvent
from service.warehouse.rows import to_table

FOLDERS = ("omni-channel/answers/order_status/", "omni-channel/answers/orderXstatus/")


class Bucket:
    def __init__(self):
        self.begun = {}

    def folders(self, kind):
        return list(FOLDERS)

    def listed(self, prefix, *, after):
        self.begun[prefix] = after
        return []


@pytest.fixture
def warehouse(tmp_path):
    made = empty_warehouse(tmp_path / "one.duckdb")
    yield made
    made.close()


@pytest.mark.parametrize(("loaded", "other"), [FOLDERS, FOLDERS[::-1]])
def test_a_task_s_scan_begins_at_its_own_newest_object(warehouse, loaded, other):
    row = LoadEvent(
        object_key=f"{loaded}year=2025/month=11/day=20/hour=09/req-1.json",
        etag="e",
        kind="answer",
        outcome="loaded",
        reason=None,
        row_count=1,
        loaded_at=loadable.NOW,
    )
    warehouse.merge(LoadEvent, to_table(LoadEvent, [row]))
    bucket, opened = Bucket(), SimpleNamespace(query=warehouse.query, close=lambda: None)
    Loader(archive=bucket, open_warehouse=lambda: opened, redactor=None, now=lambda: loadable.NOW).scan()
    assert bucket.begun[other] == ""
    assert bucket.begun[loaded] == f"{loaded}year=2025/month=11/day=18/hour=09/"
