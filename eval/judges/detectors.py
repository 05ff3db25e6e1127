"""Measures the suite's deterministic detectors against labelled rows: recall of each kind of defect, and false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.judges.labelled_rows import CALIBRATION_SET, OwnRows, load_own
from eval.labels.contrasts.fresh_cases import CERTIFICATION, MOST_FALSE_ALARMS, TUNED_ON, count_false_alarms
from eval.spine.cases import Case
from eval.spine.errors import CaseError
from eval.spine.scorer import Scorer, ScorerContext
from eval.suites import load_suite
from figures.stats import Interval, rate_interval
from service.core.run.task import TaskResult, load_task
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A detector's verdict on one row: ``flagged`` means that it called the row bad."""

    row_id: str
    kind: str | None
    flagged: bool

    @property
    def held_out(self) -> bool:
        """Return whether the row has an even number: detectors must not be tuned on such rows."""
        return int(self.row_id.rpartition("-")[2]) % 2 == 0


def detector_scores(scorer: Scorer) -> tuple[str, ...]:
    """Return the scores of ``scorer`` that are detectors: below 1 means that the text holds what they look for."""
    return tuple(getattr(scorer, "detects", ()))


def verdicts(scorers: Sequence[Scorer], own: OwnRows, task: str) -> dict[str, list[Detection]]:
    """Return each detector's verdict on every row, by the score's name."""
    found: dict[str, list[Detection]] = {}
    for row in own.rows:
        for name, value in detector_values(scorers, task, own.cases[row.case_id], row.summary).items():
            found.setdefault(name, []).append(Detection(row_id=row.id, kind=row.kind, flagged=value < 1.0))
    return found


def false_alarms(scorers: Sequence[Scorer], own: OwnRows, task: str) -> dict[str, tuple[int, int]]:
    """Return, by the score's name, how many of the cases' references a detector calls bad, of how many."""
    counts: dict[str, tuple[int, int]] = {}
    for case in own.cases.values():
        for reference in case.expectations.references:
            for name, value in detector_values(scorers, task, case, reference).items():
                bad, n = counts.get(name, (0, 0))
                counts[name] = (bad + (value < 1.0), n + 1)
    return counts


def detector_values(scorers: Sequence[Scorer], task: str, case: Case, text: str) -> dict[str, float]:
    """Return each detector's score of ``text``, where it has one."""
    inputs = load_suite(task).case_model(load_task(task).input_model).model_validate(case.inputs)
    result = TaskResult(output=text, arm="primary", model="none", answered_by="none", latency_ms=0.0)
    context = ScorerContext(case=case, inputs=inputs, result=result, output=text)
    values = {}
    for scorer in scorers:
        wanted = detector_scores(scorer)
        if wanted:
            scores = scorer.score(context)
            values.update({name: scores[name].value for name in wanted})
    return {name: value for name, value in values.items() if value is not None}


def detector_lines(task: str, settings: Settings) -> list[str]:
    """Return the printed report: per detector precision, recall and each kind, on all rows and on the held-out half.

    Empty for a suite without detectors.
    """
    scorers = load_suite(task).scorers
    if not any(map(detector_scores, scorers)):
        return []
    try:
        own = load_own(load_task(task), settings)
    except CaseError as err:
        return [f"detectors: not measured: {err}"]
    alarms = false_alarms(scorers, own, task)
    lines = [f"detectors on {CALIBRATION_SET} ({len(own.rows)} rows; tuned on odd ids, even ids held out)"]
    for name, found in verdicts(scorers, own, task).items():
        bad, n = alarms.get(name, (0, 0))
        lines.append(f"  {name}: {bad} of {n} references of the cases called bad")
        for title, rows in (("all rows", found), ("held out", [item for item in found if item.held_out])):
            lines.append(f"    {title}: {_summary(rows)}")
        lines.append("    caught by kind, all rows: " + ", ".join(_by_kind(found)))
    return lines + _fresh_lines(task, settings)


def _fresh_lines(task: str, settings: Settings) -> list[str]:
    """Return a line per set of fresh cases: how many of their good answers the guard refuses."""
    lines = []
    for name, about in ((CERTIFICATION, "nothing was tuned on them"), (TUNED_ON, "tuned on")):
        found = count_false_alarms(load_task(task), name, settings.datasets_dir)
        if found is not None:
            kinds = ", ".join(f"{kind} {count}" for kind, count in found.kinds.items())
            lines.append(
                f"guard on {name} ({found.cases} cases, {about}): refuses {found.refused} of {found.answers} good answers, "
                f"{_text(found.share)}; aim at most {MOST_FALSE_ALARMS:.2f}" + (f"; {kinds}" if kinds else "")
            )
    return lines


def _summary(rows: Sequence[Detection]) -> str:
    flagged = [row for row in rows if row.flagged]
    bad = [row for row in rows if row.kind is not None]
    hits = sum(1 for row in flagged if row.kind is not None)
    precision = rate_interval(hits, len(flagged)) if flagged else None
    recall = rate_interval(hits, len(bad)) if bad else None
    return (
        f"precision {_text(precision)} ({hits} of {len(flagged)} flagged), "
        f"recall {_text(recall)} ({hits} of {len(bad)} bad), {len(flagged) - hits} false alarms"
    )


def _by_kind(rows: Sequence[Detection]) -> list[str]:
    kinds = sorted({row.kind for row in rows if row.kind is not None})
    told = []
    for kind in kinds:
        of_kind = [row.flagged for row in rows if row.kind == kind]
        told.append(f"{kind} {sum(of_kind)}/{len(of_kind)} {_range(rate_interval(sum(of_kind), len(of_kind)))}")
    return told


def _range(interval: Interval) -> str:
    return f"[{interval.low:.2f}, {interval.high:.2f}]"


def _text(interval: Interval | None) -> str:
    return f"{interval.value:.2f} {_range(interval)}" if interval else "unmeasured"
