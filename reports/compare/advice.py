"""The week's recommended actions: each comes from a rule and carries the evidence and, where there is one, a command."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from figures.command_line import is_simulated, omni
from figures.formatting import format_number
from reports.compare.agreement import AgreementWeek
from reports.compare.anomalies import Anomaly
from reports.compare.baselines import ENDED, PairInWeek
from reports.compare.call_scores import CallScores, place_words
from reports.compare.comparisons import Comparison
from reports.compare.drift import Drift
from reports.compare.false_discovery import chance_of
from reports.compare.findings import WeekFinding, answers_named, names_of
from reports.compare.gate_promises import GatePromise
from reports.compare.outcomes import ComparisonResult
from reports.compare.rating_bias import RatingBias
from reports.compare.themes import Themes
from reports.read.metrics import HELPFUL, SMALLEST
from reports.read.stops import RolloutStop
from reports.read.weeks import day_words

_FEW_RATINGS = 0.10
# Simulated customers say what the cases of dev say, so against all sets each of their answers is a copy.
SETS_NOT_SIMULATED = "gate,challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A recommended action, its reason, and the command to type; ``command`` is "" where a person must investigate first.

    ``short`` is the action in at most three words, for the headline.
    """

    do: str
    short: str
    because: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFacts:
    """The facts of a week from which actions are derived."""

    task: str
    week: str
    pairs: Sequence[PairInWeek]
    found: Sequence[WeekFinding]
    whole: Sequence[Comparison]
    sliced: Sequence[Comparison]
    blame_share: float
    unhelpful: ComparisonResult
    drifts: Sequence[Drift]
    anomalies: Sequence[Anomaly]
    ratings: RatingBias
    themes: Themes
    promises: Sequence[GatePromise]
    stops: Sequence[RolloutStop] = ()

    @property
    def worse(self) -> list[WeekFinding]:
        """The changes for the worse."""
        return [item for item in self.found if item.result is ComparisonResult.WORSE]

    def chance(self, item: Comparison) -> float:
        """Return in what share of equal weeks the report shows a difference as unlikely as ``item``, at most."""
        return chance_of(item.contrast, [one.contrast for one in (self.sliced if item.dimension else self.whole)])


def actions(facts: WeekFacts) -> list[Action]:
    """Return the recommended actions, the most urgent first; empty when there is nothing to do."""
    worse = facts.worse
    done = [*_stop_actions(facts), *_pair_actions(facts)]
    if worse and not done:
        done.append(_cause_action(worse[0], facts.drifts))
    done += [_slice_action(facts, item) for item in worse if item.metric.name == HELPFUL.name and item.first.dimension][
        :3
    ]
    done += _case_actions(facts)
    done += _gate_actions(facts)
    rated = facts.ratings.overall
    if rated is not None and rated.value < _FEW_RATINGS and rated.n >= SMALLEST:
        done.append(
            Action(
                do="Ask agents to rate more",
                short="ask for ratings",
                because=f"only {rated.value:.1%} of the answers were rated",
            )
        )
    return done


def _case_actions(facts: WeekFacts) -> list[Action]:
    """Return the actions that turn feedback into cases: for growing themes, and for unhelpful ratings above the target."""
    covered = {(item.first.dimension, item.first.value) for item in facts.worse if item.metric.name == HELPFUL.name}
    done = [
        Action(
            do=f"Make cases from the growing theme “{', '.join(theme.terms)}”",
            short="make cases",
            because=f"{theme.size} texts this week, {theme.before} the week before",
            command=_propose(facts, theme.dimension, theme.value),
        )
        for theme in facts.themes.themes
        if (theme.dimension, theme.value) not in covered and theme.grown
    ]
    if facts.unhelpful is ComparisonResult.MISSED and not facts.worse:
        done.append(
            Action(
                do="Make cases from the answers rated unhelpful and improve the prompt on them",
                short="make cases",
                because="the unhelpful rate is above 15%, although nothing got worse this week",
                command=_propose(facts),
            )
        )
    return done


