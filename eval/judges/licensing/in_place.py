"""Measures a judge on the answers of the run that it judges: known changes to answers that it accepted, which it must see.

The edits are drawn from the answers themselves, so nobody can have learned them by heart. Changes of form alone, on the same
answers, catch a judge that objects to whatever it does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eval.judges.calibration import interval_text
from eval.judges.contrasts import ClassMeasure, ContrastText, classes_of, clustered_rate
from eval.judges.licence import ClassLicence, Licence
from eval.labels.contrasts.by_code import RIGHT
from eval.labels.contrasts.editors import OF_ANSWERS, Editor
from figures.stats import Interval
from service.kit.frame.canonical import sha256_hex

WRONG_EDITS = 150  # over all classes
RIGHT_EDITS = 40
LEAST_OF_A_CLASS, LEAST_RIGHT = 10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """A judge on the edits of a run's own answers: ``recall`` over all wrong ones, ``false_alarms`` over the right ones.

    ``accepted`` of ``answers`` were good to the judge before they were edited.
    """

    accepted: int
    answers: int
    classes: tuple[ClassMeasure, ...] = ()
    recall: Interval | None = None
    false_alarms: Interval | None = None


def edits_of(
    accepted: Sequence[tuple[str, str]], sources: Mapping[str, str], editor: Editor = OF_ANSWERS
) -> list[ContrastText]:
    """Return the edits of the ``accepted`` answers (case id, text), always the same, so that a run can be resumed."""
    seed = sha256_hex("\0".join(sorted({f"{case_id}\0{text}" for case_id, text in accepted})))
    wanted = {**dict.fromkeys(editor.classes, WRONG_EDITS // len(editor.classes)), RIGHT: RIGHT_EDITS}
    return [
        ContrastText(
            id=edit.id,
            case_id=edit.case_id,
            label="wrong" if edit.wrong else "right",
            kind=edit.kind,
            kept=False,
            text=edit.text,
            good=edit.good,
            harm_class=edit.harm_class,
            held=True,
        )
        for edit in editor.edits(sorted(set(accepted)), sources, seed=seed, wanted=wanted, held=True)
    ]


def measure_in_place(
    edits: Sequence[ContrastText], objections: Sequence[bool | None], *, accepted: int, answers: int
) -> InPlace:
    """Return the judge's figures; an edit without a verdict counts as not objected to."""
    rows = [(text, objects is True) for text, objects in zip(edits, objections, strict=True)]
    wrong = [(text.case_id, objects) for text, objects in rows if text.label == "wrong"]
    right = [(text.case_id, objects) for text, objects in rows if text.label != "wrong"]
    return InPlace(
        accepted=accepted,
        answers=answers,
        classes=classes_of(rows),
        recall=clustered_rate(wrong),
        false_alarms=clustered_rate(right),
    )


def licence_in_place(granted: Licence, found: InPlace, most_alarms: float) -> Licence:
    """Return what is left of ``granted`` in a run where the judge was measured as ``found``.

    The recall over all edits must reach what the gate needs with the low end of its interval. Of a single class there are too few
    edits for that, so a class goes where its recall is certainly below, or was not measured. ``most_alarms`` (0 to 1) is the
    most false alarms that the gate bears: the judge's must not certainly lie above it.
    """
    if granted.refused or not granted.classes:
        return granted
    needed, recall, alarms = granted.classes[0].needed, found.recall, found.false_alarms
    if recall is None or alarms is None or alarms.n < LEAST_RIGHT:
        accepted = f"it accepted {found.accepted} of {found.answers} answers"
        return Licence(refused=f"not measured on this run's own answers: {accepted}, too few of them can be edited")
    if alarms.low is None or alarms.low > most_alarms:
        text = interval_text(alarms)
        return Licence(
            refused=f"on this run's own answers it objects to {text} of the changes of form, at most {most_alarms:.2f}"
        )
    if recall.low is None or recall.low < needed:
        text = interval_text(recall)
        return Licence(
            refused=f"it sees {text} of the known changes to this run's own answers, needed {needed:.2f} as low end"
        )
    measured = {item.name: item for item in found.classes}
    classes = tuple(_left(item, measured.get(item.name)) for item in granted.classes)
    return granted.only(classes)


def _left(item: ClassLicence, found: ClassMeasure | None) -> ClassLicence:
    if not item.licensed:
        return item
    if found is None or found.n < LEAST_OF_A_CLASS:
        return replace(item, missing=f"only {found.n if found else 0} answers of this run can be edited so")
    if found.recall.high is not None and found.recall.high < item.needed:
        return replace(item, missing=f"{interval_text(found.recall)} in this run, certainly below {item.needed:.2f}")
    return item
