"""The possible results of a comparison: the gate's, and one for samples that are too small."""

from enum import StrEnum


class Word(StrEnum):
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
    Word.BETTER: "▲",
    Word.NO_WORSE: "✓",
    Word.WORSE: "✗",
    Word.INCONCLUSIVE: "?",
    Word.TOO_FEW: "…",
    Word.MET: "✓",
    Word.MISSED: "✗",
    Word.NONE: "",
}
# CSS classes of the badges: the evaluation report's three, and "few" for everything without a result.
LOOKS = {
    Word.BETTER: "pass",
    Word.NO_WORSE: "pass",
    Word.WORSE: "fail",
    Word.INCONCLUSIVE: "inconclusive",
    Word.TOO_FEW: "few",
    Word.MET: "pass",
    Word.MISSED: "fail",
    Word.NONE: "few",
}
