"""Scores of one scorecard against its labels: verdicts, score, ending and tone, and whether the model followed the form."""

import re
from collections.abc import Iterator

from eval.scorers.harms import source_of_texts
from eval.spine.results import QuotingFinding, Score
from eval.spine.scorer import ScorerContext
from eval.suites.scorecard.labels import (
    card_of,
    in_labelled_turn,
    labelled_total,
    labels_of,
    shows,
    turns_of,
)
from eval.suites.scorecard.spoken import in_figures
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import cached_findings
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.card import Scorecard
from service.core.tasks.scorecard.evidence import folded
from service.core.tasks.scorecard.free_texts import with_plain_tags

_UNLABELLED = "the case has no such label"
_FIGURES = frozenset({"amount", "date", "number", "id"})
_TURN = re.compile(r"\bturn (\d{1,4})\b", re.IGNORECASE)
# How many parts or people there were follows from the call without being said.
_FEW = frozenset("two three four five six seven eight nine ten twice thrice 1 2 3 4 5 6 7 8 9 10".split())


class VerdictScorer:
    """``verdicts``: the share of labelled criteria answered correctly; an unanswered criterion counts as wrong."""

    name = "verdicts"
    scores = ("verdicts",)
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the share, with one finding per wrong criterion."""
        labels = labels_of(context.case).answers
        if not labels:
            return {"verdicts": Score(value=None, unscored=_UNLABELLED, applies=False)}
        given = {item.id: item for item in card_of(context.output).criteria}
        wrong = [
            f"{name}: {'unanswered' if (item := given.get(name)) is None or item.verdict is None else item.verdict} "
            f"for {label.verdict}"
            for name, label in labels.items()
            if name not in given or given[name].verdict != label.verdict
        ]
        return {"verdicts": Score(value=1 - len(wrong) / len(labels), findings=tuple(wrong))}


class EvidenceScorer:
    """``quotes_shown``: the share of the right verdicts' quotes from a labelled turn that hold the labelled words."""

    name = "evidence"
    scores = ("quotes_shown",)
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the share, with one finding per quote of other words."""
        turns, labels = turns_of(context.case), labels_of(context.case).answers
        quoted = [
            (item, shows(item, labels[item.id], turns))
            for item in card_of(context.output).criteria
            if item.id in labels and in_labelled_turn(item, labels[item.id])
        ]
        if not quoted:
            return {"quotes_shown": Score(value=None, unscored="no right verdict has a quote", applies=False)}
        empty = tuple(
            QuotingFinding(f"{item.id}: other words of the turn", quote=item.quote)
            for item, right in quoted
            if not right
        )
        return {"quotes_shown": Score(value=1 - len(empty) / len(quoted), findings=empty)}


class ScoreScorer:
    """``score_error``: percentage points between given and labelled score; ``passed_right``: both pass or both fail."""

    name = "score"
    scores = ("score_error", "passed_right")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both; unscored if the scorecard or the labels have no score."""
        wanted, given = labelled_total(context.case), card_of(context.output).score
        if wanted is None or wanted.percentage is None:
            return {name: Score(value=None, unscored="the labels give no score") for name in self.scores}
        if given is None or given.percentage is None:
            return {name: Score(value=None, unscored="the scorecard has no score") for name in self.scores}
        return {
            "score_error": Score(value=abs(float(given.percentage - wanted.percentage))),
            "passed_right": Score(value=float(given.passed == wanted.passed)),
        }


class EndingScorer:
    """``resolution``, ``tone_customer`` and ``tone_agent``: 1 if the answer equals the label."""

    name = "ending"
    scores = ("resolution", "tone_customer", "tone_agent")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the three."""
        labels, card = labels_of(context.case), card_of(context.output)
        pairs = {
            "resolution": (labels.resolution, card.resolution),
            "tone_customer": (labels.tone.customer, card.tone.customer),
            "tone_agent": (labels.tone.agent, card.tone.agent),
        }
        return {
            name: Score(value=None, unscored=_UNLABELLED)
            if wanted is None
            else Score(
                value=float(given == wanted), findings=() if given == wanted else (f"{name}: {given} for {wanted}",)
            )
            for name, (wanted, given) in pairs.items()
        }


class FormScorer:
    """``schema_valid``: the answer followed its schema without repair; ``unreviewed``: it needs no review by a person."""

    name = "form"
    scores = ("schema_valid", "unreviewed")

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return both; a scorecard made without a model counts as valid."""
        card = card_of(context.output)
        return {
            "schema_valid": Score(value=float(card.valid)),
            "unreviewed": Score(value=float(not card.needs_review)),
        }


class FigureScorer:
    """``figures_heard``: 1 if summary, outcome, action items and reasons bring in no amount, date, number or id of their own.

    What the call says, also in words, and what the form asks for are known, and so are a turn's number and counts up to ten.
    """

    name = "figures"
    scores = ("figures_heard",)

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return it, with one finding per figure that neither call nor form holds."""
        assert isinstance(context.inputs, ScorecardInputs)
        turns = tuple(turn.text for turn in context.inputs.turns)
        asked = (f"{one.question}\n{one.guidance}\n{one.prose or ''}" for one in context.inputs.form.criteria())
        source = source_of_texts((*turns, *asked, in_figures(turns)))
        found = [
            item.text
            for text in _texts(card_of(context.output))
            for item in cached_findings(
                _TURN.sub(lambda turn: "turn" if int(turn[1]) < len(turns) else turn[0], text), source
            )
            if item.kind in _FIGURES and item.value.lower() not in _FEW
        ]
        return {"figures_heard": Score(value=float(not found), findings=tuple(dict.fromkeys(found)))}


def findings_of(context: ScorerContext) -> Iterator[Finding]:
    """Yield what is found in the free texts that a reviewer reads: summary, outcome, action items and reasons."""
    assert isinstance(context.inputs, ScorecardInputs)
    card = card_of(context.output)
    turns = tuple(turn.text for turn in context.inputs.turns)
    source, heard = source_of_texts(turns), "\n".join(map(folded, turns))
    for text in _texts(card):
        # A summary in the customer's own words holds the customer's contempt, and reports it.
        said = any(text.strip() in turn for turn in turns)
        yield from (
            item
            for item in cached_findings(with_plain_tags(text, heard), source)
            if not (said and item.kind == "insult")
        )


def _texts(card: Scorecard) -> Iterator[str]:
    texts = (card.summary, card.outcome, *card.action_items, *(item.reason for item in card.criteria))
    return (text for text in texts if text.strip())
