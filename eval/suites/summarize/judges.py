"""The judges of summaries: what each must see, and how the gate uses a judge that has a licence."""

from eval.labels.claims.verdicts import CRITICAL, STATED
from eval.spine.judge_spec import JudgeSpec
from eval.suites.summarize.judged_kinds import JUDGED_KINDS

# Kinds of defect in datasets/summarize/judge_calibration.jsonl.
_UNFAITHFUL = (
    "editorialising",
    "invented_resolution",
    "merged_customers",
    "negated_fact",
    "swapped_actor",
    "swapped_amount",
    "wrong_channel",
    "wrong_date",
)
# What a statement can be wrong about. No labelled claim is about a mood.
_STATEMENTS = tuple(kind.name for kind in JUDGED_KINDS)
_CLAIMS = tuple(name for name in _STATEMENTS if name != "mood_invented")

# The mildest floor. At a first release a run raises it to the strictest that a good system passes, given the judge's measured
# false alarms (eval/verdict/needed_recall.py); a licence asks for the recall with which that floor alone stops a tenth of harmed
# answers. With 0.88 judges would lose their licence that the margin admits.
_FLOOR = 0.87

JUDGES = (
    JudgeSpec(
        rubric="claims",
        bad_kinds=_UNFAITHFUL,
        kinds=_CLAIMS,
        asks_claims=True,
        floor=_FLOOR,
        margin=0.07,
        yes_or_no=True,
        shows=(STATED, CRITICAL),
        reason="one case in fourteen; with 0.05 a judge with one false alarm in 200 cases could not be licensed",
    ),
    JudgeSpec(
        rubric="faithfulness",
        bad_kinds=_UNFAITHFUL,
        kinds=_STATEMENTS,
        floor=_FLOOR,
        margin=0.07,
        yes_or_no=True,
        reason="as for the judge of claims",
    ),
    JudgeSpec(
        rubric="reader",
        bad_kinds=_UNFAITHFUL,
        kinds=_STATEMENTS,
        reads=True,
        floor=_FLOOR,
        margin=0.07,
        yes_or_no=True,
        reason="as for faithfulness; it reads the sentences that code does not account for",
    ),
    # Shown only: the labelled rows with a defect of these rubrics (8 and 24) are too few or too mixed to gate on.
    JudgeSpec(rubric="coverage", bad_kinds=("dropped_open_item",), reason="finds open matters that the summary omits"),
    JudgeSpec(
        rubric="usefulness",
        bad_kinds=("dropped_open_item", "editorialising", "leaked_number"),
        reason="rates whether an agent can start the conversation without looking things up",
    ),
    JudgeSpec(
        rubric="preference",
        bad_kinds=("dropped_open_item", "leaked_number", *_UNFAITHFUL),
        pairwise=True,
        reason="counts wins against production; the judge sees each pair of summaries in both orders",
    ),
)
