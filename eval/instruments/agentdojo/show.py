"""Prints what was measured on AgentDojo's banking suite, and returns it as JSON."""

from typing import Any

from eval.instruments.agentdojo.files import BankingSuite
from eval.instruments.agentdojo.measure import RECITES, DojoReport
from figures.formatting import format_interval
from figures.metric import Unit
from figures.stats import rate_interval
from service.kit.frame.display.terminal import say

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
