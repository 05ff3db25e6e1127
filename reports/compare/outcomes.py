"""The possible results of a comparison: the gate's, and one for samples that are too small."""

from enum import StrEnum


class ComparisonResult(StrEnum):
    """The result of comparing a figure with its baseline or target."""

    BETTER = "better"
    NO_WORSE = "no worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    TOO_FEW = "too few to say"
    MET = "target met"
    MISSED = "target missed"
    NONE = ""


SIGNS = {
    ComparisonResult.BETTER: "▲",
    ComparisonResult.NO_WORSE: "✓",
    ComparisonResult.WORSE: "✗",
    ComparisonResult.INCONCLUSIVE: "?",
    ComparisonResult.TOO_FEW: "…",
    ComparisonResult.MET: "✓",
    ComparisonResult.MISSED: "✗",
    ComparisonResult.NONE: "",
}
# CSS classes of the badges: the evaluation report's three, and "few" for everything without a result.
LOOKS = {
    ComparisonResult.BETTER: "pass",
    ComparisonResult.NO_WORSE: "pass",
    ComparisonResult.WORSE: "fail",
    ComparisonResult.INCONCLUSIVE: "inconclusive",
    ComparisonResult.TOO_FEW: "few",
    ComparisonResult.MET: "pass",
    ComparisonResult.MISSED: "fail",
    ComparisonResult.NONE: "few",
}
