"""``cases``: check a task's case files."""

from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import TaskName
from service.display.terminal import say

if TYPE_CHECKING:
    from pathlib import Path


def check_cases(
    task: TaskName = "summarize",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Report problems of this file only; it is still compared with the others."),
    ] = None,
    specificity: Annotated[
        bool, typer.Option("--specificity", help="Also measure how often facts are found in other cases' references.")
    ] = False,
) -> None:
    """Check all case files: each case, near-copies, balance, the judge's labels. Exit code 1: problems found."""
    from eval.casecheck.check import check_folder, measure_specificity
    from eval.casecheck.report import render_findings
    from eval.report.console import result_console
    from eval.suites import load_case_rules
    from service.settings import Settings
    from service.task import load_task

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


def _prove(task: str, folder: "Path", only: str | None) -> bool:
    """Print the proofs of a task's conversations, if it has any; return whether all hold."""
    from eval.casecheck.files import case_paths
    from eval.cases import load_cases
    from eval.dialogue.play import DialogueEpisode
    from eval.dialogue.proof_report import render_proofs
    from eval.dialogue.proofs import CaseProof, prove_cases
    from eval.report.console import result_console
    from eval.suites import load_case_rules, load_suite
    from service.knowledge.indexes import KnowledgeIndexes
    from service.settings import Settings

    episode, found = load_suite(task).episode, list[CaseProof]()
    if not isinstance(episode, DialogueEpisode):
        return True
    episode = episode.with_documents(KnowledgeIndexes.of(Settings()))
    for path in case_paths(folder):
        if only in (None, path.stem):
            rules = load_case_rules(task)
            cases = load_cases(path, input_model=episode.scenario_model, expectations=rules.expectations).cases
            proofs = prove_cases(episode, cases)
            render_proofs(path.stem, proofs, result_console())
            found += proofs
    return not any(proof.problems for proof in found)
