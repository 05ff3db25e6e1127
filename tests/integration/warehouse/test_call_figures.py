"""Figures of a tenant's calls: worked out by hand, the tenant's alone, and the calls behind each of them."""

from contextlib import closing
from dataclasses import replace
from datetime import date

import pytest
from scored_calls import planted

from service.dashboards import calls
from service.dashboards.calls import CallsAsked, FailuresAsked, of_tenant, read_failures, read_figures
from service.dashboards.definitions import load_calls_dashboard
from service.dashboards.errors import FormUnknown, RangeInvalid
from service.kit.frame.errors import QueryRefused
from service.warehouse.duck import DuckWarehouse

BOARD = load_calls_dashboard()
SIXTH = "2026-11-09"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("calls") / "w.duckdb"
    made = planted()
    acme = [result for result in made.results if result.tenant_id == "acme" and result.qa_evaluation is not None]
    made.say(acme[0], "greet", "yes")  # the model said no
    made.say(acme[1], "greet", "yes")  # a confirmation
    made.write(path)
    return path


@pytest.fixture
def warehouse(file):
    with closing(DuckWarehouse(file, read_only=True)) as opened:
        yield opened


def figures(warehouse, tenant="acme", **asked):
    return read_figures(warehouse, BOARD, tenant, CallsAsked(**asked), read_at=0.0)


def share(found, visual, key, column, measure="fail_rate"):
    figure = next(row.figures[measure] for row in found.rows[visual] if (row.key, row.column) == (key, column))
    return figure.value, figure.n


@pytest.mark.acceptance("qa-02")
def test_the_heatmaps_are_those_worked_out_by_hand(warehouse):
    found = figures(warehouse)
    assert (found.form_id, found.from_day, found.to_day) == ("support", date(2026, 8, 18), date(2026, 11, 9))
    assert share(found, "by_week", "greet", SIXTH) == (0.6, 10)
    assert share(found, "by_week", "greet", "2026-10-12") == (0.1, 10)
    assert share(found, "by_week", "greet", "2026-10-05") == (0.0, 10)  # the person's verdict stands
    assert share(found, "by_week", "recap", SIXTH) == (0.0, 10)
    assert share(found, "by_week", "offer", SIXTH) == (None, 0)  # it never applied
    assert share(found, "by_group", "greet", "cards") == (5 / 30, 30)
    assert share(found, "by_group", "greet", "loans") == (5 / 30, 30)
    assert share(found, "by_agent", "greet", "a2") == (5 / 30, 30)
    assert [row.key for row in found.rows["criteria"]] == ["greet", "recap", "offer"]
    assert {row.key: row.figures["agreement"].value for row in found.rows["agreement"]} == {"greet": 0.5}
    totals = found.rows["totals"][0].figures
    assert (totals["calls"].value, totals["pass_rate"].value, totals["pass_rate"].n) == (60, 49 / 60, 60)
    assert (totals["fail_rate"].value, totals["fail_rate"].n) == (10 / 120, 120)
    assert [row.key for row in found.rows["trend"]] == [
        "2026-10-05", "2026-10-12", "2026-10-19", "2026-10-26", "2026-11-02", SIXTH]  # fmt: skip
    assert (found.coverage.calls, found.coverage.without_form, found.coverage.forms) == (62, 1, ("support", "sales"))
    assert found.coverage.by_floor == 0
    assert {criterion.id: criterion.question for criterion in found.criteria}["greet"] == "Was greet done?"


def test_a_week_that_stands_out_is_named_and_others_are_not(warehouse):
    changes = figures(warehouse).changes
    assert [(one.criterion, one.week, one.worse, one.rate, one.n) for one in changes] == [
        ("greet", SIXTH, True, 0.6, 10)
    ]
    assert (changes[0].before_rate, changes[0].before_n) == (4 / 50, 50)
    assert figures(warehouse, agent_group="loans").changes == ()
    assert figures(warehouse, to_day=date(2026, 11, 8)).changes == ()


