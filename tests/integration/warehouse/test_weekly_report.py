"""The weekly report on a real embedded warehouse: hand-worked figures, a planted slice, weeks without a change, bad input."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from answer_rows import feedback, summary
from empty_warehouse import empty_warehouse

from figures.stats import Interval
from reports.compare.findings import WeekFinding, figure
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import make_report
from reports.errors import WeekError
from reports.read.data import read_week
from reports.read.metrics import UNHELPFUL
from reports.read.weeks import Week
from reports.run import write_weekly
from reports.simulate.synthetic import Planted, Scenario, rows
from reports.write import digest, numbers, page
from reports.write.figure_table import worse_lines
from reports.write.headline import MOST_WORDS, evidence_sentence, headline
from reports.write.numbers import COLUMNS
from service.kit.frame.display.inert import visible
from service.kit.frame.errors import WarehouseBusy, WarehouseError
from service.kit.settings import Settings
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS

ROOT = Path(__file__).resolve().parents[3]
SNAPSHOT = Path(__file__).parent / "snapshots" / "weekly_digest.md"
WEEK = Week.parse("2026-W46")
LATER = datetime(2026, 11, 21, tzinfo=UTC)
OUTAGE = Planted(dimension="intent", value="outage", level=0.65)


class House:
    """A warehouse in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(root=folder, state_dir=folder / "state")
        self.path = self.settings.warehouse_file
        empty_warehouse(self.path).close()

    def fill(self, tables):
        warehouse = DuckWarehouse(self.path)
        for event in EVENTS:
            if event.table in tables:
                warehouse.merge(event, tables[event.table])
        warehouse.close()
        return self

    def report(self, week=WEEK, now=LATER, task="summarize"):
        warehouse = DuckWarehouse(self.path, read_only=True)
        try:
            return make_report(read_week(warehouse, week, task, now))
        finally:
            warehouse.close()


