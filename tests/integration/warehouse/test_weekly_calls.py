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
from reports.read.metrics import CALL_SCORE, CALL_SENTIMENTS, CALLS_PASSED, CRITERION_MET
from reports.read.weeks import Week
from reports.write import digest, numbers, page
from reports.write.headline import MOST_WORDS, evidence_sentence, headline
from service.calls.insights.insight import CallInsights
from service.calls.result import rows_of
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CallCriterionEvent, CallEvent, CallOverrideEvent
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

    def add(self, times, verdicts, *, at, tenant="acme", group="loans", version=1, pair="sha256:1", read=None):
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
                    "insights": read,
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


@pytest.mark.acceptance("qa-05")
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


@pytest.mark.acceptance("qa-05")
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


@pytest.mark.acceptance("qa-05")
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


COMPREHEND, WORDS = "amazon-comprehend", "local-words-v1"


def felt(sentiment, by=COMPREHEND):
    return CallInsights(by=by, sentiment=sentiment, balance=0.0)


def share(report, sentiment, *, group="", by=COMPREHEND):
    place = ScorePlace(tenant="acme", form_id="support", group=group, reader=by)
    metric = CALL_SENTIMENTS[sentiment]
    return next((item for item in report.sentiments.figures if (item.place, item.metric) == (place, metric)), None)


@pytest.mark.acceptance("qa-06")
def test_shares_of_sentiments_are_those_of_hand(calls):
    calls.add(3, {"greet": "yes"}, at=NOW, read=felt("NEGATIVE"))
    calls.add(1, {"greet": "yes"}, at=NOW, read=felt("POSITIVE"), group="cards")
    calls.add(1, {"greet": "yes"}, at=BEFORE, read=felt("NEUTRAL"))
    calls.add(2, {"greet": "yes"}, at=NOW)
    german = CallInsights(by=COMPREHEND, failure="the call is in Dutch", failure_code="language")
    calls.add(1, {"greet": "yes"}, at=NOW, read=german)
    report = calls.report()
    negative, positive = share(report, "NEGATIVE"), share(report, "POSITIVE")
    assert (negative.now.value, negative.now.n, negative.before.value) == (0.75, 4, 0.0)
    assert negative.now.low < 0.75 < negative.now.high
    assert (positive.now.value, share(report, "POSITIVE", group="cards").now.value) == (0.25, 1.0)
    assert share(report, "MIXED").now.value == 0.0
    assert negative.result is ComparisonResult.TOO_FEW
    html, text = page.render(report), digest.render(report)
    for shown in (html, text):
        assert "Scored calls: how customers felt" in shown
        assert "4 calls of this week were read by amazon-comprehend. How often it is right was not measured" in shown
        assert (
            "Without a sentiment: 3 calls (2 scored before sentiment was read; 1 in a language that the reader" in shown
        )
    frame = numbers.numbers(report)
    rows = frame[(frame["section"] == "call_sentiment") & (frame["slice"] == "acme/support/amazon-comprehend/")]
    assert {(row.metric, row.week): row.value for row in rows.itertuples()} == {
        ("calls_negative", "2026-W47"): 0.75, ("calls_mixed", "2026-W47"): 0.0, ("calls_neutral", "2026-W47"): 0.0,
        ("calls_positive", "2026-W47"): 0.25, ("calls_negative", "2026-W46"): 0.0, ("calls_mixed", "2026-W46"): 0.0,
        ("calls_neutral", "2026-W46"): 1.0, ("calls_positive", "2026-W46"): 0.0,
    }  # fmt: skip


def angrier(calls, by):
    """Two weeks of 60 calls in two groups; in the second one the customers of one group are negative."""
    for group in ("loans", "cards"):
        calls.add(30, {"greet": "yes"}, at=BEFORE, group=group, read=felt("NEUTRAL", by))
        sentiment = "NEGATIVE" if group == "cards" else "NEUTRAL"
        calls.add(30, {"greet": "yes"}, at=NOW, group=group, read=felt(sentiment, by))


