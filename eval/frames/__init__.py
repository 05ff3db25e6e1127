"""Results of evaluations and releases as pandas frames: ``runs``, ``cases``, ``metrics`` and ``releases``."""

from eval.frames.columns import CASES, METRICS, RELEASES, RUNS, TEXTS
from eval.frames.evaluations import cases, metrics, releases, runs

__all__ = ["CASES", "METRICS", "RELEASES", "RUNS", "TEXTS", "cases", "metrics", "releases", "runs"]