@pytest.fixture(scope="module", autouse=True)
def on_the_path():
    """The commands in a report name ``omni`` as in an activated environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        patch.delenv("OMNI_SIMULATED", raising=False)
        yield


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory, on_the_path):
    """A release in whose week one intent is rated helpful at 0.65 instead of 0.85."""
    made = House(tmp_path_factory.mktemp("planted"))
    return made.fill(rows(Scenario(week=WEEK, answers=60_000, planted=(OUTAGE,), seed=3))).report()


def table(events):
    """Return the tables of some events."""
    found = {}
    for event in EVENTS:
        mine = [item.model_dump() for item in events if isinstance(item, event)]
        if mine:
            found[event.table] = pa.table({name: _column(name, mine) for name in event.model_fields})
    return found


def _column(name, mine):
    values = [row[name] for row in mine]
    if all(value is None for value in values):
        return pa.array(values, pa.string())
    return pa.array(values, pa.timestamp("us", "UTC")) if isinstance(values[0], datetime) else pa.array(values)


def _figure(report, name, period=0, column=0):
    return report.figures[name, report.columns[column].digest, period].side


# Hand-worked figures


@pytest.fixture
def worked(house):
    """40 answers on Wednesday: 30 rated, 24 helpful; 4 reused, 2 by the backup, 1 degraded; latencies 100 to 4000 ms."""
    noon = WEEK.start + timedelta(days=2, hours=12)
    made = []
    for place in range(40):
        changes = {"latency_ms": 100 * (place + 1)}
        if place < 30:
            changes["helpful_feedback"] = "helpful" if place < 24 else "not_helpful"
            changes["feedback_timestamp"] = noon + timedelta(hours=1)
        if 30 <= place < 34:
            changes |= {"cache_hit": True, "cost_usd": Decimal(0), "initial_contact_id": f"first-{place}"}
        elif 34 <= place < 36:
            changes |= {"arm": "backup", "model_used": "nova-micro", "cost_usd": Decimal("0.0005")}
        elif place == 36:
            changes |= {"arm": "fallback", "degraded": True, "cost_usd": Decimal(0)}
        if place < 8:
            changes["prompt_cache_read_tokens"] = 300
        if place in (3, 4):
            changes["guard_findings"] = 2
        made.append(summary(noon + timedelta(minutes=place), **changes))
    made += [feedback(made[0], edited_summary="Customer wrote."), feedback(made[1], comment="fine")]
    return house.fill(table(made)).report()


def test_figures_by_hand(worked):
    figures = {name: _figure(worked, name) for name, _, period in worked.figures if period == 0}
    assert (figures["helpful_rate"].value, figures["helpful_rate"].n) == (24 / 30, 30)
    # Wilson for 24 of 30 (Brown, Cai & DasGupta 2001 give the formula): 0.6269 to 0.9049.
    assert (round(figures["helpful_rate"].low, 4), round(figures["helpful_rate"].high, 4)) == (0.6269, 0.9049)
    assert figures["unhelpful_rate"].value == pytest.approx(6 / 30)
    assert (figures["feedback_share"].value, figures["feedback_share"].n) == (30 / 40, 40)
    assert (figures["edit_rate"].value, figures["edit_rate"].n) == (1 / 30, 30)
    assert figures["degraded_rate"].value == 1 / 40
    assert (figures["failover_rate"].value, figures["failover_rate"].n) == (2 / 36, 36)  # 4 reused asked no model
    assert (figures["latency_p50"].value, figures["latency_p95"].value, figures["latency_p99"].value) == (
        2000,
        3800,
        4000,
    )
    assert figures["reuse_rate"].value == 4 / 40
    assert (figures["transfer_reuse_rate"].value, figures["transfer_reuse_rate"].n) == (1.0, 4)
    assert (figures["prompt_cache_rate"].value, figures["prompt_cache_rate"].n) == (
        8 / 35,
        35,
    )  # nor is the digest a model
    assert figures["cost_written"].value == pytest.approx((33 * 0.0001 + 2 * 0.0005) / 36)
    assert (figures["grounding_rate"].value, figures["grounding_rate"].n) == (2 / 35, 35)


def test_a_first_week_says_that_there_is_nothing_to_compare_with(worked):
    assert worked.outcome == "first week"
    assert headline(worked).startswith("First week: nothing to compare with yet")
    assert "nothing to compare with" in page.render(worked)


def test_metered_cost_is_shown_beside_the_planned_cost(worked):
    assert "planned $0.008 to $0.012" in page.render(worked)


# The planted slice, and weeks without a change


@pytest.mark.acceptance("operation-28")
def test_the_headline_says_what_got_worse_why_and_what_to_do(planted):
    assert headline(planted) == "Outage answers got worse with release 2: roll back"


@pytest.mark.parametrize("value", ["outage", "a " * 60, "w" * 200, "4-10"])
@pytest.mark.parametrize("dimension", ["intent", "client", "history"])
def test_a_headline_has_twelve_words_at_most_whatever_the_slices_are_called(planted, dimension, value):
    for item in planted.whole:
        for action in planted.actions:
            finding = WeekFinding(
                result=ComparisonResult.WORSE,
                comparisons=(replace(item, dimension=dimension, value=value),),
                since=None,
                since_words="this week",
            )
            said = headline(replace(planted, findings=[finding], actions=[action]))
            assert len(said.split()) <= MOST_WORDS
            assert len(said) <= 140
            assert said.endswith(action.short)


@pytest.mark.parametrize("outcome", ["no worse", "inconclusive", "too few to say", "first week", "no data"])
def test_a_headline_without_a_change_has_twelve_words_at_most(planted, outcome):
    said = headline(replace(planted, outcome=outcome, findings=[]))
    assert len(said.split()) <= MOST_WORDS


def test_the_evidence_names_slice_pair_release_and_interval(planted):
    said = evidence_sentence(planted)
    for part in ("Worse since release 2", "intent outage", "nova-lite v1.1.0", "0.65 (n=327) against 0.85"):
        assert part in said
    first = planted.worse[0].first
    assert first.contrast.difference.low < -0.2 < first.contrast.difference.high < 0


def test_no_other_slice_is_reported_as_worse(planted):
    wrong = [
        (item.slice, item.part_of)
        for item in planted.sliced
        if item.result is ComparisonResult.WORSE and item.value != "outage"
    ]
    assert [name for name, part_of in wrong if not part_of] == []


def test_the_advice_is_a_command_for_each_finding(planted):
    commands = [action.command for action in planted.actions]
    assert commands[0] == "omni rollback --why 'worse: helpful rate for intent outage' --to 1"
    assert "omni harvest propose --week 2026-W46 --slice intent=outage" in commands


def test_the_advice_is_for_the_task_of_the_report(house):
    tables = rows(Scenario(week=WEEK, answers=60_000, planted=(OUTAGE,), seed=3))
    for name, rows_of_it in tables.items():
        if "task" in rows_of_it.column_names:
            place = rows_of_it.column_names.index("task")
            tasks = pa.array(["scorecard"] * len(rows_of_it), rows_of_it.schema.field("task").type)
            tables[name] = rows_of_it.set_column(place, rows_of_it.schema.field("task"), tasks)
    commands = [action.command for action in house.fill(tables).report(task="scorecard").actions if action.command]
    assert commands[0].startswith("omni rollback --why 'worse: helpful rate for intent outage'")
    assert "omni harvest propose --week 2026-W46 --slice intent=outage --task scorecard" in commands
    assert all(command.endswith(" --task scorecard") for command in commands)


def test_the_theme_of_the_planted_slice_is_named_with_examples_and_ids(planted):
    theme = next(theme for theme in planted.themes.themes if theme.value == "outage")
    assert theme.grown
    assert {"outage"} <= set(" ".join(theme.terms).split())
    assert len(theme.examples) == 2
    assert all(name.startswith("r3-") for name in theme.request_ids)


def test_a_slices_effect_on_other_slices_is_attributed_to_it(house):
    # Half of the chat answers are about outages: chat falls too, and the report names outages as the cause.
    tables = rows(Scenario(week=WEEK, answers=60_000, seed=5))
    made, rng = tables["omni_summaries"].to_pylist(), np.random.default_rng(0)
    for row in made:
        if row["last_channel"] == "chat" and rng.random() < 0.5:
            row["ivr_intent"] = "outage"
        if row["ivr_intent"] == "outage" and row["generation_timestamp"] >= WEEK.start and row["helpful_feedback"]:
            row["helpful_feedback"] = "helpful" if rng.random() < 0.5 else "not_helpful"
    tables["omni_summaries"] = pa.Table.from_pylist(made, tables["omni_summaries"].schema)
    report = house.fill(tables).report()
    followers = {
        item.slice: item.part_of for item in report.sliced if item.result is ComparisonResult.WORSE and item.part_of
    }
    assert followers["channel chat"] == "intent outage"
    assert report.worse[0].first.slice in ("", "intent outage")


@pytest.mark.slow
def test_ten_weeks_without_change_raise_no_alarm(tmp_path):
    said = []
    for seed in range(10):  # each compares some 170 slices: without correction ten weeks cry wolf about eighty times
        made = House(tmp_path / str(seed))
        report = made.fill(rows(Scenario(week=WEEK, answers=30_000, seed=seed))).report()
        said += [
            (seed, item.slice, item.contrast.metric.name)
            for item in (*report.whole, *report.sliced)
            if item.result is ComparisonResult.WORSE
        ]
    assert len(said) <= 1  # measured 0 of 20 at 60,000 answers; `omni report-power` counts over many more


# Bad input


def test_a_week_without_data_has_a_page_that_says_so(house):
    written = write_weekly(house.settings, week="2026-W46", now=LATER)
    assert written.empty
    assert written.headline == "No answers in 2026-W46"
    assert written.evidence == "The warehouse holds no answers of task summarize in this week."
    assert written.headline in written.page.read_text(encoding="utf-8")
    assert list(pd.read_parquet(written.numbers).columns) == list(COLUMNS)


def test_another_tasks_answers_are_not_in_the_report(house):
    house.fill(table([summary(WEEK.start + timedelta(hours=1), task="other")]))
    assert house.report().outcome == "no data"
    assert house.report(task="other").data.answers == 1


def test_a_future_week_is_refused(house):
    with pytest.raises(WeekError, match="has not begun"):
        write_weekly(house.settings, week="2026-W50", now=LATER)


def test_the_running_week_shows_up_to_when_it_was_read(house):
    house.fill(table([summary(WEEK.start + timedelta(hours=1)), summary(WEEK.start + timedelta(days=5))]))
    report = house.report(now=WEEK.start + timedelta(days=2))
    assert report.data.answers == 1
    assert "the week is not over: data up to Wed 00:00" in page.render(report)


def test_answers_from_the_future_are_counted_separately(house):
    house.fill(table([summary(WEEK.start + timedelta(hours=1)), summary(LATER + timedelta(days=400))]))
    report = house.report()
    assert report.data.oddities["future"] == 1
    assert "answers have a timestamp in the future" in page.render(report)


def test_a_verdict_older_than_its_answer_counts_and_is_shown(house):
    at = WEEK.start + timedelta(days=1)
    made = summary(at, "helpful", feedback_timestamp=at - timedelta(hours=3))
    report = house.fill(table([made, feedback(made)])).report()
    assert _figure(report, "helpful_rate").n == 1
    assert report.data.oddities["feedback_before_answer"] == 1


def test_a_verdict_without_its_answer_is_counted_separately(house):
    made = summary(WEEK.start + timedelta(days=1), "helpful")
    report = house.fill(table([feedback(made), summary(WEEK.start + timedelta(days=1))])).report()
    assert report.data.oddities["without_summary"] == 1
    assert _figure(report, "helpful_rate") is None


@pytest.mark.parametrize(("zone", "days"), [("UTC", {-1: 2, 6: 2}), ("Europe/Berlin", {-1: 1, 0: 1, 6: 1})])
def test_the_weeks_border_follows_daylight_saving_time(house, zone, days):
    """In Berlin, week 43 of 2026 starts on 18 October 22:00 UTC and ends, an hour late, on 25 October 23:00 UTC."""
    border = [datetime(2026, 10, 18, 21, 59, 59), datetime(2026, 10, 18, 22), datetime(2026, 10, 25, 22, 59, 59),
              datetime(2026, 10, 25, 23)]  # fmt: skip
    house.fill(table([summary(at.replace(tzinfo=UTC)) for at in border]))
    daily = house.report(week=Week.parse("2026-W43", zone)).data.daily
    assert dict(zip(daily["day"], daily["answers"], strict=True)) == days


def test_no_priced_answer_is_no_cost(house):
    house.fill(table([summary(WEEK.start + timedelta(hours=hour), cost_usd=None) for hour in range(30)]))
    report = house.report()
    assert _figure(report, "cost_written") is None
    assert "no priced answer" in page.render(report)
    assert report.data.oddities["unpriced"] == 30


def test_all_equal_values_in_both_weeks_are_no_worse(house):
    weeks = [WEEK.start + timedelta(hours=hour) for hour in (*range(-120, -30), *range(90))]
    report = house.fill(table([summary(at, "helpful") for at in weeks])).report()
    words = {item.contrast.metric.name: item.result for item in report.whole}
    assert {words[name] for name in ("latency_p50", "latency_p95", "cost_written", "helpful_rate")} == {
        ComparisonResult.NO_WORSE
    }
    assert page.render(report)


def test_seven_ratings_are_too_few_for_a_conclusion(house):
    made = [summary(WEEK.start + timedelta(hours=hour), "helpful") for hour in range(-50, -20)]
    made += [summary(WEEK.start + timedelta(hours=hour), "not_helpful" if hour < 7 else None) for hour in range(40)]
    report = house.fill(table(made)).report()
    assert report.outcome == "too few to say"
    assert headline(report).startswith("Too few ratings to say whether answers got worse")
    assert evidence_sentence(report).startswith("Only 7 ratings on one side, at least 20 are needed.")
    assert "n=7: too few to say" in page.render(report)


def test_a_candidate_is_compared_with_production_beside_it(house):
    rng, made = np.random.default_rng(1), []
    for place in range(600):
        at = WEEK.start + timedelta(minutes=10 * place)
        new = place % 2 == 0
        rate = 0.5 if new else 0.9
        arm = {"pair": "short", "pair_digest": "c" * 64, "rollout_arm": "candidate"} if new else {}
        made.append(summary(at, "helpful" if rng.random() < rate else "not_helpful", **arm))
    report = house.fill(table(made)).report()
    assert [(pair.label, pair.role) for pair in report.pairs] == [
        ("nova-lite v1.0.0", "production"),
        ("short v1.0.0", "candidate"),
    ]
    assert report.worse[0].first.baseline.against == "production beside it"
    assert report.actions[0].command.startswith("omni rollout-end --why ")
    assert "--task" not in report.actions[0].command


def test_every_file_of_a_simulated_week_says_so_and_stands_apart(house, monkeypatch):
    real, before = _written_week(house), house.report()
    monkeypatch.setenv("OMNI_SIMULATED", "1")
    made = _written_week(house)
    files = [made.page, made.digest, made.numbers]
    assert [path.name for path in files] == ["simulated-index.html", "simulated-digest.md", "simulated-numbers.parquet"]
    assert {path.parent for path in files}.isdisjoint({real.page.parent})
    assert made.headline.startswith("Simulated week: ")
    for path in (made.page, made.digest):
        text = path.read_text(encoding="utf-8")
        assert "It says nothing about real production" in text
        commands = re.findall(r"(?:<code>|`)(omni(?: --traffic)? [a-z-]+ [^<`]*)", text)
        assert commands
        assert [command for command in commands if not command.startswith("omni --traffic ")] == []
    assert pd.read_parquet(made.numbers)["simulated"].all()
    for path in (real.page, real.digest):
        assert "Simulated week" not in path.read_text(encoding="utf-8")
    assert not pd.read_parquet(real.numbers)["simulated"].any()
    assert headline(before) == real.headline


def _written_week(house):
    """Write the report of a week in which the new release is worse, so that there is something to do."""
    rng, made = np.random.default_rng(1), []
    for place in range(600):
        new = place % 2 == 0
        arm = {"pair": "short", "pair_digest": "c" * 64, "rollout_arm": "candidate"} if new else {}
        rated = "helpful" if rng.random() < (0.5 if new else 0.9) else "not_helpful"
        made.append(summary(WEEK.start + timedelta(minutes=10 * place), rated, **arm))
    return write_weekly(house.fill(table(made)).settings, week="2026-W46", now=LATER)


def test_texts_are_escaped_in_page_and_digest(house):
    at, made = WEEK.start + timedelta(hours=2), []
    for place in range(30):
        answer = summary(
            at + timedelta(minutes=place), "not_helpful", ivr_intent="<script>alert(1)</script>|x\x1b[2J\u202e"
        )
        made += [answer, feedback(answer, comment="<img src=x onerror=alert(1)> \x1b]0;owned\x07 misses the ticket")]
    report = house.fill(table(made)).report()
    assert "<script>" not in page.render(report)
    assert "<img" not in page.render(report)
    assert "<script>" not in digest.render(report)
    for text in (page.render(report), digest.render(report)):
        assert visible(text) == text
    assert "\\u001b[2J" in page.render(report)


def test_a_locked_warehouse_is_reported_and_no_page_is_written(house):
    writer = subprocess.Popen(
        [sys.executable, "-c", "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
         str(house.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert writer.stdout.readline() == "open\n"
        settings = house.settings.model_copy(update={"warehouse_wait_s": 0.1})
        with pytest.raises(WarehouseBusy, match="in use by another process"):
            write_weekly(settings, week="2026-W46", now=LATER)
    finally:
        writer.communicate("")
    assert not (house.settings.root / "reports").exists()


def test_a_missing_warehouse_is_reported(tmp_path):
    with pytest.raises(WarehouseError, match="no warehouse"):
        write_weekly(Settings(root=tmp_path, state_dir=tmp_path / "state"), week="2026-W46", now=LATER)


@pytest.mark.parametrize(("week", "code"), [("2026-W46", 1), ("2026-46", 2), ("2026-W54", 2)])
def test_exit_codes(house, week, code):
    done = _omni_report(house, "--week", week)
    assert done.returncode == code, done.stderr
    assert (
        done.stdout.startswith("No answers in 2026-W46\n") if code == 1 else done.stderr.startswith("error: no week")
    ), done.stderr


def _omni_report(house, *arguments, **environment):
    own = {
        "PYTHONPATH": str(ROOT), "OMNI_ROOT": str(house.settings.root), "OMNI_STATE_DIR": str(house.settings.state_dir),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "omni", "report", *arguments],
        cwd=ROOT,
        env=os.environ | own | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("simulated", "prefix"), [("", ""), ("1", "simulated-")])
def test_a_script_gets_one_document_that_names_the_report(house, simulated, prefix):
    done = _omni_report(house, "--week", "2026-W46", "--json", OMNI_SIMULATED=simulated)
    told = json.loads(done.stdout)
    assert told["report_id"] == f"{prefix}weekly-summarize-2026-W46"
    assert told["headline"].endswith("No answers in 2026-W46")
    assert bool(told["note"]) is bool(simulated)
    assert Path(told["page"]).read_text(encoding="utf-8").count(told["headline"]) >= 1
    assert Path(told["digest"]).is_file()


@pytest.mark.parametrize("simulated", ["", "1"])
def test_the_console_says_what_to_do_in_the_order_of_the_page(house, simulated):
    outage = Planted(dimension="intent", value="outage", level=0.5)
    house.fill(rows(Scenario(week=WEEK, answers=20_000, planted=(outage,), seed=3)))
    done = _omni_report(house, "--week", "2026-W46", OMNI_SIMULATED=simulated)
    first, second = [line for line in done.stdout.splitlines() if line.startswith(("Next: ", "Then: "))][:2]
    assert first.startswith("Next: Roll back to release 1, nova-lite v1.0.0: ")
    assert " rollback --why " in first
    assert second.startswith("Then: Make cases from the unhelpful answers for intent outage")
    assert " harvest propose --week 2026-W46 --slice intent=outage" in second
    assert second.endswith(" --against gate,challenge") is bool(simulated)


def test_the_figures_begin_with_what_got_worse(planted):
    lines = worse_lines(planted)
    assert [(line.name, line.results[0][0]) for line in lines][:1] == [("helpful rate for intent outage", "✗ worse")]
    assert lines[0].before == "0.85 with the release before, nova-lite v1.0.0"
    text = page.render(planted)
    assert text.index("helpful rate for intent outage</th>") < text.index("All answers</h3>")


def test_an_end_that_rounding_would_put_on_the_target_has_another_digit():
    side = Interval(value=0.19, low=0.1523, high=0.23, n=400)
    assert figure(UNHELPFUL, side) == "0.19 [0.152, 0.23]"


# The written files


def test_the_digest_is_as_reviewed(planted):
    text = digest.render(planted)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


def test_numbers_hold_every_section_with_its_interval(planted):
    frame = numbers.numbers(planted)
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["section"]) == {"figure", "slice", "change", "slice_change", "promise", "drift", "rated_share"}
    outage = frame[
        (frame["slice"] == "intent=outage") & (frame["section"] == "slice_change") & (frame["metric"] == "helpful_rate")
    ]
    assert set(outage["verdict"]) == {"worse"}
    assert (outage["low"] < outage["value"]).all()
    assert (outage["value"] < outage["high"]).all()
    weeks = set(frame.loc[frame["section"] == "figure", "week"])
    assert weeks == {"2026-W42", "2026-W43", "2026-W44", "2026-W45", "2026-W46"}


class _Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.levels, self.tables, self.captions, self.drawings, self.links, self.ids = [], 0, 0, [], [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "svg":
            self.drawings.append(given)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if "id" in given:
            self.ids.add(given["id"])


def test_the_page_is_self_contained_and_accessible(planted):
    text = page.render(planted)
    outline = _Outline()
    outline.feed(text)
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert outline.tables == outline.captions > 4
    assert all(given.get("aria-label") or given.get("aria-hidden") == "true" for given in outline.drawings)
    assert all(link.startswith("#") and link[1:] in outline.ids for link in outline.links)
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text


def test_the_page_shows_the_trend_before_the_advice_and_folds_the_details(planted):
    text = page.render(planted)
    shown = text[: text.index('<details class="part"')]
    order = [text.index(part) for part in ("<h1>", 'class="evidence"', 'class="chart"', 'id="do"', 'id="figures"')]
    assert order == sorted(order)
    assert "Helpful rate for intent outage" in shown
    assert shown.count("<tr>") == 1 + len(worse_lines(planted)) + 1 + len(digest.key_figures(planted))
    assert shown.count("<svg") - shown.count('class="key"') == 1 + len(worse_lines(planted)) + len(
        digest.key_figures(planted)
    )


def test_colour_is_never_the_only_signal(planted):
    words = re.findall(r'<span class="(?:badge|hang) (?:pass|fail|inconclusive)">([^<]+)</span>', page.render(planted))
    assert words
    assert all(re.match(r"[✓✗▲?] \w", word) for word in words)


def test_the_same_warehouse_gives_the_same_files(house):
    house.fill(rows(Scenario(week=WEEK, answers=5_000, seed=2)))
    first, second = house.report(), house.report()
    assert page.render(first) == page.render(second)
    assert json.loads(numbers.numbers(first).to_json()) == json.loads(numbers.numbers(second).to_json())
