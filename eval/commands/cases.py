"""``cases``: check a task's case files, or write them as test cases of Amazon Connect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import TaskName
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from eval.dialogue.play import DialogueEpisode


def check_cases(
    task: TaskName = "summarize",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Report problems of this file only; it is still compared with the others."),
    ] = None,
    specificity: Annotated[
        bool, typer.Option("--specificity", help="Also measure how often facts are found in other cases' references.")
    ] = False,
    connect: Annotated[
        Path | None,
        typer.Option("--connect", help="Instead, write conversations as test cases of Amazon Connect to this folder."),
    ] = None,
) -> None:
    """Check all case files: each case, near-copies, balance, the judge's labels. Exit code 1: problems found."""
    if connect is not None:
        _write_connect_tests(task, dataset, connect)
        return
    from eval.casecheck.check import check_folder, measure_specificity
    from eval.casecheck.report import render_findings
    from eval.report.console import result_console
    from eval.suites import load_case_rules
    from service.core.run.task import load_task
    from service.kit.settings import Settings

    loaded = load_task(task)
    folder = Settings().datasets_dir / task
    findings = check_folder(folder, loaded, load_case_rules(task), only=dataset)
    render_findings(findings, result_console())
    if specificity:
        for file, rate in measure_specificity(folder, loaded, load_case_rules(task), only=dataset).items():
            say(
                f"{file}: a fact is found in {rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}] of other cases' references"
            )
    proven = _prove(task, folder, dataset)
    if findings.problems or not proven:
        raise typer.Exit(1)


def _write_connect_tests(task: str, only: str | None, folder: Path) -> None:
    from collections import Counter

    from eval.casecheck.files import case_paths
    from eval.instruments.connect.export import connect_tests, write_tests
    from eval.spine.cases import load_cases
    from eval.suites import load_case_rules
    from service.core.run.dialogue.task import DialogueTask
    from service.core.run.task import load_task
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import Settings

    loaded, episode = load_task(task), _conversations(task)
    greeting = loaded.greeting() if isinstance(loaded, DialogueTask) else None
    if episode is None or not greeting:
        raise ConfigurationError(f"task {task!r} has no conversations that begin with a greeting; name one with --task")
    for path in case_paths(Settings().datasets_dir / task):
        if only not in (None, path.stem):
            continue
        cases = load_cases(
            path, input_model=episode.scenario_model, expectations=load_case_rules(task).expectations
        ).cases
        found = connect_tests(episode, cases, greeting=greeting)
        write_tests(found, folder / path.stem)
        say(f"{folder / path.stem}: {len(found.tests)} of {len(cases)} conversations")
        for reason, count in Counter(found.left_out.values()).most_common():
            say(f"  {count} left out: {reason}")


def _conversations(task: str) -> "DialogueEpisode | None":
    """Return how the conversations of a task are played, or None if it has none."""
    from eval.dialogue.play import DialogueEpisode
    from eval.suites import load_suite
    from service.core.knowledge.indexes import KnowledgeIndexes
    from service.kit.settings import Settings

    episode = load_suite(task).episode
    return episode.with_documents(KnowledgeIndexes.of(Settings())) if isinstance(episode, DialogueEpisode) else None


def _prove(task: str, folder: Path, only: str | None) -> bool:
    """Print the proofs of a task's conversations, if it has any; return whether all hold."""
    from eval.casecheck.files import case_paths
    from eval.dialogue.proofs import CaseProof, prove_cases, render_proofs
    from eval.report.console import result_console
    from eval.spine.cases import load_cases
    from eval.suites import load_case_rules

    episode, found = _conversations(task), list[CaseProof]()
    if episode is None:
        return True
    for path in case_paths(folder):
        if only in (None, path.stem):
            rules = load_case_rules(task)
            cases = load_cases(path, input_model=episode.scenario_model, expectations=rules.expectations).cases
            proofs = prove_cases(episode, cases)
            render_proofs(path.stem, proofs, result_console())
            found += proofs
    return not any(proof.problems for proof in found)
