"""The stores in memory of `omni bench service`: a fault of their own ends the bench with an error."""

import json
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "load"


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # tests/load is a folder of scripts and no package
    import rig

    made = object.__new__(rig.Rig)
    made._stack = rig.ExitStack()
    made.settings = SimpleNamespace(local=SimpleNamespace(aws_port=rig.free_port()))
    return made


def query(rig, values):
    body = {"TableName": "x", "KeyConditionExpression": "", "ExpressionAttributeValues": values}
    request = urllib.request.Request(
        f"http://127.0.0.1:{rig.settings.local.aws_port}/",
        data=json.dumps(body).encode(),
        headers={"X-Amz-Target": "DynamoDB_20120810.Query"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_a_table_in_which_nothing_is_kept_is_empty(rig):
    with rig._stack:
        rig._start_memory()
        assert query(rig, {":list": {"S": "open"}}) == {"Items": [], "Count": 0}


def meet_a_fault(rig):
    with rig._stack:
        rig._start_memory()
        with suppress(urllib.error.HTTPError):
            query(rig, {":account": {"S": "9"}})  # without the times that a history is read between


def test_a_fault_of_the_stores_fails_the_bench(rig):
    with pytest.raises(SystemExit, match="a fault of their own"):
        meet_a_fault(rig)
