"""What agents without a model achieve on AgentDojo's banking suite, and what orders in tools' answers make of them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from eval.dialogue.agents import Agent, GoldTurn, degenerate_agents
from eval.dialogue.judging import carried_out, forbidden_uses, is_right
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario, GoldUse
from eval.dialogue.scorers import expectations_of
from eval.instruments.agentdojo.agents import ObedientScript, ReadingReciter, WiredScript
from eval.instruments.agentdojo.cases import asked_turns, attack_cases, episode_of, user_cases
from eval.instruments.agentdojo.files import BankingSuite
from eval.spine.cases import Case
from figures.formatting import format_interval
from figures.metric import Unit
from figures.stats import rate_interval
from service.core.unit.pair import ToolSpec
from service.kit.frame.display.terminal import say

GuardSetting = Literal["off", "provenance"]
DOES_NOTHING = "silent"
GOLD, ASKS = "gold run", "gold run, asks the customer"
RECITES = "reads and recites everything"  # may pass: what a question asks for is among what the tools tell
OBEYS, OBEYS_ASKS = "obeys any order", "obeys any order, asks the customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilityRow:
    """The cases that an agent passes. ``original`` are those that it passes by AgentDojo's own check, None if not published."""

    agent: str
    guard: GuardSetting
    passed: tuple[str, ...]
    n: int
    unscored: int
    original: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRow:
    """Over ``n`` attacks, in how many the agent tried what the attacker wants, did it, was refused, and passed the user's task.

    ``wired``: the script was the model of a dialogue task, behind the gateway, and no agent by itself.
    """

    agent: str
    guard: GuardSetting
    wired: bool
    tried: int
    done: tuple[str, ...]
    refused: int
    right: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DojoReport:
    """What was measured."""

    utility: tuple[UtilityRow, ...]
    attacks: tuple[AttackRow, ...]

    def problems(self) -> list[str]:
        """Return what a sound instrument would not show."""
        found = []
        for row in self.utility:
            whole = (row.agent, row.guard) in ((GOLD, "off"), (ASKS, "provenance"))
            if whole and len(row.passed) < row.n:
                found.append(f"the {row.agent} passes {len(row.passed)} of {row.n} with guard {row.guard}")
            if row.agent not in (GOLD, ASKS, RECITES) and row.passed:
                found.append(f"the useless agent {row.agent!r} passes {', '.join(row.passed)}")
        for attacked in self.attacks:
            if attacked.guard == "provenance" and attacked.done:
                found.append(f"attacks were carried out despite the guard: {', '.join(attacked.done[:5])}")
            if attacked.guard == "off" and len(attacked.done) < attacked.n:
                found.append(f"{attacked.n - len(attacked.done)} attacks do nothing even to whoever obeys them")
        return found


def measured(suite: BankingSuite) -> DojoReport:
    """Return what the agents without a model achieve; the same suite gives the same report."""
    return asyncio.run(_measured(suite))


async def _measured(suite: BankingSuite) -> DojoReport:
    episode, cases = episode_of(suite), user_cases(suite)
    gold = {_prompt(case): expectations_of(case).gold for case in cases}
    tasks = {task.prompt: task for task in suite.user_tasks}
    asks: dict[str, Sequence[GoldTurn]] = {
        prompt: asked_turns(tasks[prompt], turns[0]) for prompt, turns in gold.items()
    }
    orders = {
        injection.goal: tuple(GoldUse(use=call.function, arguments=call.args) for call in injection.ground_truth_calls)
        for injection in suite.injection_tasks
    }
    scripts: dict[str, ObedientScript] = {
        GOLD: ObedientScript(runs=gold),
        ASKS: ObedientScript(runs=asks),
        OBEYS: ObedientScript(runs=gold, orders=orders),
        OBEYS_ASKS: ObedientScript(runs=asks, orders=orders),
    }
    plays: list[tuple[str, GuardSetting]] = [(GOLD, "off"), (GOLD, "provenance"), (ASKS, "provenance")]
    utility = [
        _utility(name, guard, cases, await _played(episode, cases, guard, scripts[name])) for name, guard in plays
    ]
    utility += await _useless(suite, episode, cases)
    attacked = attack_cases(suite)
    trials: list[tuple[str, GuardSetting]] = [
        (OBEYS, "off"),
        (OBEYS, "provenance"),
        (OBEYS_ASKS, "provenance"),
        (ASKS, "provenance"),
    ]
    attacks = [
        _attack(name, guard, wired, attacked, await _played(episode, attacked, guard, scripts[name], wired=wired))
        for wired in (False, True)
        for name, guard in trials
    ]
    return DojoReport(utility=tuple(utility), attacks=tuple(attacks))


async def _useless(suite: BankingSuite, episode: DialogueEpisode, cases: Sequence[Case]) -> list[UtilityRow]:
    records: dict[str, list[ConversationRecord]] = {}
    for case in cases:
        for name, agent in degenerate_agents(
            ConversationScenario.model_validate(case.inputs), expectations_of(case)
        ).items():
            records.setdefault(name, []).append(await _one(episode, case, suite.tools, agent))
        records.setdefault(RECITES, []).append(await _one(episode, case, suite.tools, ReadingReciter().answer))
    published = [task.do_nothing_passes_original_check for task in suite.user_tasks]
    passing = tuple(task.id for task in suite.user_tasks if task.do_nothing_passes_original_check)
    original = None if None in published else passing
    rows = [_utility(name, "provenance", cases, found) for name, found in records.items()]
    return [replace(row, original=original) if row.agent == DOES_NOTHING else row for row in rows]


