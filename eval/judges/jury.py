"""A jury: one rubric on one model, or on several whose score counts only where they agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from eval.judges.grading import Judge, load_judge
from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import Score
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Jury:
    """The judges that answer together, at least one, all with the same rubric."""

    judges: tuple[Judge, ...]

    @property
    def rubric(self) -> str:
        """The prompt file's name."""
        return self.judges[0].rubric

    @property
    def digest(self) -> str:
        """The judge's digest; of several judges, SHA-256 over theirs in any order."""
        digests = sorted(judge.digest for judge in self.judges)
        return digests[0] if len(digests) == 1 else sha256_hex(canonical_json(digests))

    @property
    def model(self) -> str:
        """The models' ids, joined."""
        return ", ".join(judge.pair.model for judge in self.judges)

    @property
    def pairs(self) -> list[Pair]:
        """The judges' pairs, so that the caller can prepare the gateway for them."""
        return [judge.pair for judge in self.judges]


def load_jury(rubric: str, *, settings: Settings, cards: ModelCards, models: str | None = None) -> Jury:
    """Read ``prompts/judges/<rubric>.prompty``; ``models`` names other models in place of the file's, comma separated.

    Raises:
        PairError: the file is missing or wrong, or a model has no card or is code.
        ConfigurationError: ``models`` names a model twice.
    """
    named = [name.strip() for name in (models or "").split(",") if name.strip()]
    if len(named) != len(set(named)):
        raise ConfigurationError(
            f"judge models {models!r}: a model is named twice; two equal judges agree on everything"
        )
    models_asked: list[str | None] = [*named] or [None]
    return Jury(judges=tuple(load_judge(rubric, settings=settings, cards=cards, model=name) for name in models_asked))


def agreed_scores(by_judge: Sequence[dict[str, Score]], jury: Jury, spec: JudgeSpec) -> dict[str, Score]:
    """Return the jury's scores of one text; where the judges disagree the text has no score, with the reason."""
    if len(by_judge) == 1:
        return by_judge[0]
    names = [judge.pair.model for judge in jury.judges]
    scores = {name: _shown([found[name] for found in by_judge], names) for name in spec.shows}
    return {spec.score: _agreed([found[spec.score] for found in by_judge], names, spec), **scores}


def same_answer(scores: Sequence[Score], spec: JudgeSpec) -> bool:
    """Return whether all scores have a value and lie on one side: equal, or for grades in the same half of the menu."""
    values = [score.value for score in scores]
    if any(value is None for value in values):
        return False
    sides = set(values) if spec.yes_or_no or spec.pairwise else {value is not None and value > 0.5 for value in values}
    return len(sides) == 1


def _agreed(scores: Sequence[Score], names: Sequence[str], spec: JudgeSpec) -> Score:
    missing = [f"{name}: {score.unscored}" for name, score in zip(names, scores, strict=True) if score.unscored]
    if missing:
        return Score(value=None, unscored="; ".join(missing))
    said = ", ".join(f"{name} {score.value:g}" for name, score in zip(names, scores, strict=True))
    if not same_answer(scores, spec):
        return Score(value=None, unscored=f"the judges disagree: {said}")
    return Score(
        value=fmean(score.value for score in scores if score.value is not None),
        rationale=f"agreed ({said}): {scores[0].rationale}",
        findings=tuple(dict.fromkeys(finding for score in scores for finding in score.findings)),
    )


def _shown(scores: Sequence[Score], names: Sequence[str]) -> Score:
    missing = [f"{name}: {score.unscored}" for name, score in zip(names, scores, strict=True) if score.unscored]
    if missing:
        return Score(value=None, unscored="; ".join(missing))
    return Score(
        value=fmean(score.value for score in scores if score.value is not None),
        rationale=f"mean of {len(scores)} judges",
        findings=scores[0].findings,
    )
