"""The judges of replies: a reader of each sentence that code does not account for, and one of how customers are treated."""

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
    # It grades conversations and not replies: the gate counts conversations, and false alarms of their replies would add up.
    JudgeSpec(
        rubric="conduct",
        bad_kinds=(),
        kinds=("cold_to_vulnerable", "unclear"),
        conversations=True,
        floor=0.80,
        margin=0.07,
        yes_or_no=True,
        reason="as for the reader: one customer in fourteen more who is brushed off, or does not know what to do",
    ),
)
