"""Approvals of messages in a real embedded warehouse: the daily look finds what is planted, and the weekly report reads them."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from answer_rows import answer
from empty_warehouse import empty_warehouse
from typer.testing import CliRunner

from omni.app import build_app
from reports.compare.approvals import findings_of
from reports.compare.weekly import make_report
from reports.read.approvals import read_approvals
from reports.read.data import read_week
from reports.read.stops import RolloutStop, read_stops
from reports.read.weeks import Week
from reports.write import digest, page
from reports.write.approvals import approval_lines
from service.core.tasks.upsell.message import Approval, UpsellMessage
from service.kit.frame.canonical import canonical_json
from service.kit.settings import Settings
from service.kit.telemetry.log import Event
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import SummaryEvent

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # a Monday: W47 is over
MIDNIGHT = NOW.replace(hour=0, minute=0)
WEEK = Week.parse("2026-W47")
NEW, OLD = "b" * 64, "a" * 64


def output(decision, kinds=(), message="Hello Dana, Boiler Care is £14 a month."):
    approval = Approval(
        by="m", own_family=False, score=8, reasons=tuple(f"{kind}!" for kind in kinds), kinds=kinds, drafts=1
    )
    sent = decision == "send"
    made = UpsellMessage(
        decision=decision, reason="no_offer" if decision == "suppressed" else None, offer_id="boiler-care" if sent else None,
        message=message if sent else "", approval=None if decision == "suppressed" else approval, examples=(), guidelines="1.0",
    )  # fmt: skip
    return canonical_json(made.model_dump(mode="json"))


def day(back, *, sent, refused=0, kinds=("judge",), helpful=0, unhelpful=0, cost="0.001", suppressed=0, **pair):
    """Messages of one day, ``back`` days before today."""
    at = MIDNIGHT - timedelta(days=back) + timedelta(hours=9)
    verdicts = ["helpful"] * helpful + ["not_helpful"] * unhelpful + [None] * (sent - helpful - unhelpful)
    texts = [(output("send"), verdict) for verdict in verdicts]
    texts += [(output("not_approved", kinds), None)] * refused + [(output("suppressed"), None)] * suppressed
    return [
        answer(at + timedelta(seconds=place), verdict, task="upsell", summary_text=text, cost_usd=cost, **pair)
        for place, (text, verdict) in enumerate(texts)
    ]


def quiet(first=35, last=1, **changes):
    """Forty messages a day of which four are refused, six suppressed, and five rated, one of them unhelpful."""
    given = {"sent": 36, "refused": 4, "suppressed": 6, "helpful": 4, "unhelpful": 1} | changes
    return [row for back in range(first, last - 1, -1) for row in day(back, **given)]


@pytest.fixture
def house(tmp_path):
    settings = Settings(root=tmp_path, state_dir=tmp_path / "state")
    empty_warehouse(settings.warehouse_file).close()

    def fill(rows):
        columns = {name: [getattr(row, name) for row in rows] for name in SummaryEvent.model_fields}
        empty = {name: pa.array(values, pa.string()) if not any(v is not None for v in values) else pa.array(values)
                 for name, values in columns.items()}  # fmt: skip
        with closing(DuckWarehouse(settings.warehouse_file)) as warehouse:
            warehouse.merge(SummaryEvent, pa.table(empty))
        return DuckWarehouse(settings.warehouse_file, read_only=True)

    return fill


def looked(warehouse):
    with closing(warehouse):
        data = read_approvals(warehouse, "upsell", NOW)
    return data, findings_of(data)


def test_a_quiet_month_has_no_finding_and_its_figures_are_those_planted(house):
    # A text that holds the words of a decision decides nothing; another task's answers are none of ours.
    quoting = output("suppressed").replace('"message":""', '"message":"\\"decision\\":\\"send\\""')
    odd = day(3, sent=0, suppressed=1)[0].model_copy(update={"summary_text": quoting})
    other = answer(MIDNIGHT - timedelta(days=2), task="assistant", summary_text=output("send"))
    today = day(0, sent=500, refused=500)
    data, found = looked(house([*quiet(), odd, other, *today]))
    assert found == []
    week = data.by_day.tail(7)
    assert [int(week[name].sum()) for name in ("answers", "judged", "approved", "rated", "confirmed")] == [
        323,
        280,
        252,
        35,
        28,
    ]
    assert sum(data.kinds.values()) == 4 * 35
    assert list(approval_lines(data)) == [
        "upsell, 16 Nov to 22 Nov 2026: 323 answers",
        "  nova-lite (aaaaaaaaaaaa): 252 of 280 approved, 0.90 [0.86, 0.93]; people confirmed 28 of 35; $0.32",
        "  refused for: judge 28",
    ]


@pytest.mark.acceptance("monitor-01")
@pytest.mark.parametrize(
    ("kinds", "rows"),
    [
        ({"drift", "refusals"}, [*quiet(last=6, sent=38, refused=2), *quiet(first=5, sent=32, refused=8)]),
        ({"low", "drift", "refusals"}, [*quiet(last=6), *quiet(first=5, sent=20, refused=20)]),
        ({"refusals"}, [*quiet(last=8), *quiet(first=7, kinds=("amount",))]),
        ({"confirmed"}, [*quiet(last=8, helpful=10, unhelpful=1), *quiet(first=7, helpful=5, unhelpful=6)]),
        ({"cost"}, [*quiet(last=2), *quiet(first=1, cost="0.0016")]),
        (set(), [*quiet(last=2), *quiet(first=1, cost="0.0015")]),  # at the bound
        (set(), [*quiet(last=8, sent=4, refused=0, helpful=0, unhelpful=0), *quiet(first=7, sent=3, refused=1, helpful=0,
                 unhelpful=0)]),  # too few to say
        (set(), [*quiet(last=8, sent=20, refused=20, helpful=0, unhelpful=0), *quiet(first=7)]),  # better is no alarm
    ],
    ids=["fell", "low", "another reason", "people", "dear", "as dear as may be", "few", "better"],
)  # fmt: skip
def test_the_daily_look_finds_what_is_planted_and_nothing_else(house, kinds, rows):
    _, found = looked(house(rows))
    assert {finding.kind for finding in found} == kinds, [finding.told for finding in found]


@pytest.mark.acceptance("event.APPROVALS_CHECKED", "monitor-01")
@pytest.mark.parametrize(("refused", "code", "counts"), [(4, 0, (0, 0)), (20, 1, (1, 1))])
def test_the_command_says_what_it_finds_and_logs_what_the_alarms_ring_for(
    house, tmp_path, monkeypatch, refused, code, counts
):
    house([*quiet(last=6), *quiet(first=5, sent=40 - refused, refused=refused)]).close()
    (tmp_path / "clock").write_text(NOW.isoformat(), encoding="utf-8")
    for name, value in {"ROOT": tmp_path, "STATE_DIR": tmp_path / "state", "CLOCK_FILE": tmp_path / "clock"}.items():
        monkeypatch.setenv(f"OMNI_{name}", str(value))
    told = []
    monkeypatch.setattr("service.kit.telemetry.log.log", lambda event, **fields: told.append((event, fields)))
    done = CliRunner().invoke(build_app(), ["check-approvals"])
    assert done.exit_code == code, done.output
    ((event, line),) = told
    assert event is Event.APPROVALS_CHECKED
    assert (line["drift"], line["low"]) == counts
    assert (line["task"], line["judged"], line["confirmed"], line["cost"]) == ("upsell", 1400, 0, 0)
    assert ("drift: the share approved fell from 0.90 to 0.50" in done.output) is bool(code)
    assert ("nothing unusual" in done.output) is not bool(code)


def test_a_fall_names_its_day_and_the_pair_that_came(house):
    _, found = looked(house([*quiet(last=6), *quiet(first=5, sent=26, refused=14, pair="nova-new", pair_digest=NEW)]))
    (told,) = (finding.told for finding in found if finding.kind == "drift")
    assert told == "the share approved fell from 0.90 to 0.65 on about Wed 18 Nov, when nova-new began to answer"


def test_a_warehouse_without_messages_has_nothing_to_say(house):
    data, found = looked(house([answer(MIDNIGHT - timedelta(days=2), task="assistant")]))
    assert (found, list(approval_lines(data))) == ([], ["upsell, 16 Nov to 22 Nov 2026: 0 answers"])


@pytest.mark.acceptance("monitor-01", "agent-02")
def test_the_weekly_report_reads_approvals_and_names_a_rollout_that_stopped(house):
    candidate = {"pair": "nova-new", "pair_digest": NEW, "rollout_arm": "candidate", "prompt_version": "v2.0.0"}
    rows = [*quiet(first=34), *quiet(first=5, last=4, sent=20, refused=20, helpful=0, unhelpful=0, **candidate)]
    at = datetime(2026, 11, 19, 12, 5, tzinfo=UTC)
    stops = [
        RolloutStop(sequence=2, pair_digest=NEW, reason="unapproved 0.50 against 0.10", at=at),
        RolloutStop(sequence=1, pair_digest=OLD, reason="long ago", at=at - timedelta(days=9)),
    ]
    with closing(house(rows)) as warehouse:
        report = make_report(read_week(warehouse, WEEK, "upsell", NOW, stops=stops))
    figures = {
        key[1]: figure.side for key, figure in report.figures.items() if key[0] == "approval_rate" and key[2] == 0
    }
    assert (figures[OLD].value, figures[OLD].n) == (0.9, 280)
    assert (figures[NEW].value, figures[NEW].n) == (0.5, 80)
    assert {finding.metric.name for finding in report.worse} == {"approval_rate"}
    first, *others = report.actions
    assert first.do == "End the rollout of nova-new v2.0.0, which stopped by itself on Thu 19 Nov at 12:05 UTC"
    assert first.because == "step 2 was stopped: unapproved 0.50 against 0.10"
    assert not [action for action in others if action.short == "end the rollout"]  # once
    for written in (digest.render(report), page.render(report)):
        assert "which stopped by itself on Thu 19 Nov" in written
        assert "approval rate" in written
        assert "long ago" not in written


def test_other_tasks_have_no_figure_of_approvals(house):
    rows = [answer(MIDNIGHT - timedelta(days=2, minutes=place), task="assistant") for place in range(30)]
    with closing(house(rows)) as warehouse:
        report = make_report(read_week(warehouse, WEEK, "assistant", NOW))
    assert "approval_rate" not in {key[0] for key in report.figures}
    assert "approval rate" not in digest.render(report)


def test_without_a_shared_table_no_stop_is_known(tmp_path):
    assert read_stops(Settings(root=tmp_path, state_dir=tmp_path), ["upsell"]) == {}


def test_outputs_are_written_as_the_counting_reads_them():
    assert '"decision":"send"' in output("send")
    assert json.loads(output("not_approved", ("amount", "judge")))["approval"]["kinds"] == ["amount", "judge"]
