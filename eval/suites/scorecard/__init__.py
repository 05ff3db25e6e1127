"""The suite of ``scorecard``: whether verdicts, evidence and scores are right, may be believed, and what they cost."""

from eval.pool import Pool
from eval.suite import Floor, MetricSpec, NoWorse, Suite
from eval.suites.scorecard.case_rules import CASE_RULES as CASE_RULES
from eval.suites.scorecard.pools import (
    Accuracy,
    Kappa,
    QuotesVerified,
    RequiredFailPrecision,
    RequiredFailRecall,
    RightTurn,
    SelfAgreement,
    YesProven,
)
from eval.suites.scorecard.scorers import EndingScorer, FormScorer, ScoreScorer, VerdictScorer
from figures.metric import Unit

_POOLS: dict[str, Pool] = {
    "accuracy": Accuracy(),
    "kappa": Kappa(),
    "kappa_macro": Kappa(per_criterion=True),
    "quotes_verified": QuotesVerified(),
    "yes_proven": YesProven(),
    "right_turn": RightTurn(),
    "required_fail_recall": RequiredFailRecall(),
    "required_fail_precision": RequiredFailPrecision(),
    "self_agreement": SelfAgreement(),
}

SUITE = Suite(
    task="scorecard",
    gate_dataset="gate",
    scorers=(VerdictScorer(), ScoreScorer(), EndingScorer(), FormScorer()),
    pools=_POOLS,
    metrics=(
        *(MetricSpec(name=name, kind="pooled", score=name, unit=Unit.RATE) for name in _POOLS),
        MetricSpec(name="verdicts", kind="mean", score="verdicts", unit=Unit.RATE),
        MetricSpec(name="score_error", kind="mean", score="score_error", unit=Unit.SCORE, higher_is_better=False),
        MetricSpec(name="passed_right", kind="rate", score="passed_right", unit=Unit.RATE),
        MetricSpec(name="resolution", kind="rate", score="resolution", unit=Unit.RATE),
        MetricSpec(name="tone_customer", kind="rate", score="tone_customer", unit=Unit.RATE),
        MetricSpec(name="tone_agent", kind="rate", score="tone_agent", unit=Unit.RATE),
        MetricSpec(name="schema_valid", kind="rate", score="schema_valid", unit=Unit.RATE),
        MetricSpec(name="unreviewed", kind="rate", score="unreviewed", unit=Unit.RATE),
        MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
        MetricSpec(name="latency_p50", kind="latency", quantile=0.50, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="on_time", kind="on_time", unit=Unit.RATE),
        MetricSpec(name="cost_cold", kind="cost", score="cold", unit=Unit.USD, higher_is_better=False),
        MetricSpec(name="cost_warm", kind="cost", score="warm", unit=Unit.USD, higher_is_better=False),
    ),
    floors=(
        Floor(
            metric="answered",
            bound=0.85,
            reason="at 40 cases the interval of 40/40 starts at 0.91; below 0.85 a person scores too many calls",
        ),
        Floor(
            metric="quotes_verified",
            bound=0.90,
            reason="an agent is shown these words as their own: one invented quote in ten destroys the trust in all",
        ),
        Floor(
            metric="kappa",
            bound=0.20,
            reason="below 0.21 agreement is slight (Landis & Koch 1977); what a model must add to the floor pair shows in the "
            "comparison with production",
        ),
        Floor(metric="schema_valid", bound=0.80, reason="repair is for the exception; what needs it often breaks soon"),
        Floor(
            metric="latency_p95",
            bound=300_000.0,
            reason="a call's handler has ten minutes (R-QA-LIMITS), half of it for the model; decides where production is code",
        ),
        Floor(
            metric="cost_cold",
            bound=0.01,
            reason="some twenty times 3,000 tokens in and 1,200 out of Nova Lite; decides where production is free",
            arms=("primary",),
        ),
    ),
    no_worse=(
        NoWorse(
            metric="kappa",
            margin=0.10,
            reason="half a class of Landis & Koch; at 0.05 an equal pair would need some 380 calls to pass four times in five",
        ),
        NoWorse(metric="score_error", margin=5.0, reason="five points move few calls over a threshold"),
        NoWorse(
            metric="required_fail_recall",
            margin=0.10,
            reason="one missed compliance failure in ten; the set's labelled failures show no less",
        ),
        NoWorse(
            metric="quotes_verified",
            margin=0.05,
            reason="one call in twenty; at 120 a pair is known to 0.03 even from itself",
        ),
        NoWorse(metric="right_turn", margin=0.10, reason="two turns often show the same thing"),
        NoWorse(metric="answered", margin=0.05, reason="one call in twenty, as quotes_verified"),
        NoWorse(metric="latency_p95", margin=0.5, reason="nobody waits for a scorecard; half as slow again is a cost"),
        NoWorse(metric="cost_cold", margin=0.20, reason="a fifth dearer needs a decision about money, not a gate"),
    ),
    # A call without a labelled failure of a required criterion says nothing of finding them: 57 of gate's 120. Whoever does not
    # answer is `answered`'s to notice, whoever does not quote `right_turn`'s.
    max_unscored_rate=0.5,
    minimum_latency_calls=20,
    slices=("form", "turns", "outcome", "compliance", "polite_fail", "vulnerable", "injection", "foreign", "late"),
    table=(
        "kappa",
        "kappa_macro",
        "accuracy",
        "score_error",
        "passed_right",
        "required_fail_recall",
        "quotes_verified",
        "right_turn",
        "schema_valid",
        "latency_p95",
        "cost_cold",
        "answered",
    ),
)
