"""The words a comparison can end in; the gate's, and one for samples that are too small."""

from enum import StrEnum


class Word(StrEnum):
    """What is said of a figure against its baseline or target."""

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
# The evaluation report's three looks of a badge.
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
