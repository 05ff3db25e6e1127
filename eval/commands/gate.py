"""``gate``: one verdict on a pair's behaviour and evaluation."""

import typer

from eval.commands.arguments import GATE_REJECTS, BudgetUsd, Concurrency, PairName, TaskName, usd_of
from eval.commands.behave import measure_behaviour
from eval.commands.evaluate import passes, run_and_print, summary
from service.kit.frame.display.output import AsJson, human_text, print_json


def gate(
    pair: PairName,
    task: TaskName = "summarize",
    concurrency: Concurrency = None,
    budget_usd: BudgetUsd = None,
    as_json: AsJson = False,
) -> None:
    """Measure a pair's behaviour in the running service, evaluate it, and print one verdict over both; for CI.

    Exit code 0: the pair passes. 1: it fails or is undecided.
    """
    from eval.evaluation.evaluate import Options

    with human_text(as_json=as_json):
        # The evaluation's gate reads the behaviour record that this writes, so the verdict below covers both.
        measure_behaviour(task, pair, url=None, concurrency=concurrency, if_declared=True)
        outcome = run_and_print(
            Options(task=task, pairs=(pair,), concurrency=concurrency, budget_usd=usd_of(budget_usd))
        )
    if as_json:
        print_json(summary(outcome))
    if not passes(outcome, (pair,)):
        raise typer.Exit(GATE_REJECTS)