def test_a_group_and_a_range_narrow_every_figure_down(warehouse):
    found = figures(warehouse, agent_group="cards", from_day=date(2026, 11, 9), to_day=date(2026, 11, 9))
    assert {(row.key, row.column) for row in found.rows["by_week"]} == {
        ("greet", SIXTH), ("recap", SIXTH), ("offer", SIXTH)}  # fmt: skip
    assert share(found, "by_week", "greet", SIXTH) == (1.0, 5)
    assert found.rows["totals"][0].figures["calls"].value == 5


@pytest.mark.acceptance("tenant-04")
def test_a_tenant_sees_its_own_rows_alone(warehouse):
    brand = figures(warehouse, "brand")
    assert brand.rows["totals"][0].figures["calls"].value == 3
    assert {row.column for row in brand.rows["by_agent"]} == {"b1"}
    assert (brand.coverage.calls, brand.coverage.groups, brand.coverage.forms) == (3, ("b",), ("support",))
    nobody = figures(warehouse, "nobody")
    assert nobody.form_id is None
    assert not any(nobody.rows.values())
    assert nobody.coverage == calls.CallCoverage(
        oldest=None, newest=None, calls=0, without_form=0, by_floor=0, forms=(), groups=()
    )


@pytest.mark.parametrize("tenant", ["", "' OR 1 = 1 --", "acme' UNION SELECT * FROM omni_calls --", "%", "*"])
def test_a_hostile_tenant_reads_nothing(warehouse, tenant):
    if not tenant:
        with pytest.raises(ValueError, match="needs a tenant"):
            figures(warehouse, tenant)
        return
    found = figures(warehouse, tenant)
    assert not any(found.rows.values())


def test_a_query_without_the_tenant_is_refused(warehouse):
    with pytest.raises(QueryRefused):
        of_tenant(warehouse, "acme", "SELECT call_id FROM omni_calls", {})


def test_without_the_condition_a_tenant_would_see_all(warehouse, monkeypatch):
    """The test of the wall can fail."""

    def everyone(warehouse, tenant, sql, parameters, *, order=""):
        return calls.records(warehouse, sql, parameters)

    monkeypatch.setattr(calls, "of_tenant", everyone)
    assert figures(warehouse, "brand").coverage.calls == 65


@pytest.mark.parametrize("visual", BOARD.visuals, ids=lambda visual: visual.name)
def test_each_query_has_its_tenant_and_its_columns(warehouse, visual):
    given = {"from_day": "2026-10-01", "to_day": "2026-11-30", "form": "*", "agent_group": "*"}
    frame = warehouse.query(visual.sql, {name: given[name] for name in visual.parameters})
    assert set(frame.columns) == set(visual.columns) | (set(frame.columns) if visual.kind == "numbers" else set())
    assert set(visual.parameters) == set(given)
    assert set(frame["tenant_id"]) == ({"acme"} if visual.name == "agreement" else {"acme", "brand"})
    keys = [name for name in ("tenant_id", visual.by, visual.across_by) if name]
    assert not frame.duplicated(keys).any()


def test_the_calls_behind_a_cell(warehouse):
    asked = FailuresAsked(form_id="support", criterion="greet", from_day=date(2026, 11, 9), to_day=date(2026, 11, 15))
    found = read_failures(warehouse, "acme", asked)
    assert len(found) == 6
    assert [call.call_date for call in found] == sorted((call.call_date for call in found), reverse=True)
    assert {call.agent_group for call in read_failures(warehouse, "acme", replace(asked, agent_group="cards"))} == {
        "cards"
    }
    assert len(read_failures(warehouse, "acme", replace(asked, agent="a1"))) == 1
    assert read_failures(warehouse, "acme", replace(asked, criterion="recap")) == ()
    assert len(read_failures(warehouse, "brand", asked)) == 3
    overruled = replace(asked, from_day=date(2026, 10, 5), to_day=date(2026, 10, 11))
    assert read_failures(warehouse, "acme", overruled) == ()


def test_what_cannot_be_asked_is_refused_with_what_can(warehouse):
    with pytest.raises(FormUnknown, match="choose from support, sales"):
        figures(warehouse, form_id="nobody-qa")
    with pytest.raises(RangeInvalid):
        figures(warehouse, from_day=date(2026, 11, 9), to_day=date(2026, 11, 8))
