"""``sweep``: every prompt with every model, and what quality costs in money and time."""

import sys
from typing import Annotated

import typer


def sweep(
    models: Annotated[str, typer.Option(help="Model ids or short names of prompts/models.yaml, comma separated.")] = "",
    pairs: Annotated[str, typer.Option(help="Pairs whose prompts to take, comma separated; default: all.")] = "",
    task: Annotated[str, typer.Option("--task", help="Which task; a module in service/tasks.")] = "summarize",
    dataset: Annotated[str | None, typer.Option(help="Cases to use; default: the suite's gate set.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Take a stratified part of this many cases.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=20, help="Answers per case; for models that sample.")] = 1,
    concurrency: Annotated[int | None, typer.Option(min=1, max=256, help="Calls in flight; 2 local, 8 aws.")] = None,
    quality: Annotated[str | None, typer.Option(help="Metric of the picture; default: the suite's first.")] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Also models that only a stand-in answers here.")
    ] = False,
) -> None:
    """Evaluate the matrix of prompts and models and draw quality over cost and latency, with the Pareto front."""
    from eval.report.console import render_evaluation
    from eval.sweep.run import SweepOptions
    from eval.sweep.run import sweep as run_sweep
    from service.settings import Settings

    options = SweepOptions(
        task=task,
        models=tuple(models.replace(",", " ").split()),
        pairs=tuple(pairs.replace(",", " ").split()),
        dataset=dataset,
        case_count=cases,
        repeats=repeats,
        concurrency=concurrency,
        quality=quality,
        stand_in=stand_in,
    )
    try:
        outcome, page = run_sweep(options, Settings())
    except KeyboardInterrupt:
        print("error: interrupted. What was answered is kept; run the same command again to go on.", file=sys.stderr)
        raise typer.Exit(2) from None
    render_evaluation(outcome.evaluation, outcome.suite)
    print(f"\nReport: {outcome.report}\nSweep: {page}")
