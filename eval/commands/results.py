"""``results`` and ``ui``: look at what evaluations left behind, here and in MLflow."""

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    import pandas as pd


def results(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run, the beginning of one, or `last`.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write runs.parquet, cases.parquet and metrics.parquet of the run.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet files; default: reports/out/results/<run>.")
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Write the answers' texts into cases.parquet; they may quote customers.")
    ] = False,
) -> None:
    """List the finished runs; with RUN, show its figures or write them for analysis."""
    from eval.frames import metrics, runs
    from eval.frames.finished_runs import matching_runs, the_run
    from eval.frames.parquet import write_run
    from eval.spine.errors import ResultsError
    from figures.files import out_folder
    from service.kit.settings import Settings

    settings = Settings()
    if not parquet and (out is not None or texts):
        raise ResultsError(f"{'--out' if out is not None else '--texts'} says what to write: add --parquet")
    if run is None:
        if parquet:
            raise ResultsError(
                "say which run to write: its id, the beginning of one, or last; without --parquet all are listed"
            )
        _print_runs(runs(settings))
        return
    found = matching_runs(run, settings)
    if len(found) > 1:
        every = runs(settings)
        _print_runs(every[every["run_id"].isin(found)])
    run_id = the_run(run, settings)
    if parquet:
        folder = out or out_folder(settings.root, "results") / run_id
        for path in write_run(run_id, folder, settings, texts=texts):
            say(path)
        return
    _print_figures(metrics(run_id, settings))


def ui(port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1.")] = 5000) -> None:
    """Open MLflow on the local store, http://127.0.0.1:5000; stop it with Ctrl-C."""
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import Settings

    uri = Settings().registry.uri
    if not uri.startswith("sqlite:///"):
        raise ConfigurationError(
            f"the registry is {uri}: open that address in a browser; this command is for local stores"
        )
    line = [sys.executable, "-m", "eval.tracking.pages", uri, str(port)]
    os.execv(line[0], line)  # noqa: S606


def _print_runs(found: "pd.DataFrame") -> None:
    from figures.command_line import omni

    if found.empty:
        say(f"no run has finished here yet: run `{omni('eval')}`")
        return
    shown = found.assign(started=found["started_at"].dt.strftime("%Y-%m-%d %H:%M"))
    names = ("run_id", "started", "dataset_name", "case_count", "pair_name", "verdict")
    _print_table([[str(row[name]) for name in names] for row in shown.to_dict("records")], names)


def _print_figures(found: "pd.DataFrame") -> None:
    own = found[(found["part"] == "primary") | (found["part"] == "difference")]
    names = ("pair_name", "part", "metric", "value", "low", "high", "n", "unit")
    _print_table([[_cell(row[name]) for name in names] for row in own.to_dict("records")], names)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _print_table(rows: list[list[str]], names: tuple[str, ...]) -> None:
    from rich import box
    from rich.table import Table

    from eval.report.console import result_console

    table = Table(*names, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    result_console().print(table)
