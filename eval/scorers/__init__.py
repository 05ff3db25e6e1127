"""Scorers: each turns one case's answer into scores; one family per file."""

from eval.scorers.answer import AnswerScorer
from eval.scorers.facts import FactScorer
from eval.scorers.structure import StructureScorer
from eval.scorers.text import TextScorer
from eval.spine.scorer import Scorer, ScorerContext, safe_score

__all__ = [
    "AnswerScorer",
    "FactScorer",
    "Scorer",
    "ScorerContext",
    "StructureScorer",
    "TextScorer",
    "safe_score",
]