@pytest.mark.acceptance("qa-06")
def test_more_negative_customers_are_worse_when_comprehend_read_them(calls):
    angrier(calls, COMPREHEND)
    report = calls.report()
    (changed,) = report.sentiments.changed
    assert (changed.place.group, changed.metric.name, changed.result) == ("", "calls_negative", ComparisonResult.WORSE)
    assert share(report, "NEGATIVE", group="cards").result is ComparisonResult.WORSE
    # It moves with the others, which are shown and not judged.
    assert share(report, "NEUTRAL").result is ComparisonResult.NONE
    said = (
        "Worse this week for form support (acme), read by amazon-comprehend: calls with a negative customer 0.50 (n=60) "
        "against 0.00 the week before (n=60), difference 0.50 ["
    )
    html, text = page.render(report), digest.render(report)
    assert said in html
    assert "most in agent group cards (1.00 against 0.00)" in html
    assert said in text.replace("\\", "")
    assert "A customer's sentiment is no verdict on the agent" in html
    # What the model scored did not change, so the week is no worse for it.
    assert report.scores.worse == []
    assert not any("negative" in action.do for action in report.actions)


@pytest.mark.acceptance("qa-06")
def test_nothing_is_concluded_from_the_list_of_words(calls):
    angrier(calls, WORDS)
    report = calls.report()
    assert report.sentiments.changed == []
    assert report.sentiments.tested == (0, 0)
    negative = share(report, "NEGATIVE", by=WORDS)
    assert (negative.now.value, negative.now.n, negative.before, negative.found) == (0.5, 60, None, None)
    html, text = page.render(report), digest.render(report)
    part = html.partition("Scored calls: how customers felt")[2].partition("</details>")[0]
    assert "60 calls of this week were read by local-words-v1. It is weak: of 136 labelled calls" in part
    assert "30 of 60 calls" in part
    assert "30 of 30 calls" in part  # of the group cards
    assert "counts alone, because this reader is too often wrong for a comparison" in part
    lines = text.partition("how customers felt")[2].splitlines()
    assert any("(30 of 60 calls, not compared)" in line.replace("\\", "") for line in lines)
    for shown in (part, "\n".join(lines[:6])):
        assert not any(word in shown.casefold() for word in ("worse", "better", "week before", "["))
    frame = numbers.numbers(report)
    kept = frame[frame["section"] == "call_sentiment"]
    assert set(kept["verdict"]) == {""}
    assert kept["low"].isna().all()


@pytest.mark.acceptance("qa-06")
def test_shares_of_two_readers_are_not_compared(calls):
    calls.add(60, {"greet": "yes"}, at=BEFORE, read=felt("NEUTRAL", WORDS))
    calls.add(60, {"greet": "yes"}, at=NOW, read=felt("NEGATIVE", COMPREHEND))
    calls.add(30, {"greet": "yes"}, at=NOW, read=felt("NEGATIVE", "newer-words-v2"))
    report = calls.report()
    assert report.sentiments.changed == []
    assert share(report, "NEGATIVE").before is None
    assert share(report, "NEGATIVE", by=WORDS) is None
    html = page.render(report)
    assert "no calls the week before" in html
    assert "30 calls of this week were read by newer-words-v2. How often it is right is not known." in html


def test_a_call_without_a_sentiment_is_counted_once_beside_two_readers(calls):
    for reader in (COMPREHEND, WORDS):
        calls.add(2, {"greet": "yes"}, at=NOW, read=felt("NEUTRAL", reader))
    calls.add(3, {"greet": "yes"}, at=NOW)
    report = calls.report()
    for shown in (page.render(report), digest.render(report)):
        assert shown.count("Without a sentiment: 3 calls") == 1


def test_a_week_of_calls_that_nobody_read_says_so(calls):
    calls.add(5, {"greet": "yes"}, at=NOW)
    report = calls.report()
    html, text = page.render(report), digest.render(report)
    for shown in (html, text):
        assert "No call of this week could be read." in shown
        assert "Without a sentiment: 5 calls (5 scored before sentiment was read)." in shown


def test_no_scored_calls_leave_no_trace(calls):
    report = calls.report()
    assert report.scores.figures == []
    assert report.sentiments.tables == []
    assert "Scored calls" not in page.render(report)
    frame = numbers.numbers(report)
    assert isinstance(frame, pd.DataFrame)
    assert "call_score" not in set(frame["section"])
