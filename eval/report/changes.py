"""Differences from production case by case: words added and removed, scores that rose or fell."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.report.conclusions import case_metrics, results_of
from eval.spine.results import CaseResult, Evaluation, PairResult, Verdict
from eval.spine.suite import Suite
from figures.formatting import plural
from service.kit.frame.display.inert import visible

CHANGED_LISTED = 10
_NAMED = 3
_NO_ANSWER = 100.0  # a missing answer weighs more than any loss of scores
# Below this share of common words a word-by-word comparison is hard to read, so the page shows it on demand only.
READABLE_SHARE = 0.4
_TOKEN = re.compile(r"\s+|[\w$%.,:'-]*\w|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """A piece of text: in both answers (""), only in the candidate's ("ins") or only in production's ("del")."""

    text: str
    kind: Literal["", "ins", "del"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedList:
    """A candidate's most changed cases, at most ``CHANGED_LISTED`` of ``count``: id and what changed."""

    pair: str
    count: int
    total: int
    lines: tuple[tuple[str, str], ...]


def word_changes(before: str, after: str) -> tuple[list[TextPiece], float]:
    """Return the words of both texts in order, and the share of words in common (0 to 1; 1 for equal texts).

    Joining the pieces of kind "" and "ins" gives ``after`` as it is shown; "" and "del" give ``before`` apart
    from its white space.
    """
    old, new = (_TOKEN.findall(visible(text)) for text in (before, after))
    matcher = difflib.SequenceMatcher(None, [_key(token) for token in old], [_key(token) for token in new], False)
    changes: list[TextPiece] = []
    common = 0
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        gone, come = "".join(old[old_from:old_to]), "".join(new[new_from:new_to])
        if kind == "equal":
            common += sum(1 for token in new[new_from:new_to] if not token.isspace())
            changes.append(TextPiece(text=come, kind=""))
            continue
        if gone.strip():
            changes.append(TextPiece(text=gone, kind="del"))
        if come:
            changes.append(TextPiece(text=come, kind="ins"))
    words = [sum(1 for token in tokens if not token.isspace()) for tokens in (old, new)]
    return changes, 2 * common / sum(words) if sum(words) else 1.0


def _key(token: str) -> str:
    return " " if token.isspace() else token


def production_answers(evaluation: Evaluation) -> dict[str, CaseResult]:
    """Return production's first primary answer by case; empty when production was not evaluated."""
    answers: dict[str, CaseResult] = {}
    for pair in evaluation.pairs:
        for item in results_of(pair) if pair.is_production else ():
            if item.case_id not in answers or item.repeat < answers[item.case_id].repeat:
                answers[item.case_id] = item
    return answers


def changed_lists(evaluation: Evaluation, suite: Suite) -> list[ChangedList]:
    """Return each candidate's most changed cases: lost answers and lower scores first, then higher scores, then new words."""
    production = production_answers(evaluation)
    return [_changed(pair, production, suite) for pair in evaluation.pairs if production and not pair.is_production]


def beside_production(pair: PairResult, evaluation: Evaluation, suite: Suite) -> str:
    """Return how the pair compares with production in a few words; "" where it was not compared.

    "no worse than production within the margins; 33 of 200 answers differ".
    """
    checks = [check for check in pair.gate.checks if check.kind == "no_worse"]
    production = production_answers(evaluation)
    if pair.is_production or not checks or not production:
        return ""
    differ = _changed(pair, production, suite)
    tail = f"{differ.count} of {plural(differ.total, 'answer')} differ{'s' if differ.total == 1 else ''}"
    for verdict, words in (
        (Verdict.FAIL, "worse than production in"),
        (Verdict.INCONCLUSIVE, "undecided against production in"),
    ):
        names = [check.name for check in checks if check.verdict is verdict]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            return f"{words} {', '.join(names[:_NAMED])}{more}; {tail}"
    return f"no worse than production within the margins; {tail}"


def _changed(pair: PairResult, production: dict[str, CaseResult], suite: Suite) -> ChangedList:
    found: dict[str, tuple[float, float, float, str]] = {}
    both = [item for item in results_of(pair) if item.case_id in production]
    for item in both:
        if item.case_id in found:
            continue  # a repeat
        theirs = production[item.case_id]
        moves = score_moves(item, theirs, suite)
        _, kept = word_changes(theirs.result.output or "", item.result.output or "")
        if kept == 1.0 and not moves:
            continue
        loss = sum(min((after - before) * sign, 0.0) for _, before, after, sign in moves)
        size = -sum(abs(after - before) for _, before, after, _ in moves)
        words = [f"{name} {_figure(before)} → {_figure(after)}" for name, before, after, _ in moves]
        if item.result.output is not None and theirs.result.output is not None:
            words.append(f"{kept:.0%} of words in common")
        else:
            loss -= float(item.result.failure is not None) * _NO_ANSWER
        found[item.case_id] = loss, size, kept, ", ".join(words)
    ranked = sorted(found.items(), key=lambda entry: entry[1][:3])
    return ChangedList(
        pair=pair.pair_name,
        count=len(found),
        total=len({item.case_id for item in both}),
        lines=tuple((case_id, entry[3]) for case_id, entry in ranked[:CHANGED_LISTED]),
    )


def score_moves(ours: CaseResult, theirs: CaseResult, suite: Suite) -> Sequence[tuple[str, float, float, int]]:
    """Return name, production's value, the candidate's and the direction (+1: higher is better) of each changed score."""
    moves = []
    if (ours.result.failure is None) != (theirs.result.failure is None):
        moves.append(("answered", float(theirs.result.failure is None), float(ours.result.failure is None), 1))
    for spec in case_metrics(suite):
        scores = [item.scores.get(spec.score) for item in (theirs, ours)]
        before, after = (None if score is None else score.value for score in scores)
        if before is not None and after is not None and before != after:
            moves.append((spec.name, before, after, 1 if spec.higher_is_better else -1))
    return moves


def _figure(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"
