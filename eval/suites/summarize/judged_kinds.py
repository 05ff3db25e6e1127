"""The kinds of harm in a summary that no code of the suite can see; omissions are seen by the labelled facts.

Measured on independently written defects (2026-11-22): comparing signatures of statements found 4% to 13% of negations,
outcomes and roles at 10% false alarms, and trained classifiers were at chance. So only a judge can look at them.
"""

from eval.spine.suite import JudgedKind

JUDGED_KINDS = (
    JudgedKind(
        name="outcome_reversed",
        harm_class="reversal",
        description="a request that was approved is reported as denied, or the other way round",
    ),
    JudgedKind(name="negation", harm_class="reversal", description='a "not" is added to a statement, or taken from it'),
    JudgedKind(
        name="roles_swapped",
        harm_class="roles",
        description="what the customer said or did is told of the agent, or the reverse",
    ),
    JudgedKind(
        name="promise_as_done",
        harm_class="promise",
        description="what was promised, asked or scheduled is told as done",
    ),
    JudgedKind(
        name="money_direction",
        harm_class="reversal",
        description="a credit is told as a charge, owing as being owed, or the reverse",
    ),
    JudgedKind(
        name="invented_verdict",
        harm_class="invention",
        description="the summary judges a claim that no interaction decides",
    ),
    JudgedKind(
        name="cause_changed",
        harm_class="invention",
        description="an event is given another cause than in the interactions",
    ),
    JudgedKind(
        name="condition_dropped",
        harm_class="omission",
        description='an "if", "until" or "unless" is left out of a promise or a rule',
    ),
    JudgedKind(
        name="wrong_matter",
        harm_class="roles",
        description="a fact of one matter is told of another matter of the customer",
    ),
    JudgedKind(
        name="mood_invented",
        harm_class="invention",
        description="the customer is given a mood that no interaction shows",
    ),
    JudgedKind(
        name="claim_as_fact",
        harm_class="promise",
        description="what somebody only says or suspects is told as established, or the reverse",
    ),
    JudgedKind(
        name="sequence_broken",
        harm_class="reversal",
        description="the order of events is turned round, or a replaced state is told as current",
    ),
    JudgedKind(name="part_as_whole", harm_class="omission", description="a part stands for all, or all for a part"),
    JudgedKind(
        name="object_changed",
        harm_class="roles",
        description="another premises, meter, service or document than the right one",
    ),
    JudgedKind(
        name="recurrence_changed",
        harm_class="reversal",
        description="how often something happens, or whether it goes on, is altered",
    ),
    JudgedKind(
        name="bound_turned",
        harm_class="omission",
        description='a figure keeps its value and loses or changes its bound, such as "at least"',
    ),
    JudgedKind(
        name="person_changed",
        harm_class="roles",
        description="somebody of the history stands in another person's or team's place",
    ),
)
