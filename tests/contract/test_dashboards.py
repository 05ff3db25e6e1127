"""The dashboards' SQL runs and gives the columns it declares, and the export has the shapes that QuickSight's API takes."""

import json
import re
import subprocess
import sys

import botocore.session
import pytest
from botocore.validate import ParamValidator

from service.__main__ import main
from service.dashboards.definitions import load_calls_dashboard, load_dashboards
from service.dashboards.quicksight import export
from service.dashboards.readers import CallReader, read_readers
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT, Settings
from service.warehouse import open_warehouse

VISUALS = [(board, visual) for board in load_dashboards().values() for visual in board.visuals]
IDS = [f"{board.name}-{visual.name}" for board, visual in VISUALS]
PARAMETERS = {"task": "summarize", "from_day": "2026-11-16", "to_day": "2026-11-18", "pair": "*"}
CALLS = load_calls_dashboard()
READERS = (CallReader(user="dana@example.com", tenant="acme"), CallReader(user="dana@example.com", tenant="brand"))
SOURCE = "arn:aws:quicksight:us-east-1:123456789012:datasource/omni"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, hand_made_warehouse):
    settings = Settings(state_dir=tmp_path_factory.mktemp("dashboards"))
    hand_made_warehouse(settings.warehouse_file)
    opened = open_warehouse(settings, read_only=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def exported():
    boards = [*load_dashboards().values(), CALLS]
    return export(boards, account="123456789012", region="us-east-1", data_source_arn=SOURCE, readers=READERS)


@pytest.fixture(scope="module")
def model():
    return botocore.session.get_session().get_service_model("quicksight")


@pytest.mark.parametrize(("board", "visual"), VISUALS, ids=IDS)
def test_each_query_gives_the_columns_that_are_read(warehouse, board, visual):
    given = PARAMETERS | {"task": "assistant" if board.name == "assistant" else "summarize"}
    frame = warehouse.query(visual.sql, {name: given[name] for name in visual.parameters})
    assert len(frame) > 0
    # A count of all answers that no measure reads may stand in a totals row.
    assert set(visual.columns) <= set(frame.columns)
    assert set(frame.columns) - set(visual.columns) == set()
    if visual.by is not None:
        assert frame[visual.by].is_unique


@pytest.mark.parametrize(("board", "visual"), VISUALS, ids=IDS)
def test_each_query_answers_for_a_range_without_answers(warehouse, board, visual):
    given = PARAMETERS | {"from_day": "2020-01-01", "to_day": "2020-01-02", "pair": "alpha"}
    frame = warehouse.query(visual.sql, {name: given[name] for name in visual.parameters})
    assert len(frame) == (1 if visual.kind == "numbers" else 0)


@pytest.mark.acceptance("audit-10")
def test_conversations_are_counted_as_worked_out_by_hand(warehouse):
    visuals = {visual.name: visual for visual in load_dashboards()["assistant"].visuals}

    def rows(name, **changes):
        given = PARAMETERS | {"task": "assistant"} | changes
        return warehouse.query(visuals[name].sql, {key: given[key] for key in visuals[name].parameters}).to_dict(
            "records"
        )

    assert rows("conversations") == [
        {"conversations": 11, "ended": 11, "resolved": 6, "transferred": 4, "abandoned": 1}
    ]
    assert rows("checks") == [{"turns": 22, "hallucinated": 1, "passed": 22, "uses": 12, "failed": 1}]
    assert [(row["reason"], row["handovers"]) for row in rows("reasons")] == [
        ("explicit_request", 3),
        ("customer_frustration", 1),
    ]
    assert rows("kinds") == [{"kind": "fabricated_data", "findings": 1}]
    assert [(row["transfers"], row["places"], row["callbacks"]) for row in rows("queue")] == [(3, 0, 0), (1, 0, 1)]
    assert rows("conversations", pair="alpha")[0]["conversations"] == 0  # none of these turns is alpha's


def test_performance_says_what_the_view_says(warehouse):
    visuals = {visual.name: visual for visual in load_dashboards()["performance"].visuals}
    view = (
        "SELECT p50_ms, p95_ms, p99_ms, reuse_rate, prompt_cache_rate, degraded_rate, failover_rate FROM v_performance"
    )
    expected = warehouse.query(f"{view} WHERE pair = 'beta'", {}).iloc[0]
    asked = PARAMETERS | {"pair": "beta"}
    latency = warehouse.query(visuals["latency"].sql, asked).iloc[0]
    assert [latency["p50"], latency["p95"], latency["p99"]] == list(expected[["p50_ms", "p95_ms", "p99_ms"]])
    rates = warehouse.query(visuals["rates"].sql, asked).iloc[0]
    of = {m.name: m.of for m in visuals["rates"].measures}
    for name in ("reuse_rate", "prompt_cache_rate", "degraded_rate", "failover_rate"):
        part, whole = of[name]
        assert rates[part] / rates[whole] == expected[name], name
    assert rates["failovers"] == 3


def faults(shape, value, path=""):
    """Enumerations and patterns, which botocore's validator leaves to the service."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from faults(shape.members[name], inner, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from (
            fault for index, inner in enumerate(value) for fault in faults(shape.member, inner, f"{path}[{index}]")
        )
    elif shape.type_name == "map":
        yield from (fault for key, inner in value.items() for fault in faults(shape.value, inner, f"{path}.{key}"))
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is none of {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern and "\\p" not in pattern and "\\u" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{path}: {value!r} does not match {pattern}"
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}: longer than {shape.metadata['max']}"


@pytest.mark.parametrize("operation", ["CreateDataSet", "CreateAnalysis", "CreateDashboard"])
def test_each_request_has_the_apis_shape(exported, model, operation):
    shape = model.operation_model(operation).input_shape
    assert exported[operation]
    for request in exported[operation]:
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(faults(shape, request)) == []


def test_the_check_sees_a_wrong_shape(exported, model):
    shape = model.operation_model("CreateDataSet").input_shape
    good = exported["CreateDataSet"][1]
    assert list(faults(shape, good | {"ImportMode": "LIVE"}))
    assert ParamValidator().validate({k: v for k, v in good.items() if k != "Name"}, shape).has_errors()
    assert ParamValidator().validate(good | {"Colour": "red"}, shape).has_errors()


@pytest.mark.acceptance("operation-28")
def test_each_visual_stands_in_the_export_once_with_its_own_data(exported):
    sets = {request["DataSetId"]: request for request in exported["CreateDataSet"]}
    assert len(sets) == len(VISUALS) + len(CALLS.visuals) + 1  # who may see whose calls
    for request in exported["CreateDashboard"]:
        definition = request["Definition"]
        declared = {item["Identifier"]: item["DataSetArn"] for item in definition["DataSetIdentifierDeclarations"]}
        assert {arn.rpartition("/")[2] for arn in declared.values()} <= set(sets)
        text = json.dumps(definition["Sheets"])
        named = set(re.findall(r'"DataSetIdentifier": "([^"]+)"', text))
        assert named == set(declared)
        sheet = definition["Sheets"][0]
        shown = [next(iter(visual.values()))["VisualId"] for visual in sheet["Visuals"]]
        laid_out = [e["ElementId"] for e in sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]]
        assert shown == laid_out
        assert len(set(shown)) == len(shown)


def test_each_column_that_a_visual_names_is_a_column_or_a_calculated_field(exported):
    columns = {
        request["DataSetId"]: {c["Name"] for c in request["PhysicalTableMap"]["rows"]["CustomSql"]["Columns"]}
        for request in exported["CreateDataSet"]
    }
    for request in exported["CreateDashboard"]:
        definition = request["Definition"]
        for field in definition["CalculatedFields"]:
            assert set(re.findall(r"\{(\w+)\}", field["Expression"])) <= columns[field["DataSetIdentifier"]]
        known = {(field["DataSetIdentifier"], field["Name"]) for field in definition["CalculatedFields"]}
        known |= {(name, column) for name, found in columns.items() for column in found}
        pairs = re.findall(r'"DataSetIdentifier": "([^"]+)", "ColumnName": "([^"]+)"', json.dumps(definition["Sheets"]))
        assert set(pairs) <= known
        assert pairs


def test_no_cells_overlap(exported):
    for request in exported["CreateDashboard"]:
        taken = set()
        for e in request["Definition"]["Sheets"][0]["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]:
            cells = {
                (column, row)
                for column in range(e["ColumnIndex"], e["ColumnIndex"] + e["ColumnSpan"])
                for row in range(e["RowIndex"], e["RowIndex"] + e["RowSpan"])
            }
            assert not cells & taken
            assert max(column for column, _ in cells) < 36
            taken |= cells


def test_parameters_reach_every_data_set(exported):
    for request in exported["CreateDataSet"]:
        sql = request["PhysicalTableMap"]["rows"]["CustomSql"]["SqlQuery"]
        used = set(re.findall(r"<<\$(\w+)>>", sql))
        if request["DataSetId"].startswith("omni-call"):
            continue
        of_one_task = set() if request["DataSetId"].endswith("-by-task") else {"Task", "Pair"}
        assert used == {"FromDay", "ToDay"} | of_one_task
        assert {item["StringDatasetParameter"]["Name"] for item in request["DatasetParameters"]} == used
        assert re.findall(r":(?!:)[a-z_]+", sql) == []


@pytest.mark.acceptance("tenant-04")
def test_rows_of_tenants_are_behind_rules_that_no_parameter_changes(exported):
    sets = {request["DataSetId"]: request for request in exported["CreateDataSet"]}
    rules = sets["omni-call-readers"]
    assert rules["UseAs"] == "RLS_RULES"
    assert next(iter(sets)) == "omni-call-readers"  # before what refers to it
    assert rules["PhysicalTableMap"]["rows"]["CustomSql"]["SqlQuery"] == (
        "SELECT 'dana@example.com' AS \"UserName\", 'acme' AS tenant_id UNION ALL "
        "SELECT 'dana@example.com' AS \"UserName\", 'brand' AS tenant_id"
    )
    walled = {f"omni-calls-{visual.name}".replace("_", "-") for visual in CALLS.visuals}
    assert {name for name, request in sets.items() if "RowLevelPermissionDataSet" in request} == walled
    for name in walled:
        rule, table = sets[name]["RowLevelPermissionDataSet"], sets[name]["PhysicalTableMap"]["rows"]["CustomSql"]
        assert (rule["Status"], rule["PermissionPolicy"]) == ("ENABLED", "GRANT_ACCESS")
        assert rule["Arn"] == "arn:aws:quicksight:us-east-1:123456789012:dataset/omni-call-readers"
        assert {"Name": "tenant_id", "Type": "STRING"} in table["Columns"]  # what the rules choose by
        used = {"FromDay", "ToDay", "Form", "AgentGroup"}
        assert set(re.findall(r"<<\$(\w+)>>", table["SqlQuery"])) == used
        assert {item["StringDatasetParameter"]["Name"] for item in sets[name]["DatasetParameters"]} == used
        assert re.findall(r":(?!:)[a-z_]+", table["SqlQuery"]) == []


def test_without_readers_no_tenants_rows_are_exported():
    made = export([CALLS], account="123456789012", region="us-east-1", data_source_arn=SOURCE)
    assert not any(made.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,tenant_id\na@example.com,\n", "'' is no tenant's id"),  # an empty value means every tenant
        ("user,tenant_id\na' OR 1=1,acme\n", "is no name of a QuickSight user"),
        ("user,tenant_id\na@example.com,ac'me\n", "is no tenant's id"),
        ("user,tenant_id\na@example.com,acme,brand\n", "is no name of a QuickSight user"),
        ("user\na@example.com\n", "the first line must be user,tenant_id"),
        ("user,tenant_id\n", "names no reader"),
    ],
)
def test_a_wrong_list_of_readers_is_refused(tmp_path, text, said):
    file = tmp_path / "readers.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read_readers(file)


def test_the_command_writes_the_export(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    file = tmp_path / "quicksight.json"
    assert main(["dashboards", "--export", str(file)]) == 0
    assert list(json.loads(file.read_text(encoding="utf-8"))) == ["CreateDataSet", "CreateAnalysis", "CreateDashboard"]
    assert "CreateDashboard" in capsys.readouterr().out
    assert "omni-calls" not in file.read_text(encoding="utf-8")
    readers = tmp_path / "readers.csv"
    readers.write_text("user,tenant_id\nadmin/dana,acme\n", encoding="utf-8")
    assert main(["dashboards", "--export", str(file), "--readers", str(readers)]) == 0
    assert (
        "SELECT 'admin/dana' AS"
        in json.loads(file.read_text(encoding="utf-8"))["CreateDataSet"][0]["PhysicalTableMap"]["rows"]["CustomSql"][
            "SqlQuery"
        ]
    )
    assert main(["dashboards", "--export", str(tmp_path / "no" / "file.json")]) == 2


def test_the_service_starts_where_the_warehouse_extra_is_not_installed():
    script = """
import asyncio, sys
for name in ("duckdb", "pandas", "pyarrow", "sqlglot", "scipy", "numpy"):
    sys.modules[name] = None
import service.app
from functools import partial
from service.dashboards.definitions import load_dashboards
from service.dashboards.errors import ExtraMissing
from service.dashboards.reader import Asked, DashboardReader
from service.dashboards.reader import read_warehouse
from service.kit.settings import Settings
try:
    asyncio.run(DashboardReader(partial(read_warehouse, Settings())).read(load_dashboards()["cost"], Asked()))
except ExtraMissing as err:
    print(err.status, err)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("503 the warehouse extra is not installed")
