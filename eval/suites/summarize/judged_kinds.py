"""The kinds of harm in a summary that no code of the suite can see.

Measured on independently written defects (2026-11-22): comparing signatures of statements found 4% to 13% of negations,
outcomes and roles at 10% false alarms, and trained classifiers were at chance. So only a judge can look at them.
"""

from eval.suite import JudgedKind

JUDGED_KINDS = (
    JudgedKind(
        name="outcome_reversed", description="a request that was approved is reported as denied, or the other way round"
    ),
    JudgedKind(name="negation", description='a "not" is added to a statement, or taken from it'),
    JudgedKind(name="roles_swapped", description="what the customer said or did is told of the agent, or the reverse"),
    JudgedKind(name="promise_as_done", description="what was promised, asked or scheduled is told as done"),
    JudgedKind(name="money_direction", description="a credit is told as a charge, owing as being owed, or the reverse"),
    JudgedKind(name="invented_verdict", description="the summary judges a claim that no interaction decides"),
    JudgedKind(name="cause_changed", description="an event is given another cause than in the interactions"),
    JudgedKind(name="condition_dropped", description='an "if", "until" or "unless" is left out of a promise or a rule'),
    JudgedKind(name="wrong_matter", description="a fact of one matter is told of another matter of the customer"),
    JudgedKind(name="mood_invented", description="the customer is given a mood that no interaction shows"),
    JudgedKind(name="urgency_dropped", description="an urgent need or a customer's vulnerability is left out"),
    JudgedKind(name="commitment_dropped", description="what the company committed itself to is left out"),
)
