"""``backfill``: summarise past requests in bulk, or score their kept texts again."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eval.commands.arguments import COULD_NOT_RUN, TaskName
from service.display.terminal import say

if TYPE_CHECKING:
    from decimal import Decimal

    from eval.backfill.run import BackfillProgress
    from service.pair import Pair
    from service.settings import Settings


def backfill(
    name: Annotated[str, typer.Option(help="Name of the backfill; the same name resumes it.")],
    pair: Annotated[
        str | None, typer.Option(help="Pair that summarises; without it, the kept texts are scored again.")
    ] = None,
    week: Annotated[str | None, typer.Option(help="ISO week of answered requests, e.g. 2026-W46.")] = None,
    inputs: Annotated[Path | None, typer.Option(help="File of lines with id and inputs, in place of a week.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Maximum requests per second.")] = None,
    budget: Annotated[str | None, typer.Option(help="Maximum cost in USD, e.g. 2.50.")] = None,
    chunk: Annotated[
        int, typer.Option(min=1, max=10_000, help="Items per chunk; a kill loses at most the chunks in work.")
    ] = 50,
    engine: Annotated[Literal["asyncio", "dask"], typer.Option(help="What runs the chunks.")] = "asyncio",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Chunks at a time, with --engine dask only.")] = 2,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Model calls in flight per chunk.")] = 4,
    task: TaskName = "summarize",
) -> None:
    """Summarise past requests or score their texts again, within a rate and a budget. Exit code 1: stopped by the budget."""
    from eval.backfill.engines import engine_of
    from eval.backfill.history import items_of_file, items_of_week
    from eval.backfill.run import BackfillOrder
    from eval.backfill.run import backfill as work_off
    from eval.errors import BackfillError
    from service.local import aws
    from service.settings import Settings
    from service.telemetry.log import configure_logging

    settings = Settings()
    configure_logging("WARNING")
    if (week is None) == (inputs is None):
        raise BackfillError("name the requests with one of --week 2026-W46 and --inputs file.jsonl")
    if settings.environment == "local" and settings.aws.endpoint is None:
        settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    items, gone = (items_of_file(inputs), 0) if inputs else items_of_week(week or "", task, settings)
    loaded = None if pair is None else _load_pair(pair, task, settings)
    order = BackfillOrder(
        task=task,
        mode="summarise" if loaded else "rescore",
        folder=settings.state_dir / "backfill" / name,
        pair=loaded,
        chunk_size=chunk,
        per_second=rate,
        budget_usd=None if budget is None else _amount(budget),
        concurrency=concurrency,
    )

    try:
        state = work_off(order, items, engine_of(engine, workers), settings, _say)
    except KeyboardInterrupt:
        say("error: interrupted. Finished chunks are kept; run the same command again to go on.", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None
    lost = f", {gone} left out because their history is gone" if gone else ""
    say(
        f"{state.items} of {len(items)} items ({state.resumed} chunks done before), {state.failed} failed{lost}: {order.folder}"
    )
    if state.stopped:
        say(state.stopped)
        raise typer.Exit(1)


def _load_pair(name: str, task: str, settings: "Settings") -> "Pair":
    from service.cards import ModelCards
    from service.pair_file import load_pair
    from service.task import load_task

    return load_pair(
        settings.prompts_dir / task / f"{name.removesuffix('.prompty')}.prompty",
        cards=ModelCards.load(settings.prompts_dir / "models.yaml"),
        task_variables=load_task(task).variables,
    )


def _amount(budget: str) -> "Decimal":
    from decimal import Decimal, InvalidOperation

    from eval.errors import BackfillError

    try:
        return Decimal(budget)
    except InvalidOperation:
        raise BackfillError(f"--budget {budget!r} is not an amount; write it like 2.50") from None


def _say(state: "BackfillProgress") -> None:
    say(
        f"{state.done} of {state.chunks} chunks, {state.items} items, {state.cost_usd:f} USD",
        file=sys.stderr,
        flush=True,
    )
