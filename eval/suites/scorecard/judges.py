"""The judge of a scorecard's free texts: a reader of each sentence that code does not account for."""

from eval.spine.judge_spec import JudgeSpec
from eval.suites.scorecard.judged_kinds import JUDGED_KINDS

JUDGES = (
    JudgeSpec(
        rubric="reader",
        bad_kinds=(),
        kinds=tuple(kind.name for kind in JUDGED_KINDS),
        reads=True,
        measured_on="summarize",
        floor=0.80,
        margin=0.07,
        yes_or_no=True,
        reason="as for the reader of summaries: one call in fourteen; verdicts are compared with people's, reasons with the call",
    ),
)