def _gate_actions(facts: WeekFacts) -> list[Action]:
    """Return the actions on releases and the gate: an exception that is over, broken promises, expensive days, drifted inputs."""
    done = [
        Action(
            do="Have a judge licensed, evaluate the production pair again and promote it: no other exception is taken before",
            short="license a judge",
            because=f"the exception of {pair.release.name} is over: {pair.release.why}",
            command=omni("calibrate", task=facts.task),
        )
        for pair in facts.pairs
        if pair.role == "production" and pair.release is not None and ENDED in pair.release.why
    ]
    broken = [item for item in facts.promises if item.result is ComparisonResult.WORSE]
    if broken:
        names = ", ".join(f"{item.metric.title} of {item.pair}" for item in broken[:3])
        done.append(
            Action(
                do="Before the next release, find out why production is worse than the gate promised",
                short="find out why",
                because=f"it is worse in {names}",
                command=omni("eval", "--fresh", task=facts.task),
            )
        )
    if any(item.what == "cost of the day" for item in facts.anomalies):
        done.append(
            Action(
                do="Check the days that cost more than 1.5 times the usual amount",
                short="check the cost",
                because="they are listed as anomalies",
            )
        )
    moved = [item for item in facts.drifts if item.result == "moved" and item.kind == "input"]
    if moved and not facts.worse:
        names = ", ".join(item.name for item in moved)
        done.append(
            Action(
                do=f"Check that the gate's cases still resemble the production inputs ({names})",
                short="check the cases",
                because=f"the inputs moved: PSI {max(item.psi for item in moved):.2f}",
                command=omni("cases", task=facts.task),
            )
        )
    return done


def call_actions(agreed: AgreementWeek, scores: CallScores) -> list[Action]:
    """Return the actions on scored calls: where people and model agree less, then where calls got worse."""
    return [*_overruled(agreed), *_failing(scores)]


def _overruled(agreed: AgreementWeek) -> list[Action]:
    """Return an action to read the overruled calls, for at most three criteria on which agreement with the model fell."""
    done = []
    for item in agreed.fallen[:3]:
        asked = (
            "SELECT call_id, model_verdict, human_verdict FROM v_criterion_words "  # noqa: S608 - printed, not run
            f"WHERE tenant_id = '{item.tenant}' AND form_id = '{item.form_id}' AND criterion_id = '{item.criterion}' "
            "AND confirms = 0 AND replaced_at IS NULL ORDER BY overridden_at DESC LIMIT 20"
        )
        because = f"people overruled {item.now.n - item.now.confirmed} of {item.now.n}"
        if item.before is not None:
            because += f", {item.before.n - item.before.confirmed} of {item.before.n} the week before"
        done.append(
            Action(
                do=f"Read the calls in which people overruled criterion {item.criterion} ({item.tenant}, {item.form_id})",
                short="read the calls",
                because=because,
                command=omni("sql", shlex.quote(asked)),
            )
        )
    return done


def _failing(scores: CallScores) -> list[Action]:
    """Return an action to read the calls that fail, for at most three figures of scored calls that got worse."""
    done = []
    for item in scores.worse[:3]:
        place = item.place
        where = f"tenant_id = '{place.tenant}' AND form_id = '{place.form_id}'"
        where += f" AND COALESCE(NULLIF(queue, ''), 'no group') = {_quoted(place.group)}" if place.group else ""
        if place.criterion:
            asked = (
                f"SELECT call_id, agent_id, queue FROM v_criteria WHERE {where} "  # noqa: S608 - printed, not run
                f"AND criterion_id = '{place.criterion}' AND verdict = 'no' ORDER BY call_date DESC LIMIT 20"
            )
        else:
            asked = (
                f"SELECT call_id, agent_id, queue, percentage FROM omni_calls WHERE {where} AND passed = FALSE "  # noqa: S608
                "ORDER BY call_date DESC LIMIT 20"
            )
        assert item.found is not None
        because = (
            f"{item.metric.title} went from {format_number(item.found.theirs.value, item.metric.unit)} to "
            f"{format_number(item.found.ours.value, item.metric.unit)}"
        )
        because += ", and another pair scored them" if item.other_pair else ""
        done.append(
            Action(
                do=f"Read the calls that fail {place_words(place)}",
                short="read the calls",
                because=because,
                command=omni("sql", shlex.quote(asked)),
            )
        )
    return done


def _stop_actions(facts: WeekFacts) -> list[Action]:
    """Return an action for each rollout that stopped by itself in the week."""
    labels = {pair.digest: pair.label for pair in facts.pairs}
    done = []
    for stop in facts.stops:
        named = labels.get(stop.pair_digest, f"pair {stop.pair_digest[:12]}")
        at = "" if stop.at is None else f" on {day_words(stop.at.date())} at {stop.at:%H:%M} UTC"
        done.append(
            Action(
                do=f"End the rollout of {named}, which stopped by itself{at}",
                short="end the rollout",
                because=f"step {stop.sequence} was stopped: {stop.reason}",
                command=omni("rollout-end", "--why", shlex.quote("stopped by itself"), task=facts.task),
            )
        )
    return done


