"""The search: GEPA (Agrawal et al. 2025, arXiv 2507.19457) over candidates of one pair, on the search's own half of the cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gepa
from gepa.core.adapter import EvaluationBatch

from eval.instruments.optimize.asking import CandidateAnswers, LimitReached
from eval.instruments.optimize.quality import MeasuredAnswer
from eval.instruments.optimize.rewriting import Rewriter
from eval.instruments.optimize.wording import CandidateTexts, texts_key
from eval.spine.cases import Case

MINIBATCH = 4  # cases that a proposal is made from, and must do better on before the whole half is asked
MOST_ROUNDS = 60
# kept: measured on the whole half; beaten: no better than its parent on a few cases; refused: may not stand in a prompt.
CandidateStatus = Literal["start", "kept", "beaten", "refused"]


@dataclass(slots=True, kw_only=True)
class PromptCandidate:
    """One candidate with the numbers of its parents. ``own`` are its answers to the search's half, empty unless it was kept."""

    number: int
    texts: CandidateTexts
    parents: tuple[int, ...] = ()
    component: str = ""
    status: CandidateStatus = "beaten"
    why: str = ""
    own: list[MeasuredAnswer] = field(default_factory=list)

    @property
    def quality(self) -> float:
        """The mean quality on the search's half; 0 unless it was measured there."""
        return sum(answer.quality for answer in self.own) / len(self.own) if self.own else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSearch:
    """A finished search: all candidates by number, the start first, and why it ended."""

    candidates: tuple[PromptCandidate, ...]
    ended: str

    @property
    def tried(self) -> int:
        """How many candidates were measured, the start not counted."""
        return sum(found.status in ("kept", "beaten") for found in self.candidates)


class CandidateProposer:
    """The library's adapter, its way to our candidates: it evaluates them with ``asking`` and words them with ``rewriter``."""

    def __init__(self, asking: CandidateAnswers, rewriter: Rewriter) -> None:
        self._asking, self._rewriter = asking, rewriter
        self.propose_new_texts = rewriter
        self.measured: dict[str, list[MeasuredAnswer]] = {}
        self._cases: dict[str, Case] = {}

    def evaluate(
        self, batch: list[Case], candidate: CandidateTexts, capture_traces: bool = False
    ) -> EvaluationBatch[MeasuredAnswer, MeasuredAnswer]:
        """Answer and score ``batch``."""
        answers = self._asking.answers(candidate, batch)
        known = self.measured.setdefault(texts_key(candidate), [])
        known += [answer for answer in answers if answer.case_id not in {item.case_id for item in known}]
        self._cases.update((case.id, case) for case in batch)
        return EvaluationBatch(
            outputs=answers,
            scores=[answer.quality for answer in answers],
            trajectories=answers if capture_traces else None,
            num_metric_calls=len(batch),
        )

    def make_reflective_dataset(
        self,
        candidate: CandidateTexts,
        eval_batch: EvaluationBatch[MeasuredAnswer, MeasuredAnswer],
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return what the rewriting model reads about a batch, the same for every component."""
        answers = eval_batch.outputs
        records = self._rewriter.records(answers, [self._cases[answer.case_id] for answer in answers])
        return dict.fromkeys(components_to_update, records)


Tell = Callable[[str], None]


class _Watch:
    """Notes which candidates the library keeps, and their parents."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.kept: list[tuple[str, tuple[int, ...]]] = []  # by the library's number
        self._best = -1.0

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Note a candidate that was measured on the whole half."""
        self.kept.append((texts_key(event["candidate"]), tuple(event["parent_ids"])))
        mean = float(event["average_score"])
        better = mean > self._best
        self._best = max(self._best, mean)
        which = "the start" if len(self.kept) == 1 else f"candidate kept, {len(self.kept) - 1} so far,"
        self._tell(f"{which} has quality {mean:.3f} on the search's half{', the best so far' if better else ''}")

    def on_candidate_rejected(self, event: Mapping[str, Any]) -> None:
        """Tell of a proposal that was no better than its parent."""
        self._tell(f"round {event['iteration']}: a proposal was no better than its parent")


class _Quiet:
    def log(self, message: str) -> None:
        """Drop the library's own messages: the run tells its progress itself."""


def search(
    asking: CandidateAnswers,
    rewriter: Rewriter,
    start: CandidateTexts,
    cases: Sequence[Case],
    *,
    seed: int,
    rounds: int = MOST_ROUNDS,
    tell: Tell = lambda words: None,
) -> PromptSearch:
    """Search for better candidates than ``start`` on ``cases``; the same arguments and answers give the same result.

    The search ends after ``rounds``, or before a limit of ``asking`` or ``rewriter`` would be passed: what was found by then is
    the result.

    Raises:
        HarnessError, ModelError: a model cannot be reached.
    """
    adapter, watch = CandidateProposer(asking, rewriter), _Watch(tell)
    ended = f"{rounds} rounds"
    try:
        gepa.optimize(
            seed_candidate=dict(start),
            trainset=list(cases),
            valset=list(cases),
            adapter=adapter,
            reflection_minibatch_size=min(MINIBATCH, len(cases)),
            stop_callbacks=[lambda state: state.i + 1 >= rounds or rewriter.failed is not None],
            callbacks=[watch],
            logger=_Quiet(),
            track_best_outputs=False,
            seed=seed,
        )
    except LimitReached as err:
        ended = str(err)
    if rewriter.failed is not None:
        if not isinstance(rewriter.failed, LimitReached):
            raise rewriter.failed
        ended = str(rewriter.failed)
    return PromptSearch(candidates=_candidates(start, adapter, rewriter, watch, cases), ended=ended)


def _candidates(
    start: CandidateTexts, adapter: CandidateProposer, rewriter: Rewriter, watch: _Watch, cases: Sequence[Case]
) -> tuple[PromptCandidate, ...]:
    """Return every candidate with what became of it, in the order of the proposals."""
    found = [PromptCandidate(number=0, texts=dict(start), status="start")]
    numbers = {texts_key(start): 0}
    for proposal in rewriter.proposals:
        texts = proposal.parent | ({proposal.component: proposal.text} if proposal.text else {})
        key = texts_key(texts)
        if key in numbers and not proposal.fault:
            continue  # proposed before
        parent = numbers.get(texts_key(proposal.parent), 0)
        made = PromptCandidate(
            number=len(found), texts=texts, parents=(parent,), component=proposal.component, why=proposal.fault
        )
        made.status = "refused" if proposal.fault else "beaten"
        if not proposal.fault:
            numbers[key] = made.number
        found.append(made)
    for key, _ in watch.kept:
        candidate = found[numbers[key]]
        candidate.status = "start" if candidate.number == 0 else "kept"
        by_case = {answer.case_id: answer for answer in adapter.measured[key]}
        candidate.own = [by_case[case.id] for case in cases]
    for candidate in found:
        if candidate.status == "beaten":
            asked = len(adapter.measured.get(texts_key(candidate.texts), ()))
            if not asked:
                candidate.status, candidate.why = "refused", "the search ended before it was measured"
            else:
                candidate.why = f"no better than its parent on {asked} cases"
    return tuple(found)
