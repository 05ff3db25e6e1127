"""``changed``, ``code-gate`` and ``pr-gate``: what a pull request affects, and whether that makes anything worse."""

import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import GATE_REJECTS, Base, BudgetUsd, TaskName, interruptible, usd_of
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from eval.codegate.run import CodeOutcome
    from eval.report.pull_request import PrCheck
    from eval.spine.changes import Changed
    from service.core.unit.pair import Pair
    from service.kit.settings import Settings

Head = Annotated[str | None, typer.Option(help="The changed commit; default: the working tree.")]


def changed(
    base: Base = "origin/main", head: Head = None, task: TaskName = "summarize", as_json: AsJson = False
) -> None:
    """Print the pairs that a change affects, one per line, without demos; the reasons go to standard error."""
    from eval.spine.changes import changed_pairs
    from service.kit.settings import Settings

    settings = Settings()
    found = changed_pairs(settings.root, task, base, head)
    for line in found.reasons:
        say(line, file=sys.stderr)
    pairs = [pair for pair in _load(task, found.pairs, settings) if pair.role != "demo"]
    if as_json:
        roles = {pair.name: pair.role for pair in pairs}
        print_json({"task": task, "pairs": list(roles), "roles": roles, "code": found.code, "reasons": found.reasons})
        return
    for pair in pairs:
        say(pair.name)


def code_gate(
    base: Base = "origin/main",
    task: Annotated[str | None, typer.Option("--task", help="Judge this task alone; default: all.")] = None,
    budget_usd: BudgetUsd = None,
    as_json: AsJson = False,
) -> None:
    """Run production's pair (else the floor) on BASE's code and on this code: no gated figure may get worse.

    Besides the pair's own answers it compares what the service shows of scripted good answers and of planted faults, which
    only a working guard stops. The base's scorers and margins judge both sides.

    Exit code 0: no figure is worse. 1: one is, or it cannot be told. 2: could not run, as when the base's code does not run here.
    """
    from eval.codegate.words import headline
    from eval.spine.results import Verdict
    from service.kit.settings import Settings

    with interruptible():
        outcomes = _code_outcomes(base, task, Settings(), usd_of(budget_usd), quiet=as_json)
    if as_json:
        print_json([{"verdict": item.verdict, "headline": headline(item), **asdict(item)} for item in outcomes])
    if any(outcome.verdict is not Verdict.PASS for outcome in outcomes):
        raise typer.Exit(GATE_REJECTS)


def _code_outcomes(
    base: str, task: str | None, settings: "Settings", budget_usd: "Decimal | None", *, quiet: bool = False
) -> "list[CodeOutcome]":
    from eval.codegate.run import judged_tasks, run_code_gate
    from eval.codegate.words import lines

    outcomes: list[CodeOutcome] = []
    for name in [task] if task is not None else judged_tasks(settings, base):
        left = None if budget_usd is None else budget_usd - sum(outcome.spent_usd for outcome in outcomes)
        outcome = run_code_gate(name, base, settings, lambda line: say(line, file=sys.stderr, flush=True), left)
        outcomes.append(outcome)
        if not quiet:
            say("\n".join(lines(outcome)), flush=True)
        if left is not None and outcome.spent_usd >= left and outcome.judgement is None:
            break  # broken code, and nothing is left of the budget to judge more with: red as it is
    return outcomes


def pr_gate(
    base: Base = "origin/main",
    task: Annotated[
        str | None, typer.Option("--task", help="Judge this task's pairs alone; default: all tasks'.")
    ] = None,
    comment: Annotated[Path, typer.Option(help="Where to write the comment.")] = Path("reports/out/pr-comment.md"),
    junit: Annotated[Path, typer.Option(help="Where to write JUnit XML.")] = Path("reports/out/pr-gate.xml"),
    budget_usd: BudgetUsd = None,
) -> None:
    """Judge what the working tree changes against BASE, and write the comment for the pull request.

    A changed pair is evaluated; demos never have to pass, floors only if their own file changed. Changed code is judged as by
    `code-gate`. A pair whose provider cannot be reached from here is neutral: the comment says what a maintainer does.

    Exit code 0: green, or neutral (the last line says which, and JUnit shows it as skipped). 1: red. 2: could not run.
    """
    from eval.report.pull_request import MARKER, overall, render_comment, render_junit
    from eval.spine.errors import HarnessError
    from figures.files import write_whole
    from service.kit.frame.errors import ServiceError
    from service.kit.settings import Settings

    settings = Settings()
    for path in (comment, junit):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with interruptible():
            checks = _all_checks(base, task, settings, usd_of(budget_usd))
    except (HarnessError, ServiceError) as err:
        # The error must appear in the pull request, not in the log alone.
        said = _without_root(str(err), settings).replace("```", "")[:2_000]
        write_whole(comment, f"{MARKER}\n# The gate could not run\n\n```text\n{said}\n```\n")
        raise
    write_whole(comment, _without_root(render_comment(checks), settings))
    write_whole(junit, _without_root(render_junit(checks), settings))
    say(f"\nComment: {comment}\nVerdict: {overall(checks)}")
    if overall(checks) == "fail":
        raise typer.Exit(GATE_REJECTS)


