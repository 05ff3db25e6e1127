"""Scorers: each turns one case's answer into scores; one family per file."""

from eval.scorers.base import Scorer, ScorerContext, safe_score
from eval.scorers.facts import FactScorer
from eval.scorers.grounding import GroundingScorer
from eval.scorers.structure import StructureScorer
from eval.scorers.text import TextScorer

__all__ = [
    "FactScorer",
    "GroundingScorer",
    "Scorer",
    "ScorerContext",
    "StructureScorer",
    "TextScorer",
    "safe_score",
]
