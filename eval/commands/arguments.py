"""Arguments that several commands share, and how their text is read."""

from typing import Annotated

import typer

GATE_SAYS_NO, COULD_NOT_RUN = 1, 2

PairName = Annotated[str, typer.Argument(metavar="PAIR", help="Name of the pair's file in prompts/<task>/.")]
TaskName = Annotated[str, typer.Option("--task", help="Which task; a module in service/tasks.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Cases to use; default: the suite's gate set.")]
CaseCount = Annotated[int | None, typer.Option("--cases", min=1, help="Take a stratified part of this many cases.")]
Repeats = Annotated[int, typer.Option(min=1, max=20, help="Answers per case; for models that sample.")]
Concurrency = Annotated[int | None, typer.Option(min=1, max=256, help="Calls in flight; 2 local, 8 aws.")]
Why = Annotated[str, typer.Option(help="Reason, for those who come after you.")]


def names_of(text: str | None) -> tuple[str, ...]:
    """Return the names in a list that was typed with commas or spaces between them."""
    return tuple((text or "").replace(",", " ").split())
