"""``sweep``: evaluate every prompt with every model, and compare quality with cost and latency."""

import sys
from typing import Annotated

import typer

from eval.commands.arguments import COULD_NOT_RUN, CaseCount, Concurrency, DatasetName, Repeats, TaskName, names_of
from service.kit.frame.display.terminal import say


def sweep(
    models: Annotated[str, typer.Option(help="Model ids or short names of prompts/models.yaml, comma separated.")] = "",
    pairs: Annotated[str, typer.Option(help="Pairs whose prompts to take, comma separated; default: all.")] = "",
    task: TaskName = "summarize",
    dataset: DatasetName = None,
    cases: CaseCount = None,
    repeats: Repeats = None,
    concurrency: Concurrency = None,
    quality: Annotated[
        str | None, typer.Option(help="Quality metric of the chart; default: the suite's first.")
    ] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Include models for which a stand-in answers here.")
    ] = False,
) -> None:
    """Evaluate the matrix of prompts and models; draw quality over cost and over latency, with the Pareto front."""
    from eval.evaluation.evaluate import Options
    from eval.instruments.sweep.run import SweepOptions
    from eval.instruments.sweep.run import sweep as run_sweep
    from eval.report.console import render_evaluation
    from service.kit.settings import Settings

    of = Options(
        task=task,
        pairs=names_of(pairs),
        dataset=dataset,
        case_count=cases,
        repeats=repeats,
        concurrency=concurrency,
    )
    options = SweepOptions(of=of, models=names_of(models), quality=quality, stand_in=stand_in)
    try:
        outcome, page = run_sweep(options, Settings())
    except KeyboardInterrupt:
        say("error: interrupted. What was answered is kept; run the same command again to go on.", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None
    render_evaluation(outcome.evaluation, outcome.suite)
    say(f"\nReport: {outcome.report}\nSweep: {page}")
