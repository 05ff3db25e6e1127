"""What a candidate would change in scored calls: its verdicts and scores beside production's. Neither side is the truth."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from figures.formatting import plural
from figures.stats import rate_interval
from service.core.tasks.scorecard.card import Scorecard
from service.rollouts.shadow_record import ShadowRecord

_MOST_CRITERIA = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanges:
    """Counts over calls that both sides scored; ``moves`` counts verdicts by (form, criterion, production's, candidate's)."""

    calls: int
    same: int
    to_passed: int
    to_failed: int
    moves: Counter[tuple[str, str, str, str]]
    asked: Counter[tuple[str, str]]

    def lines(self) -> list[str]:
        """Return the changes as sentences, the criteria with most of them first; empty without calls."""
        if not self.calls:
            return []
        share = rate_interval(self.same, self.calls)
        turned = self.to_passed + self.to_failed
        lines = [
            f"The same verdicts as production's in {self.same} of {plural(self.calls, 'call')} ({share.value:.2f} "
            f"[{share.low:.2f}, {share.high:.2f}]). {plural(turned, 'call')} would turn: {self.to_passed} to passed, "
            f"{self.to_failed} to failed. Which side is right, only people can say."
        ]
        by_criterion: Counter[tuple[str, str]] = Counter()
        for (form, criterion, *_), count in self.moves.items():
            by_criterion[form, criterion] += count
        for (form, criterion), count in sorted(by_criterion.items(), key=lambda one: (-one[1], one[0]))[
            :_MOST_CRITERIA
        ]:
            told = ", ".join(
                f"{before} to {after} {times}"
                for (one, name, before, after), times in sorted(
                    self.moves.items(), key=lambda move: (-move[1], move[0])
                )
                if (one, name) == (form, criterion)
            )
            lines.append(f"{form}, {criterion}: {count} of {plural(self.asked[form, criterion], 'call')} ({told})")
        return lines


def verdict_changes(records: Sequence[ShadowRecord]) -> VerdictChanges:
    """Return what the candidate would change in the calls of these records; calls without both scorecards do not count."""
    same = to_passed = to_failed = calls = 0
    moves: Counter[tuple[str, str, str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for record in records:
        if record.shown.output is None or record.unseen.output is None:
            continue
        shown, unseen = (Scorecard.model_validate_json(side) for side in (record.shown.output, record.unseen.output))
        calls += 1
        before, after = _verdicts(shown), _verdicts(unseen)
        asked.update((shown.form_id, name) for name in before)
        found = [(shown.form_id, name, before[name], after.get(name, "none")) for name in before]
        moves.update(move for move in found if move[2] != move[3])
        same += before == after
        was, now = (None if card.score is None else card.score.passed for card in (shown, unseen))
        to_passed += was is False and now is True
        to_failed += was is True and now is False
    return VerdictChanges(calls=calls, same=same, to_passed=to_passed, to_failed=to_failed, moves=moves, asked=asked)


def _verdicts(card: Scorecard) -> dict[str, str]:
    return {item.id: item.verdict or "none" for item in card.criteria}
