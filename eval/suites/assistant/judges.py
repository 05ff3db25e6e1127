"""The judge of replies: a reader of each sentence that code does not account for."""

from eval.spine.judge_spec import JudgeSpec

JUDGES = (
    JudgeSpec(
        rubric="reader",
        bad_kinds=(),
        kinds=("advice",),
        reads=True,
        measured_on="summarize",
        floor=0.80,
        margin=0.07,
        yes_or_no=True,
        reason="as for the reader of summaries: one conversation in fourteen; how a reply sounds it cannot tell",
    ),
)
