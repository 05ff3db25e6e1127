"""Scripted judges: they see each kind of harm with a given probability, and object to a good answer with another.

A scripted judge shows what the gate makes of a judge of that quality. It measures no model.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import CaseResult, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedJudge:
    """``recall`` holds by the harm's name, ``usual_recall`` for all others; all shares are 0 to 1.

    ``floor`` is the least share of answers to which it must not object; None: that of the suite.
    """

    name: str
    usual_recall: float
    false_alarms: float
    floor: float | None = None
    recall: Mapping[str, float] = field(default_factory=dict)

    def grade(self, answers: Sequence[CaseResult], spoilt: Mapping[str, str], spec: JudgeSpec) -> list[CaseResult]:
        """Return ``answers`` with this judge's score; ``spoilt`` maps case ids to the harm in the answer.

        The same text gets the same grade, as from a judge whose answers are cached.
        """
        graded = []
        for item in answers:
            if item.result.output is None:
                score = Score(value=None, unscored="no answer")
            else:
                harm = spoilt.get(item.case_id)
                objects = self.false_alarms if harm is None else max(self._sees(harm), self.false_alarms)
                draw = random.Random(f"{self.name}:{item.case_id}:{item.result.output}").random()
                score = Score(value=float(draw >= objects))
            graded.append(replace(item, scores={**item.scores, spec.score: score}))
        return graded

    def gating(self, spec: JudgeSpec) -> JudgeSpec:
        """Return ``spec`` with this judge's own floor."""
        return spec if self.floor is None else replace(spec, floor=self.floor)

    def _sees(self, harm: str) -> float:
        return self.recall.get(harm, self.usual_recall)
