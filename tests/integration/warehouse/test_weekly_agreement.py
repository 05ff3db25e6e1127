"""Agreement of people with the model in the weekly report: hand-worked figures, and which falls are reported."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from builders import FakeCalls, call_result
from empty_warehouse import empty_warehouse

from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import make_report
from reports.read.data import read_week
from reports.read.weeks import Week
from reports.write import digest, numbers, page
from reports.write.headline import more_findings
from reports.write.overview import overall_evidence, overall_headline
from service.calls.result import rows_of
from service.kit.frame.errors import WarehouseError
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CallCriterionEvent, CallEvent, CallOverrideEvent
from service.warehouse.rows import to_table

WEEK = Week.parse("2026-W47")
MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)
LATER = datetime(2026, 12, 20, tzinfo=UTC)


class Calls:
    """A warehouse of scored calls; a test chooses the verdict of every criterion."""

    def __init__(self, folder):
        self.path, self.count, self.made, self.overrides = folder / "w.duckdb", 0, [], []

    def call(self, verdicts, *, at=MONDAY, tenant="acme", version=1, pair="sha256:1"):
        self.count += 1
        calls = FakeCalls()
        call_id = calls.add(tenant, f"call-{self.count}", verdicts, date=at)
        result = call_result(calls.jobs[tenant, call_id], verdicts)
        evaluation = result.qa_evaluation.model_copy(update={"qa_template_version": version})
        by = result.scored_by.model_copy(update={"pair_digest": pair})
        result = result.model_copy(update={"qa_evaluation": evaluation, "scored_by": by})
        self.made.append(rows_of(result, "k"))
        return result

    def verdict(self, result, criterion, verdict, *, at):
        found = next(item for item in result.qa_evaluation.criteria if item.id == criterion)
        self.overrides.append(
            CallOverrideEvent(
                tenant_id=result.tenant_id, call_id=result.call_id, criterion_id=criterion, overridden_at=at,
                form_id="support", form_version=result.qa_evaluation.qa_template_version, model_verdict=found.verdict,
                human_verdict=verdict, overridden_by="dana", pair_digest=result.scored_by.pair_digest,
            )
        )  # fmt: skip

    def answered(self, criterion, table, *, at=MONDAY, **more):
        """Calls with the model's verdict, each with a person's verdict: ``{("yes", "no"): 3}``."""
        for (model, human), times in table.items():
            for _ in range(times):
                self.verdict(self.call({criterion: model}, at=at, **more), criterion, human, at=at + timedelta(hours=1))

    def report(self, week=WEEK, now=LATER):
        with closing(DuckWarehouse(self.path) if self.path.exists() else empty_warehouse(self.path)) as warehouse:
            for event, rows in (
                (CallEvent, [call for call, _ in self.made]),
                (CallCriterionEvent, [row for _, criteria in self.made for row in criteria]),
                (CallOverrideEvent, self.overrides),
            ):
                if rows:
                    warehouse.merge(event, to_table(event, rows))
        with closing(DuckWarehouse(self.path, read_only=True)) as warehouse:
            return make_report(read_week(warehouse, week, "summarize", now))


@pytest.fixture
def calls(tmp_path):
    return Calls(tmp_path)


BEFORE = MONDAY - timedelta(days=7)
GOOD, BAD = (
    {("yes", "yes"): 20, ("no", "no"): 18, ("yes", "no"): 2},
    {("yes", "yes"): 12, ("no", "no"): 8, ("yes", "no"): 20},
)


@pytest.mark.acceptance("qa-03")
def test_an_override_changes_the_figure(calls):
    results = [calls.call({"greet": verdict}) for verdict in ("yes", "yes", "no", "no")]
    for result, verdict in zip(results, ("yes", "yes", "no", "no"), strict=True):
        calls.verdict(result, "greet", verdict, at=MONDAY)
    (item,) = calls.report().agreement.criteria
    assert (item.now.n, item.now.confirmed, item.now.kappa.value) == (4, 4, 1.0)
    calls.verdict(results[0], "greet", "no", at=MONDAY + timedelta(minutes=1))
    (item,) = calls.report().agreement.criteria
    # Model 2 yes 2 no, person 1 yes 3 no: by chance (2*1 + 2*3) / 16 = 0.5, so kappa is (0.75 - 0.5) / 0.5.
    assert (item.now.n, item.now.confirmed, item.now.rate.interval().value, item.now.kappa.value) == (4, 3, 0.75, 0.5)
    assert (item.tenant, item.form_id, item.version, item.criterion, item.question) == (
        "acme", "support", 1, "greet", "Was greet done?",
    )  # fmt: skip


def test_scored_calls_stand_once_and_under_no_task_on_a_page_of_several(calls):
    calls.answered("greet", GOOD, at=BEFORE)
    calls.answered("greet", BAD)
    first = replace(calls.report(), outcome="worse")
    with closing(DuckWarehouse(calls.path, read_only=True)) as warehouse:
        second = make_report(read_week(warehouse, WEEK, "shout", LATER, with_calls=False))
    assert (len(first.agreement.criteria), len(second.agreement.criteria), second.agreement.calls) == (1, 0, 0)
    assert page.render(first, second).count("Scored calls: people and the model") == 1
    assert overall_headline([first, second]).startswith("People and model agree less")
    assert overall_evidence([first, second]).startswith("Worse this week for criterion greet")


@pytest.mark.acceptance("qa-05")
def test_a_fall_is_reported_first_with_a_remedy(calls):
    calls.answered("greet", GOOD, at=BEFORE)
    calls.answered("greet", BAD)
    calls.answered("sorry", GOOD, at=BEFORE)
    calls.answered("sorry", GOOD)
    report = calls.report()
    assert [(item.criterion, item.result) for item in report.agreement.criteria] == [
        ("greet", ComparisonResult.WORSE), ("sorry", ComparisonResult.INCONCLUSIVE),
    ]  # fmt: skip
    (told,) = more_findings(report)  # no summary was answered, which is what the headline says
    assert told.startswith(
        "Worse this week for criterion greet of form support version 1 (acme): agreement with the model 0.50 (n=40) "
        "against 0.95 the week before (n=40), difference -0.45 ["
    )
    assert report.actions[0].because == "people overruled 20 of 40, 2 of 40 the week before"
    text = page.render(report)
    assert "Read the calls in which people overruled criterion greet (acme, support)" in text
    assert "v_criterion_words" in text
    assert "✗ worse" in digest.render(report)
    found = numbers.numbers(report)
    row = found[(found["section"] == "agreement") & (found["slice"] == "acme/support/1/greet")].set_index("metric")
    assert (row.loc["agreement_rate", "value"], row.loc["agreement_rate", "n"], row.loc["kappa", "verdict"]) == (
        0.5,
        40,
        "worse",
    )


def test_the_advice_is_a_query_that_runs(calls):
    import shlex

    calls.answered("greet", GOOD, at=BEFORE)
    calls.answered("greet", BAD)
    _, _, setting = shlex.split(calls.report().actions[0].command)
    with closing(DuckWarehouse(calls.path, read_only=True)) as warehouse:
        found = warehouse.query(setting.removeprefix("SQL="))
    assert len(found) == 20
    assert set(found["human_verdict"]) == {"no"}


def test_few_ratings_raise_no_alarm_and_the_report_says_so(calls):
    calls.answered("greet", {("yes", "yes"): 40}, at=BEFORE)
    calls.answered("greet", {("yes", "no"): 18, ("yes", "yes"): 1})
    report = calls.report()
    assert [item.result for item in report.agreement.criteria] == [ComparisonResult.TOO_FEW]
    assert report.agreement.fallen == []
    assert more_findings(report) == []
    assert "n=19: too few to say" in page.render(report)
    assert "1 criterion with fewer than 20 verdicts: too few to say" in digest.render(report)


def test_overrides_alone_give_no_agreement_instead_of_0(calls):
    calls.answered("greet", {("yes", "no"): 30})
    report = calls.report()
    assert "when only overrides are recorded, the agreement is always 0 and means nothing" in page.render(report)
    assert report.agreement.fallen == []
    calls.answered("greet", {("yes", "yes"): 28, ("no", "no"): 2}, at=BEFORE)
    (told,) = more_findings(calls.report())
    assert "the model got all of them wrong, or people stopped confirming" in told


def test_versions_tenants_and_pairs_are_counted_separately(calls):
    calls.answered("greet", GOOD, at=BEFORE)
    calls.answered("greet", BAD, version=2, pair="sha256:2")
    calls.answered("greet", GOOD, tenant="brand")
    report = calls.report()
    assert [(item.tenant, item.version, item.before_version, item.result) for item in report.agreement.criteria] == [
        ("acme", 2, 1, ComparisonResult.WORSE), ("brand", 1, 1, ComparisonResult.NONE),
    ]  # fmt: skip
    (told,) = more_findings(report)
    assert told.endswith("; the week before used version 1 of the form; another pair scored the calls.")


def test_a_rating_counts_once_in_the_week_it_was_given(calls):
    result = calls.call({"greet": "yes", "blank": None}, at=BEFORE)
    calls.verdict(result, "greet", "no", at=BEFORE)
    calls.verdict(result, "greet", "yes", at=MONDAY)
    calls.verdict(result, "blank", "yes", at=MONDAY)
    calls.verdict(calls.call({"greet": "yes"}), "greet", "no", at=MONDAY + timedelta(days=7))
    found = {item.criterion: item for item in calls.report().agreement.criteria}
    assert (found["greet"].now.n, found["greet"].now.confirmed, found["greet"].before) == (1, 1, None)
    assert (found["blank"].now.n, found["blank"].now.unanswered, found["blank"].now.kappa) == (0, 1, None)
    (then,) = calls.report(week=Week(monday=WEEK.monday - timedelta(days=7), zone=ZoneInfo("UTC"))).agreement.criteria
    assert (then.now.n, then.now.confirmed) == (1, 0)  # last week's report says what it said last week


def test_without_calls_there_is_no_section_and_without_ratings_it_says_so(calls):
    assert "Scored calls" not in page.render(calls.report())
    assert "Scored calls" not in digest.render(calls.report())
    calls.call({"greet": "yes", "sorry": None})
    text = page.render(calls.report())
    assert "1 scored call this week with 1 verdict by the model. People confirmed or overruled no verdict" in text


def test_texts_of_the_warehouse_are_escaped_in_the_page(calls):
    calls.answered("<b>x</b>", {("yes", "yes"): 20}, tenant="acme")
    text = page.render(calls.report())
    assert "<b>x</b>" not in text
    assert "<b>x</b>" not in digest.render(calls.report())


def test_a_single_verdict_has_no_kappa(calls):
    calls.answered("greet", {("yes", "yes"): 25})
    (item,) = calls.report().agreement.criteria
    assert item.now.kappa.low is None
    assert "not defined" in page.render(calls.report())


def test_a_warehouse_without_the_view_is_reported_with_a_remedy(calls):
    calls.report()
    with closing(DuckWarehouse(calls.path)) as warehouse:
        warehouse._connection.execute("DROP VIEW v_criterion_words")
    with pytest.raises(WarehouseError, match="has no v_criterion_words yet: run `omni load-events`"):
        DuckWarehouse(calls.path, read_only=True)


def test_kappa_equals_the_reference_implementation():
    import numpy as np
    from sklearn.metrics import cohen_kappa_score

    from reports.compare.agreement import kappa_of

    table = np.array([[20, 5, 1], [4, 30, 2], [0, 3, 9]], dtype=float)
    ours, theirs = [], []
    for (row, column), times in np.ndenumerate(table):
        ours += [row] * int(times)
        theirs += [column] * int(times)
    found = kappa_of(table)
    assert found.value == pytest.approx(cohen_kappa_score(ours, theirs))
    assert found.low < found.value < found.high <= 1
    assert (found.n, Decimal(found.high).is_finite()) == (74, True)