def _quoted(text: str) -> str:
    """Return a text of the telephone system as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _blamed_on(pair: PairInWeek, worse: Sequence[WeekFinding]) -> list[Comparison]:
    """Return the changes for the worse that began with the pair: a candidate's beside production, a release's on its days."""
    if pair.role == "candidate":
        return [
            one
            for item in worse
            for one in item.comparisons
            if one.baseline.digest == pair.digest and one.baseline.against == "production beside it"
        ]
    return [item.first for item in worse if item.blamed is not None and item.blamed.digest == pair.digest]


def _look_first(facts: WeekFacts, pair: PairInWeek, mine: Sequence[Comparison]) -> Action:
    """Return the action for changes that began with a pair and may well be chance."""
    one = min(mine, key=facts.chance)
    chance = facts.chance(one)
    often = f"1 of {round(1 / chance):,} such weeks" if chance < 0.5 else "every other such week"
    return Action(
        do=f"Read {answers_named(one)} before you blame {_culprit(pair)}",
        short="look closer",
        because=f"the {names_of([one])} is worse since then, but chance alone shows as much in up to {often}",
    )


def _pair_actions(facts: WeekFacts) -> list[Action]:
    """Return an action for each worse pair: end a candidate's rollout, roll back a production pair whose release began it.

    A pair is blamed only for what equal weeks show in ``facts.blame_share`` of all at most; what is less certain is to be read.
    """
    task, done, unsure = facts.task, list[Action](), list[Action]()
    stopped = {stop.pair_digest for stop in facts.stops}
    for pair in facts.pairs:
        if pair.digest in stopped:  # its rollout has ended by itself, which is told
            continue
        began = _blamed_on(pair, facts.worse)
        mine = [item for item in began if facts.chance(item) <= facts.blame_share]
        if not began or pair.before is None or pair.role == "earlier":
            continue
        if not mine:
            unsure.append(_look_first(facts, pair, began))
            continue
        what = names_of(mine)
        why = ("--why", shlex.quote(f"worse: {what}"))
        if pair.role == "candidate":
            done.append(
                Action(
                    do=f"End the rollout of {pair.label}",
                    short="end the rollout",
                    because=f"it is worse than the production pair in the same week in {what}",
                    command=omni("rollout-end", *why, task=task),
                )
            )
        elif pair.role == "production":
            before = pair.before.release
            to = ("--to", str(before.sequence)) if before is not None and before.sequence is not None else ()
            place = (
                f"release {before.sequence}, {pair.before.label}" if to and before is not None else pair.before.label
            )
            done.append(
                Action(
                    do=f"Roll back to {place}",
                    short="roll back",
                    because=f"{_culprit(pair)} made {_what_it_changed(mine)} worse",
                    command=omni("rollback", *why, *to, task=task),
                )
            )
    return done + unsure


def _culprit(pair: PairInWeek) -> str:
    """Return ``release 2 (nova-micro-short v1.0.0)``."""
    return f"{pair.release.name} ({pair.label})" if pair.release is not None else f"the newer pair {pair.label}"


def _what_it_changed(mine: Sequence[Comparison]) -> str:
    """Return ``web answers`` where the helpful rate of one slice is all that changed, else the figures' names."""
    slices = {(item.dimension, item.value) for item in mine if item.contrast.metric.name == HELPFUL.name}
    if len(slices) == 1 and all(item.contrast.metric.name == HELPFUL.name for item in mine):
        return answers_named(mine[0])
    return f"the {names_of(mine)}"


def _slice_action(facts: WeekFacts, item: WeekFinding) -> Action:
    first = item.first
    return Action(
        do=f"Make cases from the unhelpful answers for {first.slice}, so that the gate catches this next time",
        short="make cases",
        because=f"the {item.metric.title} fell from {first.contrast.theirs.value:.2f} to {first.contrast.ours.value:.2f}",
        command=_propose(facts, first.dimension, first.value),
    )


def _propose(facts: WeekFacts, dimension: str = "", value: str = "") -> str:
    part = ("--slice", shlex.quote(f"{dimension}={value}")) if dimension else ()
    against = ("--against", SETS_NOT_SIMULATED) if is_simulated() else ()
    return omni("harvest", "propose", "--week", facts.week, *part, *against, task=facts.task)


def _cause_action(item: WeekFinding, drifts: Sequence[Drift]) -> Action:
    moved = [drift.name for drift in drifts if drift.result != "stable" and drift.result != "too few to say"]
    because = f"no release began it; {'inputs moved: ' + ', '.join(moved) if moved else 'the inputs are stable'}"
    return Action(do=f"Find out what changed {item.since_words}", short="find out why", because=because)
