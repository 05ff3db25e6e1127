"""``card``: print the table of a task's data card, from the newest evaluations."""

import sys
from typing import Annotated

import typer

from eval.commands.arguments import TaskName, names_of
from service.kit.frame.display.terminal import say


def card(
    task: TaskName = "summarize",
    dataset: Annotated[
        str, typer.Option(help="Datasets, comma separated; default: the gate's and the public ones.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write the table between the markers of the task's data card.")
    ] = False,
) -> None:
    """Print the floor pair, the bundled models and the references side by side, each metric with its interval."""
    from eval.evaluation.card import card_table, write_table
    from eval.run.loaders import public_datasets
    from eval.suites import load_suite
    from service.kit.settings import Settings

    settings = Settings()
    names = names_of(dataset) or (load_suite(task).gate_dataset, *public_datasets(task))
    table, missing = card_table(task, names, settings)
    for line in missing:
        say(f"note: {line}", file=sys.stderr)
    if not write:
        say(table)
        return
    path = settings.datasets_dir / task / "README.md"
    write_table(path, table)
    say(f"written to {path}")
