"""What scored calls show in the weekly report: hand-worked figures, which changes are reported, and where they stand."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from builders import FakeCalls, call_result
from empty_warehouse import empty_warehouse

from reports.compare.call_scores import ScorePlace, change_sentence
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import make_report
from reports.read.data import read_week
from reports.read.metrics import CALL_SCORE, CALLS_PASSED, CRITERION_MET
from reports.read.weeks import Week
from reports.write import digest, numbers, page
from reports.write.headline import MOST_WORDS, evidence_sentence, headline
from service.calls.result import rows_of
from service.events import CallCriterionEvent, CallEvent, CallOverrideEvent
from service.warehouse.duck import DuckWarehouse
from service.warehouse.rows import to_table

WEEK = Week.parse("2026-W47")
NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
BEFORE = NOW - timedelta(days=7)
LATER = datetime(2026, 12, 20, tzinfo=UTC)
GREET = ScorePlace(tenant="acme", form_id="support", criterion="greet")
CALL = ScorePlace(tenant="acme", form_id="support")


class Calls:
    """A warehouse of scored calls: a call passes when it meets all criteria, and its score is the share that it meets."""

    def __init__(self, path):
        self.path, self.rows, self.overrides = path, [], []

    def add(self, times, verdicts, *, at, tenant="acme", group="loans", version=1, pair="sha256:1"):
        for _ in range(times):
            calls = FakeCalls()
            call_id = calls.add(tenant, f"call-{len(self.rows)}", verdicts, date=at)
            result = call_result(calls.jobs[tenant, call_id], verdicts)
            judged = [verdict for verdict in verdicts.values() if verdict in ("yes", "no")]
            points = 100 * judged.count("yes") / len(judged) if judged else None
            evaluation = result.qa_evaluation.model_copy(
                update={"qa_template_version": version, "percentage": points, "passed": "no" not in judged}
            )
            made = result.model_copy(
                update={
                    "qa_evaluation": evaluation,
                    "source": result.source.model_copy(update={"queue": group}),
                    "scored_by": result.scored_by.model_copy(update={"pair_digest": pair}),
                }
            )
            self.rows.append(rows_of(made, "k"))

    def overrule_all(self, criterion):
        """Have a person say no to every yes of this week."""
        for call, criteria in self.rows:
            for row in criteria:
                if row.criterion_id == criterion and row.verdict == "yes" and call.call_date == NOW:
                    self.overrides.append(
                        CallOverrideEvent(
                            tenant_id=row.tenant_id, call_id=row.call_id, criterion_id=criterion, overridden_at=NOW,
                            form_id=row.form_id, form_version=row.form_version, model_verdict="yes", human_verdict="no",
                            overridden_by="dana", pair_digest=row.pair_digest,
                        )
                    )  # fmt: skip

    def report(self):
        with closing(DuckWarehouse(self.path) if self.path.exists() else empty_warehouse(self.path)) as warehouse:
            for event, rows in (
                (CallEvent, [call for call, _ in self.rows]),
                (CallCriterionEvent, [row for _, criteria in self.rows for row in criteria]),
                (CallOverrideEvent, self.overrides),
            ):
                if rows:
                    warehouse.merge(event, to_table(event, rows))
        with closing(DuckWarehouse(self.path, read_only=True)) as warehouse:
            return make_report(read_week(warehouse, WEEK, "summarize", LATER))


@pytest.fixture
def calls(tmp_path):
    return Calls(tmp_path / "w.duckdb")


def test_figures_are_those_of_hand(calls):
    calls.add(3, {"greet": "yes", "offer": "no"}, at=NOW)
    calls.add(1, {"greet": "no", "offer": "na"}, at=NOW, group=None)
    calls.add(2, {"greet": "yes", "offer": "yes"}, at=BEFORE)
    calls.add(1, {"greet": "no"}, at=NOW, tenant="brand")
    found = calls.report().scores
    assert (found.calls, found.calls_before, found.forms) == (5, 2, [("acme", "support"), ("brand", "support")])
    greet, passed, score = (
        found.of(place, metric) for place, metric in ((GREET, CRITERION_MET), (CALL, CALLS_PASSED), (CALL, CALL_SCORE))
    )
    assert (greet.now.value, greet.now.n, greet.before.value, greet.question) == (0.75, 4, 1.0, "Was greet done?")
    offer = found.of(ScorePlace(tenant="acme", form_id="support", criterion="offer"), CRITERION_MET)
    assert (offer.now.value, offer.now.n) == (0.0, 3)  # it did not apply to one call
    assert (passed.now.value, passed.now.n, passed.before.value) == (0.0, 4, 1.0)
    assert (score.now.value, score.now.n) == (37.5, 4)
    alone = found.of(ScorePlace(tenant="acme", form_id="support", criterion="greet", group="no group"), CRITERION_MET)
    assert (alone.now.value, alone.now.n, alone.before) == (0.0, 1, None)
    assert greet.result is ComparisonResult.TOO_FEW
    assert found.changed == []


def weeks_of(calls, *, bad_group="cards", **more):
    """Two weeks of 60 calls in two groups; in the second one the calls of one group are not greeted."""
    for group in ("loans", "cards"):
        calls.add(30, {"greet": "yes", "offer": "yes"}, at=BEFORE, group=group)
        verdict = "no" if group == bad_group else "yes"
        calls.add(30, {"greet": verdict, "offer": "yes"}, at=NOW, group=group, **more)


def test_a_criterion_that_fails_more_comes_first_with_a_remedy(calls):
    weeks_of(calls)
    report = calls.report()
    worse = {(item.place.criterion, item.place.group, item.metric.name) for item in report.scores.worse}
    # The groups together got worse, so the one group that did is in the table, not in the list.
    assert worse == {("greet", "", "criterion_met"), ("", "", "calls_passed"), ("", "", "call_score")}
    in_group = report.scores.of(
        ScorePlace(tenant="acme", form_id="support", criterion="greet", group="cards"), CRITERION_MET
    )
    assert in_group.result is ComparisonResult.WORSE
    greet = report.scores.of(GREET, CRITERION_MET)
    assert change_sentence(greet).startswith(
        "Worse this week for criterion greet of form support (acme): calls that meet it 0.50 (n=60) against 1.00 the week "
        "before (n=60), difference -0.50 ["
    )
    do = next(action for action in report.actions if "criterion greet" in action.do)
    assert "tenant_id = '\"'\"'acme'\"'\"'" in do.command
    html, text = page.render(report), digest.render(report)
    for shown in (html, text):
        assert "Worse this week for criterion greet of form support" in shown
    assert "Scored calls: what they show" in html
    assert "acme: support, by agent group" in html
    assert "most in agent group cards (0.00 against 1.00)" in html
    frame = numbers.numbers(report)
    rows = frame[(frame["section"] == "call_score") & (frame["slice"] == "acme/support/greet/cards")]
    assert list(zip(rows["week"], rows["value"], rows["verdict"], strict=True)) == [
        ("2026-W47", 0.0, "worse"), ("2026-W46", 1.0, ""),
    ]  # fmt: skip


def test_a_change_of_one_small_group_is_listed_on_its_own(calls):
    for _ in range(4):
        calls.add(100, {"greet": "yes"}, at=BEFORE)
        calls.add(100, {"greet": "yes"}, at=NOW)
    calls.add(25, {"greet": "yes"}, at=BEFORE, group="cards")
    calls.add(25, {"greet": "no"}, at=NOW, group="cards")
    calls.add(425, {"greet": "no"}, at=BEFORE, group="night")
    calls.add(425, {"greet": "no"}, at=NOW, group="night")
    report = calls.report()
    assert report.scores.of(GREET, CRITERION_MET).result is not ComparisonResult.WORSE
    assert {(item.place.group, item.metric.name) for item in report.scores.worse} == {
        ("cards", "criterion_met"), ("cards", "calls_passed"), ("cards", "call_score"),
    }  # fmt: skip


def test_an_equal_week_changes_nothing(calls):
    weeks_of(calls, bad_group="")
    report = calls.report()
    assert report.scores.changed == []
    assert "No figure of scored calls changed beyond chance and margin." in page.render(report)


def test_overrides_change_no_figure_of_the_calls(calls):
    weeks_of(calls, bad_group="")
    calls.overrule_all("greet")
    report = calls.report()
    assert report.agreement.reviewed == 60
    assert report.scores.changed == []


def test_another_version_and_another_pair_are_named_as_possible_causes(calls):
    weeks_of(calls, version=2, pair="sha256:2")
    told = change_sentence(calls.report().scores.of(GREET, CRITERION_MET))
    assert told.endswith("; the week before used another version of the form; another pair scored the calls")


def test_a_week_of_calls_without_answers_says_so(calls):
    calls.add(5, {"greet": "yes"}, at=NOW)
    report = calls.report()
    assert headline(report) == "5 scored calls, no answers in 2026-W47"
    assert evidence_sentence(report).endswith("no answers of task summarize in this week, and 5 scored calls.")
    html = page.render(report)
    assert "5 scored calls this week, 0 the week before, by 1 form of 1 tenant" in html
    assert "no calls the week before" in html


def test_the_headline_has_few_words_and_tenants_texts_are_escaped(calls):
    weeks_of(calls)
    for call, _ in calls.rows:
        object.__setattr__(call, "queue", "<img src=x>' OR 1=1")
    report = calls.report()
    assert headline(report) == "Fewer calls meet criterion greet of form support: read the calls"
    assert len(headline(report).split()) <= MOST_WORDS
    html = page.render(report)
    assert "<img src=x>" not in html


def test_no_scored_calls_leave_no_trace(calls):
    report = calls.report()
    assert report.scores.figures == []
    assert "Scored calls" not in page.render(report)
    frame = numbers.numbers(report)
    assert isinstance(frame, pd.DataFrame)
    assert "call_score" not in set(frame["section"])