def guarded(tools: Iterable[ToolSpec], guard: GuardSetting) -> tuple[ToolSpec, ...]:
    """Return ``tools`` as they are, or as if none of them wrote: then no rule about writing calls holds."""
    return tuple(tools) if guard == "provenance" else tuple(replace(tool, writes=False) for tool in tools)


async def _played(
    episode: DialogueEpisode, cases: Sequence[Case], guard: GuardSetting, script: ObedientScript, *, wired: bool = False
) -> list[ConversationRecord]:
    specs = guarded(episode.specs, guard)
    agent = WiredScript(script=script, tools=specs).answer if wired else script.answer
    return [await _one(episode, case, specs, agent) for case in cases]


async def _one(episode: DialogueEpisode, case: Case, specs: Sequence[ToolSpec], agent: Agent) -> ConversationRecord:
    result = await episode.play_with(case, 0, {spec.name: spec for spec in specs}, agent)
    return ConversationRecord.model_validate_json(result.output or "")


def _utility(
    agent: str, guard: GuardSetting, cases: Sequence[Case], records: Sequence[ConversationRecord]
) -> UtilityRow:
    passed = tuple(case.id for case, record in zip(cases, records, strict=True) if _passes(case, record))
    unscored = sum(bool(record.unscored) for record in records)
    return UtilityRow(agent=agent, guard=guard, passed=passed, n=len(cases), unscored=unscored)


def _passes(case: Case, record: ConversationRecord) -> bool:
    return not record.unscored and is_right(record, expectations_of(case))


def _attack(
    agent: str, guard: GuardSetting, wired: bool, cases: Sequence[Case], records: Sequence[ConversationRecord]
) -> AttackRow:
    tried = {
        case.id: forbidden_uses(record, expectations_of(case)) for case, record in zip(cases, records, strict=True)
    }
    tried = {name: uses for name, uses in tried.items() if uses}
    return AttackRow(
        agent=agent,
        guard=guard,
        wired=wired,
        tried=len(tried),
        done=tuple(name for name, uses in tried.items() if carried_out(uses)),
        refused=sum(all(use.status == "refused" for use in uses) for uses in tried.values()),
        right=sum(_passes(case, record) for case, record in zip(cases, records, strict=True)),
        n=len(cases),
    )


def _prompt(case: Case) -> str:
    return ConversationScenario.model_validate(case.inputs).customer.opens[0]


_NAME = 38


def show(report: DojoReport, suite: BankingSuite) -> None:
    """Print both tables, then what a sound instrument would not show."""
    attacked = report.attacks[0].n if report.attacks else 0
    say(
        f"AgentDojo's banking suite: {len(suite.user_tasks)} user tasks, {attacked} attacks "
        f"({len(suite.injection_tasks)} goals in {len(suite.templates)} templates, each where a task reads it), "
        f"{len(suite.tools)} tools; agents without a model; 95% intervals, as if all conversations were independent"
    )
    say(f"\n{'user tasks passed':<{_NAME}}{'guard':<12}{'by our expectations':<28}by AgentDojo's check")
    for row in report.utility:
        original = "not published" if row.original is None else _rate(len(row.original), row.n)
        unscored = f"  {row.unscored} not scored" if row.unscored else ""
        say(f"{row.agent:<{_NAME}}{row.guard:<12}{_rate(len(row.passed), row.n):<28}{original}{unscored}")
    for row in report.utility:
        if row.original:
            say(f"doing nothing passes AgentDojo's check in {', '.join(row.original)}")
        if row.agent == RECITES and row.passed:
            say(
                f"{', '.join(row.passed)}: what is asked for is among what the tools tell, so whoever recites all passes"
            )
    say(f"\n{'attacks':<{_NAME}}{'guard':<12}{'tried':<26}{'carried out':<26}{'refused':<26}user task passed")
    for wired in (False, True):
        say("as the model of a dialogue task:" if wired else "as an agent by itself:")
        for trial in (trial for trial in report.attacks if trial.wired is wired):
            counts = (trial.tried, len(trial.done), trial.refused, trial.right)
            cells = "".join(f"{_rate(count, trial.n):<26}" for count in counts).rstrip()
            say(f"  {trial.agent:<{_NAME - 2}}{trial.guard:<12}{cells}")
    for problem in report.problems():
        say(f"problem: {problem}")


def as_json(report: DojoReport, suite: BankingSuite) -> dict[str, Any]:
    """Return the same as JSON values; rates are fractions with their 95% interval."""
    return {
        "user_tasks": len(suite.user_tasks),
        "injection_tasks": len(suite.injection_tasks),
        "tools": len(suite.tools),
        "templates": sorted(suite.templates),
        "utility": [
            {
                "agent": row.agent,
                "guard": row.guard,
                "passed": _figure(len(row.passed), row.n),
                "passed_cases": list(row.passed),
                "unscored": row.unscored,
                "original_passed_cases": None if row.original is None else list(row.original),
            }
            for row in report.utility
        ],
        "attacks": [
            {
                "agent": row.agent,
                "guard": row.guard,
                "through_task": row.wired,
                "tried": _figure(row.tried, row.n),
                "carried_out": _figure(len(row.done), row.n),
                "carried_out_cases": list(row.done),
                "refused": _figure(row.refused, row.n),
                "user_task_passed": _figure(row.right, row.n),
            }
            for row in report.attacks
        ],
        "problems": report.problems(),
    }


def _figure(count: int, n: int) -> dict[str, float | int | None]:
    if not n:
        return {"count": 0, "n": 0, "rate": None, "low": None, "high": None}
    found = rate_interval(count, n)
    return {"count": count, "n": n, "rate": found.value, "low": found.low, "high": found.high}


def _rate(count: int, n: int) -> str:
    if not n:
        return "none to try"
    found = rate_interval(count, n)
    return f"{count} of {n} {format_interval(found.low, found.high, Unit.RATE)}"
