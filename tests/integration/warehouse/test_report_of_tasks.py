"""The weekly report of several tasks in one warehouse: each task's figures apart, one overview, one budget of false alarms."""

import json
import re
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from answer_rows import answer, feedback, summary
from empty_warehouse import empty_warehouse

from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import make_report
from reports.errors import TaskError
from reports.read.data import read_week
from reports.read.weeks import Week
from reports.run import write_weekly
from reports.simulate import power
from reports.write import digest, numbers, page
from reports.write.overview import by_urgency, overall_headline
from service.kit.settings import Settings
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import FeedbackEvent, SummaryEvent

WEEK = Week.parse("2026-W46")
MONDAY = datetime(2026, 11, 9, 8, tzinfo=UTC)
LATER = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    """The commands in a report name ``omni`` as in an activated environment."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("OMNI_SIMULATED", raising=False)


@pytest.fixture
def settings(tmp_path):
    return Settings(root=tmp_path, state_dir=tmp_path / "state")


def fill(settings, rows, verdicts=()):
    with closing(empty_warehouse(settings.warehouse_file)) as warehouse:
        warehouse.merge(SummaryEvent, pa.Table.from_pylist([row.model_dump() for row in rows]))
        if verdicts:
            warehouse.merge(FeedbackEvent, pa.Table.from_pylist([row.model_dump() for row in verdicts]))
    return settings


def summaries(count, helpful, *, weeks_ago=0):
    start = MONDAY - timedelta(weeks=weeks_ago)
    return [
        summary(start + timedelta(minutes=7 * n), "helpful" if n < helpful else "not_helpful") for n in range(count)
    ]


def shouts(count, helpful, *, weeks_ago=0, **changes):
    start = MONDAY - timedelta(weeks=weeks_ago, seconds=-1)
    return [
        answer(
            start + timedelta(minutes=5 * n), "helpful" if n < helpful else "not_helpful", task="shout",
            conversation=f"talk-{n // 4}", pair="loud", pair_digest="b" * 64, model_used="shouter", **changes,
        )
        for n in range(count)
    ]  # fmt: skip


def week_of(settings, task, week=WEEK):
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        return read_week(warehouse, week, task, LATER)


def without_tasks(frame):
    return json.loads(frame.drop(columns=["task"]).to_json())


def test_each_task_has_its_own_figures(settings, tmp_path):
    ours, theirs = summaries(60, 54) + summaries(50, 45, weeks_ago=1), shouts(40, 10) + shouts(40, 30, weeks_ago=1)
    fill(settings, [*ours, *theirs])
    alone = fill(Settings(root=tmp_path / "alone", state_dir=tmp_path / "alone"), ours)
    mixed, single = (make_report(replace(week_of(s, "summarize"), tasks={})) for s in (settings, alone))
    assert without_tasks(numbers.numbers(mixed)) == without_tasks(numbers.numbers(single))
    shout = make_report(week_of(settings, "shout"))
    helpful = shout.figures["helpful_rate", "b" * 64, 0].side
    assert (helpful.value, helpful.n) == (0.25, 40)
    assert shout.outcome == "worse"


def test_a_task_without_contacts_has_no_slices_of_them_and_no_transfers(settings):
    fill(settings, shouts(60, 50) + shouts(60, 50, weeks_ago=1))
    report = make_report(week_of(settings, "shout"))
    assert report.counts.dimensions == ("client",)
    assert {item.name for item in report.drifts} == {"clients", "hour of day", "words"}
    assert report.figures["transfer_reuse_rate", "b" * 64, 0].side is None  # a turn of a conversation is no transfer
    text = page.render(report)
    assert "cost per new answer" in text
    assert "summar" not in re.sub(r"<style>.*?</style>|</?summary>|omni_summar\w+", "", text, flags=re.S).lower()


@pytest.mark.parametrize("count", [1, 3])
def test_a_task_with_few_answers_is_shown_without_a_result(settings, count):
    fill(settings, [*summaries(60, 54), *summaries(60, 54, weeks_ago=1), *shouts(count, 0)])
    written = write_weekly(settings, week="2026-W46", now=LATER)
    assert set(written.tasks) == {"shout", "summarize"}
    text = written.page.read_text(encoding="utf-8")
    assert f">{count}</td>" in text
    data = week_of(settings, "shout")
    assert data.tested_tasks == 1  # nothing can be tested with so few, so summarize keeps the whole budget
    assert make_report(data).outcome == "first week"


def test_one_page_covers_every_task_and_says_which(settings):
    fill(settings, [*summaries(60, 54), *summaries(60, 54, weeks_ago=1), *shouts(80, 20), *shouts(80, 60, weeks_ago=1)])
    written = write_weekly(settings, week="2026-W46", now=LATER)
    assert written.report_id == "weekly-2026-W46"
    assert written.tasks == ("shout", "summarize")  # what got worse comes first
    assert written.headline.startswith("shout: Answers got worse")
    assert written.evidence.startswith("shout: Worse since about Mon 9 Nov on loud v1.0.0: helpful rate 0.25 (n=80)")
    assert written.actions[0].do.startswith("shout: ")
    text = written.page.read_text(encoding="utf-8")
    assert "of <b>2 tasks</b>" in text
    for task in written.tasks:
        assert text.count(f'<a href="#task-{task}">{task}</a>') == 1
        assert text.count(f'id="task-{task}"') == 1
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert text.count("<h1>") == 1
    said = written.digest.read_text(encoding="utf-8")
    assert said.startswith("# shout: Answers got worse")
    assert "| task | result | answers |" in said
    assert said.count("\n## ") == 2
    assert set(numbers.numbers(*map(make_report, (week_of(settings, "shout"), week_of(settings, "summarize"))))["task"]) == {
        "shout", "summarize",
    }  # fmt: skip


def test_the_page_of_one_task_names_the_others(settings):
    fill(settings, [*summaries(60, 54), *shouts(30, 20)])
    written = write_weekly(settings, week="2026-W46", task="shout", now=LATER)
    assert (written.report_id, written.tasks) == ("weekly-shout-2026-W46", ("shout",))
    assert written.page.parent.name == "shout"
    assert "Not on this page, with answers in this week: summarize." in written.page.read_text(encoding="utf-8")


def test_a_task_that_fell_silent_stands_on_the_page(settings):
    fill(settings, [*summaries(60, 54), *summaries(60, 54, weeks_ago=1), *shouts(40, 30, weeks_ago=1)])
    written = write_weekly(settings, week="2026-W46", now=LATER)
    assert written.tasks == ("shout", "summarize")
    assert written.headline == "shout: No answers in 2026-W46"


def test_an_unknown_task_is_refused_before_anything_is_written(settings):
    fill(settings, [*summaries(3, 3), *shouts(3, 3)])
    with pytest.raises(TaskError, match="no task 'shoot'; tasks: shout, summarize"):
        write_weekly(settings, week="2026-W46", task="shoot", now=LATER)
    assert not (settings.root / "reports").exists()


def test_tasks_share_the_false_alarms_that_a_week_may_raise(settings):
    """51 of 70 against 63 of 70, p = 0.016: the helpful rate has half of 5%, and with a second task half of 2.5%."""
    fill(settings, summaries(70, 51) + summaries(70, 63, weeks_ago=1))
    data = week_of(settings, "summarize")
    alone, beside = make_report(data), make_report(replace(data, tasks={"summarize": 70, "shout": 20}))
    assert (alone.share, beside.share) == (0.05, 0.025)
    found = [
        next(item for item in report.whole if item.contrast.metric.name == "helpful_rate") for report in (alone, beside)
    ]
    assert found[0].contrast.p == found[1].contrast.p == pytest.approx(0.016, abs=0.002)
    assert [item.result for item in found] == [ComparisonResult.WORSE, ComparisonResult.INCONCLUSIVE]
    assert "That is 5% divided by the 2 tasks with at least 20 answers" in page.render(beside)


def test_quiet_weeks_of_all_tasks_need_no_action(settings):
    fill(
        settings,
        [*summaries(400, 360), *summaries(400, 360, weeks_ago=1), *shouts(400, 360), *shouts(400, 360, weeks_ago=1)],
    )
    reports = by_urgency([make_report(week_of(settings, task)) for task in ("summarize", "shout")])
    assert overall_headline(reports) == "Nothing got worse in 2 tasks: no action needed"
    several = [replace(report, outcome="worse") for report in reports]
    assert overall_headline(several) == "2 of 2 tasks got worse: shout, summarize"


def test_words_of_feedback_stay_with_their_task(settings):
    loud, calm = shouts(30, 0), summaries(30, 0)
    told = [feedback(row, comment="far too loud for the office", reason="tone") for row in loud]
    told += [feedback(row, comment="the refund of the meter is missing") for row in calm]
    fill(settings, [*loud, *calm], told)
    shout, summarize = (digest.render(make_report(week_of(settings, task))) for task in ("shout", "summarize"))
    assert "loud" in shout.split("## Unhelpful feedback")[1]
    assert "refund" not in shout
    assert "Reasons that people gave, by answers: tone 30." in shout
    assert "Reasons" not in summarize
    assert "loud" not in summarize


def test_several_tasks_raise_no_more_false_alarms_than_one(monkeypatch):
    divided = power.false_alarms(4, 60)
    monkeypatch.setattr(power, "FALSE_SHARE", 4 * power.FALSE_SHARE)  # as if each task had the whole budget
    assert divided <= 6  # of 60 draws; 5% are 3
    assert power.false_alarms(4, 60) > divided


def test_turns_of_a_conversation_are_no_journeys(settings):
    first = summary(MONDAY)
    moved = summary(MONDAY + timedelta(minutes=3), initial_contact_id=first.contact_id)
    fill(settings, [first, moved, *shouts(8, 8)])
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        (journey,) = warehouse.query("SELECT contacts, transfers FROM v_journeys").to_dict("records")
    assert journey == {"contacts": 2, "transfers": 1}
