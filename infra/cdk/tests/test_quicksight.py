"""QuickSight shows the service's own dashboards, and to a reader of calls the rows of the reader's tenants alone."""

import json
import re
from pathlib import Path

import pytest
from app import synthesize
from environments import read_environments

from service.dashboards.definitions import load_calls_dashboard, load_dashboards
from service.dashboards.readers import CallReader

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "deploying.md"
SOURCE, SET, BOARD = (f"AWS::QuickSight::{kind}" for kind in ("DataSource", "DataSet", "Dashboard"))


def of_type(template, kind):
    return {logical: one["Properties"] for logical, one in template["Resources"].items() if one["Type"] == kind}


@pytest.fixture(params=["dev", "test", "prod"])
def stack(templates, request):
    return templates[request.param]["omni-quicksight"]


def test_the_guide_gives_what_the_template_asks_for(stack):
    given = set(re.findall(r"--parameters omni-quicksight:(\w+)=", GUIDE.read_text(encoding="utf-8")))
    asked = {name for name, one in stack["Parameters"].items() if "Default" not in one}
    assert asked <= given <= set(stack["Parameters"])


@pytest.mark.acceptance("operation-28")
def test_every_dashboard_and_every_visual_of_the_service_stands(stack):
    boards = [*load_dashboards().values(), load_calls_dashboard()]
    assert {one["DashboardId"] for one in of_type(stack, BOARD).values()} == {f"omni-{board.name}" for board in boards}
    wanted = {f"omni-{board.name}-{visual.name}".replace("_", "-") for board in boards for visual in board.visuals}
    assert {one["DataSetId"] for one in of_type(stack, SET).values()} == {*wanted, "omni-call-readers"}


def test_rows_of_tenants_stand_behind_the_rules(stack):
    walled = {f"omni-calls-{visual.name}".replace("_", "-") for visual in load_calls_dashboard().visuals}
    found = {}
    for one in of_type(stack, SET).values():
        if "RowLevelPermissionDataSet" in one:
            found[one["DataSetId"]] = one["RowLevelPermissionDataSet"]
    assert set(found) == walled
    for rule in found.values():
        assert (rule["Status"], rule["PermissionPolicy"]) == ("ENABLED", "GRANT_ACCESS")
        assert json.dumps(rule["Arn"]).rstrip('"]}').endswith(":dataset/omni-call-readers")


def test_the_kept_rules_open_for_nobody(stack):
    (rules,) = [one for one in of_type(stack, SET).values() if one["DataSetId"] == "omni-call-readers"]
    assert rules["PhysicalTableMap"]["rows"]["CustomSql"]["SqlQuery"] == (
        "SELECT 'nobody' AS \"UserName\", 'nobody' AS tenant_id"
    )


def test_readers_that_are_given_stand_in_the_rules_and_nowhere_else(tmp_path):
    readers = (CallReader(user="dana@example.com", tenant="acme"), CallReader(user="lee@example.com", tenant="brand"))
    synthesize(read_environments()["dev"], tmp_path, readers)
    for file in tmp_path.glob("*.template.json"):
        for logical, one in json.loads(file.read_text(encoding="utf-8"))["Resources"].items():
            assert ("dana@example.com" in json.dumps(one)) is (logical == "CallReadersDataSet"), (file.name, logical)


def test_nobody_owns_a_data_set_or_the_source_since_owners_see_every_tenants_rows(stack):
    for kind in (SOURCE, SET):
        for logical, one in of_type(stack, kind).items():
            assert "Permissions" not in one, logical


def test_the_two_groups_of_readers_see_their_own_dashboards_and_change_none(stack):
    for one in of_type(stack, BOARD).values():
        (given,) = one["Permissions"]
        group = "CallReadersGroup" if one["DashboardId"] == "omni-calls" else "OperatorsGroup"
        assert {"Ref": group} in given["Principal"]["Fn::Join"][1]
        assert set(given["Actions"]) == {
            f"quicksight:{what}" for what in ("DescribeDashboard", "ListDashboardVersions", "QueryDashboard")
        }
        assert one["DashboardPublishOptions"]["AdHocFilteringOption"]["AvailabilityStatus"] == "DISABLED"


def test_the_source_is_the_warehouse_by_tls_inside_the_network(stack, templates):
    (source,) = of_type(stack, SOURCE).values()
    assert source["SslProperties"] == {"DisableSsl": False}
    assert source["Credentials"] == {"SecretArn": {"Ref": "WarehouseLogin"}}
    assert "Endpoint" in json.dumps(source["DataSourceParameters"]["RedshiftParameters"]["Host"])
    assert source["VpcConnectionProperties"]["VpcConnectionArn"]
    rules = of_type(stack, "AWS::EC2::SecurityGroupIngress")
    assert (rules["IntoWarehouse"]["FromPort"], rules["IntoWarehouse"]["ToPort"]) == (5439, 5439)
    for rule in rules.values():  # into the warehouse, and its answers back
        assert "SourceSecurityGroupId" in rule
        assert "CidrIp" not in rule


def test_data_sets_are_made_before_the_dashboards_that_name_them(stack):
    for one in stack["Resources"].values():
        if one["Type"] == BOARD:
            assert set(of_type(stack, SET)) <= set(one["DependsOn"])
        elif one["Type"] == SET and one["Properties"].get("RowLevelPermissionDataSet"):
            assert "CallReadersDataSet" in one["DependsOn"]


def test_the_template_is_one_that_cloudformation_takes(texts):
    for stacks in texts.values():
        for name, text in stacks.items():
            assert len(text.encode()) < 1_000_000, name
            assert len(json.loads(text)["Resources"]) < 500, name
