"""Which judges of a suite have to be measured again, because their measurement is missing, no longer holds, or is old."""

from dataclasses import dataclass
from datetime import datetime

from eval.judges.calibration import Calibration, load
from eval.judges.jury import load_jury
from eval.judges.labelled_rows import CALIBRATION_SET, own_digest
from eval.judges.licence import LicenceTerms, outdated, terms_of
from eval.spine.judge_spec import JudgeSpec
from eval.suites import load_suite
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeDue:
    """A judge that the suite gates on: when it was measured (ISO 8601, "" never), and why it is due ("" if it is not)."""

    rubric: str
    model: str
    measured: str
    reason: str


def judges_due(task: str, settings: Settings, *, days: int, now: datetime) -> list[JudgeDue]:
    """Return every judge on which the suite gates; one measured more than ``days`` days ago is due. No model is asked.

    Raises:
        PairError: a judge's file is missing or wrong.
    """
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    suite = load_suite(task)
    found = []
    for spec in suite.judges:
        if not spec.bounded:
            continue
        jury = load_jury(spec.rubric, settings=settings, cards=cards)
        record = load(settings.state_dir, jury.digest)
        reason = _outdated(record, spec, terms_of(suite, settings, spec), own_digest(task, settings))
        if record is not None and not reason:
            age = (now - datetime.fromisoformat(record.date)).days
            reason = f"measured {age} days ago" if age > days else ""
        measured = "" if record is None else record.date
        found.append(JudgeDue(rubric=spec.rubric, model=jury.model, measured=measured, reason=reason))
    return found


def _outdated(record: Calibration | None, spec: JudgeSpec, terms: LicenceTerms, rows: str | None) -> str:
    if spec.kinds or record is None:
        return outdated(record, spec, terms)
    own = next((item for item in record.sets if item.set_name == CALIBRATION_SET), None)
    if own is None:
        return "not measured on the project's own calibration rows"
    return "" if own.set_digest == rows else "measured on calibration rows that have changed since"
