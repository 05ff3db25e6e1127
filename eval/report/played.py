"""Makes cases that were played out readable: their records become transcripts."""

from collections.abc import Mapping
from dataclasses import replace

from eval.spine.cases import Case, Expectations
from eval.spine.episode import CaseEpisode
from eval.spine.results import CaseResult, Evaluation


class Demands(Expectations):
    """What a case demands of what is played out, in words by heading."""

    demands: Mapping[str, str]


def as_read(
    evaluation: Evaluation, cases: Mapping[str, Case], episode: CaseEpisode | None
) -> tuple[Evaluation, Mapping[str, Case]]:
    """Return the evaluation and its cases as a reader wants them; unchanged where cases are not played out."""
    if episode is None:
        return evaluation, cases

    def shown(item: CaseResult) -> CaseResult:
        if item.result.output is None:
            return item
        return replace(item, result=replace(item.result, output=episode.transcript(item.result.output)))

    pairs = tuple(replace(pair, cases=tuple(map(shown, pair.cases))) for pair in evaluation.pairs)
    return replace(evaluation, pairs=pairs), {name: _told(case, episode) for name, case in cases.items()}


def _told(case: Case, episode: CaseEpisode) -> Case:
    gives, demands = episode.about(case)
    return case.model_copy(update={"inputs": dict(gives), "expectations": Demands(demands=dict(demands))})
