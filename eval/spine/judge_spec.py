"""A judge's answers: their JSON schema, the parsing of a grade, and the score from several grades."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from eval.spine.results import Score

SCHEMA_NAMES = ("judge-grade-v1",)
HarmClass = Literal["invention", "reversal", "roles", "promise", "omission", "conduct"]
# Kinds of harm in a sentence by what a reader must do to see them; a judge is licensed by class (eval/judges/licence.py).
HARM_CLASSES: Mapping[HarmClass, str] = {
    "invention": "look for a statement in the source, and find none",
    "reversal": "compare what came of a matter, its direction and its order",
    "roles": "compare who did something, and to whom or what it belongs",
    "promise": "tell what was promised, asked or claimed from what was done and established",
    "omission": "notice a condition, a bound or a part that is missing from a statement",
}
# Harm in how customers are treated, which no sentence shows against its source.
CONDUCT: HarmClass = "conduct"
_QUOTES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSpec:
    """How a suite uses one rubric (``prompts/judges/<rubric>.prompty``).

    ``bad_kinds`` are the defects of the calibration rows that this rubric must see; ``floor`` is the bound that the mean
    score (0 to 1) must clear, None for a judge that is shown and never gates; ``margin`` is how much lower than production's it
    may be. ``yes_or_no`` is for grades that are 0 or 1 alone. ``repeats`` grades are asked per case.

    ``kinds`` are the suite's kinds of harm that the judge may be licensed for (``eval/judges/licence.py``). A judge with
    ``kinds`` gates only with a licence for one of them. Any other judge gates only when it was measured against labels under
    its present digest, with kappa at least ``min_kappa`` and its interval's low end at least ``min_kappa_low``,
    self-agreement at least ``min_self_agreement``, on at least ``min_bad_rows`` rows with a defect.

    ``reads``: the judge is a reader of single sentences (``eval/judges/reading.py``). Reading is the same in every task, so
    ``measured_on`` may name another task on whose contrast sets the reader is measured; each run measures it on the task's own
    answers as well.
    ``conversations``: the judge grades whole conversations, from the transcript that the suite's episode makes.
    ``asks_claims``: the judge answers questions about labelled claims (``eval/labels/claims``). ``shows`` are its
    further scores, which never gate. An answer of which more than ``max_undecided`` (0 to 1) of the items stay
    undecided has no score.
    """

    rubric: str
    bad_kinds: tuple[str, ...]
    reason: str
    floor: float | None = None
    margin: float | None = None
    yes_or_no: bool = False
    repeats: int = 1
    pairwise: bool = False
    kinds: tuple[str, ...] = ()
    reads: bool = False
    measured_on: str = ""
    conversations: bool = False
    asks_claims: bool = False
    shows: tuple[str, ...] = ()
    max_undecided: float = 0.2
    # 0.61 and above is "substantial", 0.41 and above "moderate" agreement (Landis & Koch 1977).
    min_kappa: float = 0.6
    min_kappa_low: float = 0.4
    min_self_agreement: float = (
        0.8  # below 0.80 one case in five changes its grade when asked again: noise as large as a gate's margin
    )
    min_bad_rows: int = 20

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that the judge gives."""
        return (self.score, *self.shows)

    @property
    def bounded(self) -> bool:
        """Whether the suite gates on the judge's score, if the judge may gate."""
        return self.floor is not None or self.margin is not None

    @property
    def score(self) -> str:
        """Name of the score and of its metric."""
        return f"judge_{self.rubric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One answer of a judge: ``value`` is the grade's place in the menu, 0 (worst) to 1 (best), or None with the reason."""

    value: float | None
    label: str = ""
    reasons: str = ""
    evidence: tuple[str, ...] = ()
    unscored: str | None = None
    answered_by: str = ""

    @property
    def good(self) -> bool | None:
        """Whether the grade lies in the upper half of the menu; None without a grade."""
        return None if self.value is None else self.value > 0.5


def answer_form(menu: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of a judge's answer: evidence first and the grade last, so that the grade follows from it.

    Only what every provider takes: lengths and counts cannot be bounded in Bedrock's own structured output.
    """
    return {
        "type": "object",
        "properties": {
            "evidence": {"type": "array", "items": {"type": "string"}},
            "reasons": {"type": "string"},
            "grade": {"type": "string", "enum": list(menu)},
        },
        "required": ["evidence", "reasons", "grade"],
        "additionalProperties": False,
    }


def read_grade(text: str, menu: Sequence[str], *, answered_by: str = "") -> Grade:
    """Return the grade in ``text``; the last one when it holds several, none when it is off the menu or only prose.

    Args:
        text: the judge's answer; a JSON object, or text with JSON objects in it.
        menu: labels from worst to best, at least two.
        answered_by: what really answered.
    """
    found = [item for item in _objects(text) if "grade" in item]
    if not found:
        what = "prose without a grade" if text.strip() else "an empty answer"
        return Grade(value=None, unscored=f"the judge gave {what}", answered_by=answered_by)
    last = found[-1]
    grade = last["grade"]
    label = str(grade).strip().lower() if isinstance(grade, str | int) and not isinstance(grade, bool) else None
    labels = [item.lower() for item in menu]
    evidence = last.get("evidence")
    quotes = tuple(str(item) for item in evidence) if isinstance(evidence, list) else ()
    told = Grade(
        value=None, unscored="", reasons=str(last.get("reasons") or ""), evidence=quotes, answered_by=answered_by
    )
    if label not in labels:
        allowed = ", ".join(menu)
        return replace(told, unscored=f"the judge's grade {str(grade)[:40]!r} is not one of {allowed}")
    place = labels.index(label)
    return replace(told, value=place / (len(labels) - 1), label=menu[place], unscored=None)


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the outermost JSON objects of ``text`` in order."""
    decoder, place, found = json.JSONDecoder(), text.find("{"), []
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1
        else:
            found.append(value)
        place = text.find("{", end)
    return found


def combine(grades: Sequence[Grade]) -> Score:
    """Return the median of repeated grades, with their spread; unscored unless more than half of them are grades."""
    values = [grade.value for grade in grades if grade.value is not None]
    if 2 * len(values) <= len(grades):
        return Score(value=None, unscored=next((g.unscored for g in grades if g.unscored), "no grade"))
    value = statistics.median(values)
    shown = min((g for g in grades if g.value is not None), key=lambda g: abs((g.value or 0.0) - value))
    spread = max(values) - min(values)
    rationale = f"grade {', '.join(g.label or 'none' for g in grades)}"
    if len(grades) > 1:
        rationale += f" (spread {spread:.2f} of 0 to 1)"
    lowered = value < 1.0
    return Score(
        value=value,
        rationale=f"{rationale}: {shown.reasons}" if shown.reasons else rationale,
        findings=tuple(f"judge: {quote}" for quote in shown.evidence[:_QUOTES_SHOWN]) if lowered else (),
    )


def preference(ours_first: Grade, ours_second: Grade) -> Score:
    """Return 1 when a pairwise judge prefers ours in both orders, 0 when never, 0.5 (a tie) when the order decides.

    The pairwise menu is ``("b", "a")``: value 1 means that the first text won.
    """
    for grade in (ours_first, ours_second):
        if grade.value is None:
            return Score(value=None, unscored=grade.unscored)
    wins = [ours_first.value == 1.0, ours_second.value == 0.0]
    if all(wins):
        return Score(value=1.0, rationale=f"preferred in both orders: {ours_first.reasons}")
    if not any(wins):
        return Score(value=0.0, rationale=f"the other is preferred in both orders: {ours_first.reasons}")
    return Score(value=0.5, rationale="tie: the order decides")
