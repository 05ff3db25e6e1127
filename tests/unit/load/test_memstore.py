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


def call(rig, operation, **body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{rig.settings.local.aws_port}/",
        data=json.dumps(body).encode(),
        headers={"X-Amz-Target": f"DynamoDB_20120810.{operation}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def query(rig, values):
    return call(rig, "Query", TableName="x", KeyConditionExpression="", ExpressionAttributeValues=values)


def test_a_table_in_which_nothing_is_kept_is_empty(rig):
    with rig._stack:
        rig._start_memory()
        assert query(rig, {":list": {"S": "open"}}) == {"Items": [], "Count": 0}


def test_a_shared_item_is_put_together_with_others_and_read_by_its_key(rig):
    item = {"pk": {"S": "rollout"}, "sk": {"S": "summarize"}}
    other = {"Update": {"TableName": "x", "Key": {"id": {"S": "1"}}, "UpdateExpression": ""}}
    asked = {"KeyConditionExpression": "#0 = :0 AND #1 = :1", "TableName": "omni-shared-state"}
    with rig._stack:
        rig._start_memory()
        call(
            rig, "TransactWriteItems", TransactItems=[{"Put": {"TableName": "omni-shared-state", "Item": item}}, other]
        )
        values = {":0": {"S": "rollout"}, ":1": {"S": "summarize"}}
        assert call(rig, "Query", **asked, ExpressionAttributeValues=values)["Items"] == [item]
        for operation in ("Scan", "GetItem", "PutItem", "UpdateItem", "DeleteItem"):
            assert "Items" not in (found := call(rig, operation, TableName="x", Item={}, Key={})) or not found["Items"]


def meet_a_fault(rig):
    with rig._stack:
        rig._start_memory()
        with suppress(urllib.error.HTTPError):
            query(rig, {":account": {"S": "9"}})  # without the times that a history is read between


def test_a_fault_of_the_stores_fails_the_bench(rig):
    with pytest.raises(SystemExit, match="a fault of their own"):
        meet_a_fault(rig)
