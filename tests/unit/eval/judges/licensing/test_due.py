"""Which judges are due: never measured, measured on something else, or long ago."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eval.judges.calibration import Agreement, Calibration, save
from eval.judges.contrasts import ContrastMeasure
from eval.judges.jury import load_jury
from eval.judges.labelled_rows import CALIBRATION_SET, own_digest
from eval.judges.licence import terms_of
from eval.judges.licensing.due import judges_due
from eval.labels.claims.labels import claims_digest
from eval.labels.contrasts.sets import contrasts_digest
from eval.suites import load_suite
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path)


def due(settings):
    return {item.rubric: item.reason for item in judges_due("summarize", settings, days=90, now=NOW)}


def measured(settings, days=1, **changes):
    """Keep a record of every judge that was made ``days`` ago with everything as it is now."""
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    for spec in load_suite("summarize").judges:
        found = ContrastMeasure(
            set_digest=contrasts_digest(settings.datasets_dir, "summarize"),
            claims_digest=claims_digest(settings.datasets_dir, "summarize") if spec.asks_claims else None,
            max_undecided=spec.max_undecided, cases={}, kinds=(), false_alarms=None, coverage=None,
            quarter=terms_of(load_suite("summarize"), settings).quarters[0],
        )  # fmt: skip
        rows = Agreement(
            set_name=CALIBRATION_SET, set_digest=own_digest("summarize", settings), n=1, bad_rows=0, unscored=0,
            kappa=None, accuracy=None, self_agreement=None, flagged={},
        )  # fmt: skip
        record = Calibration(
            judge_digest=load_jury(spec.rubric, settings=settings, cards=cards).digest, rubric=spec.rubric, model="m",
            answered_by="m", environment="aws", date=(NOW - timedelta(days=days)).isoformat(), repeats=1,
            sets=(replace(rows, **changes),), contrasts=replace(found, **changes),
        )  # fmt: skip
        save(record, settings.state_dir)


def test_a_judge_that_was_never_measured_is_due(settings):
    found = due(settings)
    gating = {spec.rubric for spec in load_suite("summarize").judges if spec.bounded}
    assert set(found) == gating != set()
    assert set(found.values()) == {"never measured with this prompt and model"}


@pytest.mark.parametrize(("days", "reason"), [(90, ""), (91, "measured 91 days ago")])
def test_a_measurement_holds_for_so_many_days(settings, days, reason):
    measured(settings, days)
    assert set(due(settings).values()) == {reason}


def test_a_measurement_on_other_sets_is_due(settings):
    measured(settings, set_digest="x" * 64)
    assert all("have changed since" in reason for reason in due(settings).values())
