"""``optimize``: search for a better prompt, and say what it gains on cases that the search never saw."""

from decimal import Decimal
from typing import Annotated

import typer

from eval.commands.arguments import GATE_REJECTS, Concurrency, TaskName, interruptible, names_of
from service.commands.models import ApiBase, with_api_base
from service.kit.frame.display.terminal import say


def optimize(
    pair: Annotated[str, typer.Option(help="The pair to begin with: a file in prompts/<task>/.")],
    model: Annotated[
        str, typer.Option(help="The model that words the candidates; it reads scores, no customer's text.")
    ],
    budget: Annotated[float, typer.Option(min=0, help="Most USD for search, unseen cases and gate together.")],
    task: TaskName = "summarize",
    api_base: ApiBase = None,
    calls: Annotated[int, typer.Option(min=1, help="Most answers and proposals before the gate.")] = 2_000,
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Most rounds of the search; one proposal in each.")
    ] = 60,
    seed: Annotated[int, typer.Option(help="Of the split of the cases and of the search.")] = 0,
    quality: Annotated[
        str | None, typer.Option(help="One metric to search with; default: all that the gate bounds.")
    ] = None,
    models: Annotated[str, typer.Option(help="Models to try in the pair's place, comma separated.")] = "",
    temperatures: Annotated[str, typer.Option(help="Temperatures to try, comma separated.")] = "",
    concurrency: Concurrency = None,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Measure on the gate's cases at the end.")] = True,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Go on although a stand-in answers for a model here.")
    ] = False,
) -> None:
    """Search for better instructions; print the gain on the search's half, on an unseen half and at the gate.

    An interrupted search goes on where it was when it is started again. Exit code 0: a candidate is offered, and its pair file
    was written. 1: no gain is shown.
    """
    from eval.instruments.optimize.report import console_lines
    from eval.instruments.optimize.run import OptimizeOptions
    from eval.instruments.optimize.run import optimize as run_search
    from figures.command_line import omni
    from service.kit.settings import Settings

    options = OptimizeOptions(
        task=task,
        pair=pair,
        model=model,
        budget_usd=Decimal(str(budget)),
        calls=calls,
        rounds=rounds,
        seed=seed,
        quality=quality,
        models=names_of(models),
        temperatures=_temperatures(temperatures),
        concurrency=concurrency,
        gate=gate,
        stand_in=stand_in,
    )
    with interruptible("What was paid for is kept; run the same command again to go on."):
        done = run_search(options, with_api_base(Settings(), model, api_base))
    say("\n".join(console_lines(done.report)))
    say(f"\nReport: {done.page}")
    if done.written is None:
        say("No pair file was written; those of the rows stand beside the report.")
        raise typer.Exit(GATE_REJECTS)
    say(f"Pair: {done.written}\nNext: read it, then {omni('gate', done.written.stem, task=task)}")


def _temperatures(text: str) -> tuple[str, ...]:
    from eval.spine.errors import OptimizeError

    found = []
    for word in names_of(text):
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 2:
            raise OptimizeError(
                f"--temperatures {word!r} is no temperature: write numbers from 0 to 2, such as 0,0.3,0.7"
            )
        found.append(f"{value:g}")
    return tuple(dict.fromkeys(found))
