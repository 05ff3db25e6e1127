"""The kinds of harm in a scorecard that no code of the suite can see.

Every criterion, the ending and both tones are compared with people's labels, and quotes with the transcript. The free texts
beside them have no labels: a reason, the call's summary, its outcome and its action items may state anything.
"""

from eval.spine.suite import JudgedKind

JUDGED_KINDS = (
    JudgedKind(
        name="reason_unfounded",
        harm_class="reversal",
        description="the reason for a verdict contradicts the verdict or what was said in the call",
    ),
    JudgedKind(
        name="summary_unfaithful",
        harm_class="reversal",
        description="summary or outcome state what the call does not, or reverse it",
    ),
    JudgedKind(
        name="action_item_invented", harm_class="invention", description="an action item was agreed by neither speaker"
    ),
)