def _without_root(text: str, settings: "Settings") -> str:
    """Return ``text`` with paths as the repository names them: where a runner keeps its files is nobody's business.

    Commands lose the folder of the program, and files of temporary folders keep their own name alone.
    """
    text = text.replace(f"{settings.root}/", "").replace(f"{Path(sys.executable).parent}/", "")
    elsewhere = "|".join(re.escape(str(folder)) for folder in (tempfile.gettempdir(), sys.prefix, Path.home()))
    return re.sub(rf"(?<![\w/.])(?:{elsewhere})/(?:[\w.@+~-]+/)*", "", text)


def _all_checks(base: str, task: str | None, settings: "Settings", left: "Decimal | None") -> "list[PrCheck]":
    """Return the checks of changed code and changed pairs, with ``left`` USD to spend."""
    from eval.spine.changes import changed_pairs

    tasks = [task] if task is not None else _tasks_with_pairs(settings)
    found = {name: changed_pairs(settings.root, name, base) for name in tasks}
    for line in dict.fromkeys(line for one in found.values() for line in one.reasons):
        say(line)
    outcomes = _code_outcomes(base, None, settings, left) if any(one.code for one in found.values()) else []
    left = None if left is None else left - sum(outcome.spent_usd for outcome in outcomes)
    checks = _code_checks(outcomes)
    broken = any(outcome.judgement is None for outcome in outcomes)
    for name, one in found.items():
        if broken and left is not None and left <= 0:
            break
        of_task, spent = _pair_checks(one, base, name, settings, left)
        left = None if left is None else left - spent
        checks += of_task
    return checks


def _tasks_with_pairs(settings: "Settings") -> list[str]:
    from service.core.run.task import task_names

    return [name for name in task_names() if any((settings.prompts_dir / name).glob("*.prompty"))]


def _code_checks(outcomes: "Sequence[CodeOutcome]") -> "list[PrCheck]":
    from eval.codegate.words import comment, headline
    from eval.report.pull_request import PrCheck
    from eval.spine.results import Verdict

    return [
        PrCheck(
            name=f"code change: {outcome.task}",
            state="fail" if outcome.verdict is not Verdict.PASS else "neutral" if outcome.needs_person else "pass",
            said=headline(outcome),
            text=comment(outcome),
        )
        for outcome in outcomes
    ]


def _pair_checks(
    found: "Changed", base: str, task: str, settings: "Settings", budget_usd: "Decimal | None"
) -> "tuple[list[PrCheck], Decimal]":
    """Return one check for the pairs that could be evaluated here, one for each that could not, and what the calls cost."""
    from decimal import Decimal

    from eval.evaluation.evaluate import Options, evaluate
    from eval.report.console import render_evaluation
    from eval.report.page import MARKDOWN_NAME
    from eval.report.pull_request import PrCheck
    from eval.run.selection import select_pairs
    from eval.spine.results import Verdict
    from service.core.unit.cards import ModelCards

    pairs = [pair for pair in _load(task, found.pairs, settings) if pair.role != "demo"]
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    selection = select_pairs(pairs, cards, settings)
    elsewhere = [_neutral(pair, _at_provider(base, task), task) for pair in selection.without("provider", "key")]
    checks = elsewhere + [_neutral(pair, _BARE, task) for pair in selection.without("extra")]
    left_out = selection.without("provider", "key", "extra")
    here = [pair.name for pair in pairs if pair not in left_out]
    if not here:
        return checks, Decimal(0)
    outcome = evaluate(Options(task=task, pairs=tuple(here), budget_usd=budget_usd), settings)
    render_evaluation(outcome.evaluation, outcome.suite)
    say(f"Report: {outcome.report}")
    must = {pair.name for pair in pairs if pair.role == "candidate"} | set(found.own)
    judged = [pair for pair in outcome.evaluation.pairs if pair.pair_name in must and pair.pair_name in here]
    missed = [pair for pair in judged if pair.gate.verdict is not Verdict.PASS]
    said = "; ".join(f"{pair.pair_name}: {pair.gate.headline}" for pair in judged) or "floors are shown only"
    evaluated = PrCheck(
        name=f"pairs of {task}",
        state="pass" if not missed else "neutral" if all(pair.gate.short_of_cpu for pair in missed) else "fail",
        said=said,
        text=outcome.report.with_name(MARKDOWN_NAME).read_text(encoding="utf-8"),
    )
    return [evaluated, *checks], outcome.spent_usd


_BARE = "Its code needs an extra that is not installed here. This is neither a pass nor a failure."


def _at_provider(base: str, task: str) -> str:
    from figures.command_line import omni

    command = omni("pr-gate", "--base", base, "--budget-usd", "5", task=task)
    return (
        "Its model runs at a provider that cannot be reached from here, and a stand-in's figures would not be its own. This is "
        f"neither a pass nor a failure. With credentials, a maintainer runs `OMNI_ENVIRONMENT=aws {command}` (or sets the "
        "provider's key), or starts the workflow that has them (environment `evaluation`)."
    )


def _neutral(pair: "Pair", why: str, task: str) -> "PrCheck":
    from eval.report.pull_request import PrCheck

    said = f"Not evaluated: {pair.name}. {why}"
    return PrCheck(
        name=f"pair {pair.name} of {task}",
        state="neutral",
        said=said,
        text=f"# Neutral: {pair.name} of {task}\n\n{said}\n",
    )


def _load(task_name: str, names: "Sequence[str]", settings: "Settings") -> "list[Pair]":
    from eval.evaluation.evaluate import load_pairs
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    return load_pairs(load_task(task_name), cards, settings, names) if names else []
