"""Every page passes axe-core's rules of WCAG 2.2 AA in light, dark and print, at two widths, and is worked by keyboard."""

from datetime import timedelta

import pyarrow as pa
import pytest
from answer_rows import answer
from axe import LOOKS, WIDTHS, focus_path, violations
from empty_warehouse import empty_warehouse
from shadowed import judged, record, report_of
from tiny_evaluation import CASES, SUITE, tiny_evaluation

from eval.instruments.sweep.points import sweep_points
from eval.instruments.sweep.report import write_sweep
from eval.report.page import write_report
from eval.shadow.report import write_shadow_report
from reports.compare.weekly import make_report
from reports.read.data import read_week
from reports.read.weeks import Week
from reports.simulate.synthetic import Planted, Scenario, rows
from reports.write.page import write_page
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS, SummaryEvent

pytestmark = pytest.mark.slow
NAMES = ("evaluation", "weekly", "tasks", "sweep", "shadow")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages that are opened as files, by name."""
    folder = tmp_path_factory.mktemp("pages")
    evaluation, quality = tiny_evaluation(), SUITE.metric("grounded")
    return {
        "evaluation": write_report(evaluation, SUITE, CASES, folder / "evaluation"),
        "weekly": _weekly(folder),
        "tasks": _tasks(folder),
        "shadow": write_shadow_report(_shadow(), folder / "shadow"),
        "sweep": write_sweep(evaluation, SUITE, quality, sweep_points(evaluation, SUITE, quality), folder / "sweep"),
    }


def _shadow():
    worse = {"output": "The customer waits for $999.99.", "guarded": []}
    return report_of(judged(record(number, ours=worse if number % 3 == 0 else None) for number in range(60)))


def _weekly(folder):
    week = Week.parse("2026-W46")
    path = folder / "warehouse.duckdb"
    empty_warehouse(path).close()
    warehouse = DuckWarehouse(path)
    planted = Planted(dimension="intent", value="outage", level=0.5)
    tables = rows(Scenario(week=week, answers=20_000, planted=(planted,), seed=3))
    for event in EVENTS:
        if event.table in tables:
            warehouse.merge(event, tables[event.table])
    report = make_report(read_week(warehouse, week, "summarize", week.end))
    warehouse.close()
    return write_page(folder, report)


def _tasks(folder):
    """The page of two tasks, one of them with few answers and no ratings."""
    week = Week.parse("2026-W46")
    warehouse = empty_warehouse(folder / "tasks.duckdb")
    tables = rows(Scenario(week=week, answers=8_000, seed=4))
    few = [answer(week.start + timedelta(hours=n), task="shout").model_dump() for n in range(3)]
    for event in EVENTS:
        if event.table in tables:
            warehouse.merge(event, tables[event.table])
    warehouse.merge(SummaryEvent, pa.Table.from_pylist(few))
    reports = [make_report(read_week(warehouse, week, task, week.end)) for task in ("summarize", "shout")]
    warehouse.close()
    (folder / "tasks").mkdir()
    return write_page(folder / "tasks", *reports)


def open_all(page):
    """Open everything that is folded, so that axe sees it."""
    page.evaluate("() => document.querySelectorAll('details').forEach((node) => { node.open = true; })")


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_violates_no_rule_of_wcag(pages, open_page, name, width, scheme, media):
    page = open_page(width, color_scheme=scheme)
    page.goto(pages[name].as_uri())
    page.emulate_media(media=media)
    assert violations(page) == []
    open_all(page)
    assert violations(page) == []
    if media == "screen":
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []


def test_the_weekly_report_is_six_phone_screens_long_at_most_with_its_details_folded(pages, open_page):
    page = open_page(420)
    page.goto(pages["weekly"].as_uri())
    assert page.evaluate("document.documentElement.scrollHeight") <= 6 * 900
    assert page.locator("#do").bounding_box()["y"] < 2 * 900


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_keyboard_reaches_everything_that_does_something(pages, open_page, name, width):
    page = open_page(width)
    page.goto(pages[name].as_uri())
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('a[href], summary, input, select, button, [tabindex="0"]')]
          .filter((node) => node.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})).length"""
    )
    reached, bare = focus_path(page)
    assert len(reached) == wanted
    assert bare == []


@pytest.mark.parametrize("name", ["evaluation", "weekly"])
def test_the_keyboard_opens_and_closes_what_is_folded(pages, open_page, name):
    page = open_page()
    page.goto(pages[name].as_uri())
    summary = page.locator("details:not([open]) > summary").first
    summary.focus()
    before = page.evaluate("document.activeElement.parentElement.open")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open") is not before


def test_the_checks_see_faults(pages, open_page):
    page = open_page()
    page.goto(pages["weekly"].as_uri())
    page.evaluate(
        "() => { document.body.append(document.createElement('img')); document.querySelector('h1').style.color = '#ddd'; }"
    )
    page.add_style_tag(content="summary:focus-visible { outline: none }")
    assert [found.split(":")[0] for found in violations(page)] == ["color-contrast", "image-alt"]
    assert focus_path(page)[1]
