"""``changed`` and ``pr-gate``: list the pairs that a pull request affects, and run the gate on those alone."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, GATE_REJECTS, Base, TaskName
from service.commands.output import AsJson, print_json
from service.display.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.pair import Pair
    from service.settings import Settings

NOT_EVALUATED = (
    "# Not evaluated: {names}\n\nTheir models run at a provider that cannot be reached from here. A stand-in would "
    "answer, and its figures would not measure these models. Run the gate where the provider can be reached "
    "(`OMNI_ENVIRONMENT=aws`).\n"
)
NOTHING = "# No pair changed\n\nThis change affects no pair and no part of the gate, so no pair was evaluated.\n"
MARKER = "<!-- prompt-gate -->"

Head = Annotated[str | None, typer.Option(help="The changed commit; default: the working tree.")]


def changed(
    base: Base = "origin/main", head: Head = None, task: TaskName = "summarize", as_json: AsJson = False
) -> None:
    """Print the pairs that a change affects, one per line; the reasons go to standard error."""
    from eval.changes import changed_pairs
    from service.settings import Settings

    found = changed_pairs(Settings().root, task, base, head)
    for line in found.reasons:
        say(line, file=sys.stderr)
    if as_json:
        print_json({"task": task, "pairs": found.pairs, "reasons": found.reasons})
        return
    for name in found.pairs:
        say(name)


def pr_gate(
    base: Base = "origin/main",
    task: TaskName = "summarize",
    comment: Annotated[Path, typer.Option(help="Where to write the comment.")] = Path("reports/out/pr-comment.md"),
) -> None:
    """Evaluate the pairs that the working tree changes against BASE, and write the comment for the pull request.

    Exit code 0: no pair changed, or every changed pair passes. 1: a changed pair fails, is undecided, or could not be
    evaluated because only a stand-in would answer for its model. 2: could not run.
    """
    from eval.changes import changed_pairs
    from eval.errors import HarnessError
    from eval.evaluate import Options, evaluate
    from eval.report.console import render_evaluation
    from eval.report.page import MARKDOWN_NAME
    from eval.results import Verdict
    from figures.files import write_whole
    from service.errors import ServiceError
    from service.settings import Settings

    settings = Settings()
    comment.parent.mkdir(parents=True, exist_ok=True)

    def write(text: str) -> None:
        write_whole(comment, f"{MARKER}\n{text}")
        say(f"\nComment: {comment}")

    try:
        found = changed_pairs(settings.root, task, base)
        for line in found.reasons:
            say(line)
        if not found.pairs:
            write(NOTHING)
            return
        pairs, replaced = _divide(task, found.pairs, settings)
        names = ", ".join(pair.name for pair in replaced)
        if not pairs:
            write(NOT_EVALUATED.format(names=names))
            raise typer.Exit(GATE_REJECTS)
        outcome = evaluate(Options(task=task, pairs=tuple(pair.name for pair in pairs)), settings)
    except (HarnessError, ServiceError) as err:
        # The error must appear in the pull request, not in the log alone.
        write(f"# The gate could not run\n\n```text\n{str(err).replace('```', '')[:2_000]}\n```\n")
        raise
    except KeyboardInterrupt:
        say("error: interrupted. What was answered is kept; run the same command again to go on.", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None
    render_evaluation(outcome.evaluation, outcome.suite)
    text = outcome.report.with_name(MARKDOWN_NAME).read_text(encoding="utf-8")
    if replaced:
        text = f"> **Not evaluated:** {names}. Only a stand-in would answer for their models here.\n\n{text}"
    write(text)
    say(f"Report: {outcome.report}")
    judged = [pair for pair in outcome.evaluation.pairs if pair.pair_name in found.pairs]
    if replaced or any(pair.gate.verdict is not Verdict.PASS for pair in judged):
        raise typer.Exit(GATE_REJECTS)


def _divide(task_name: str, names: "Sequence[str]", settings: "Settings") -> "tuple[list[Pair], tuple[Pair, ...]]":
    """Return the pairs to evaluate, and those for whose models only a stand-in would answer here."""
    from eval.evaluate import load_pairs
    from eval.run.selection import select_pairs
    from service.cards import ModelCards
    from service.task import load_task

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pairs = load_pairs(load_task(task_name), cards, settings, names)
    # Missing credentials are an error of the workflow, which `evaluate` names; they excuse no pair.
    replaced = select_pairs(pairs, cards, settings, credentials=lambda: True).without("provider")
    return [pair for pair in pairs if pair not in replaced], replaced
