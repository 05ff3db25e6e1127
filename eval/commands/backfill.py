"""``backfill``: summarise past requests in bulk, score a file of cases, or check the kept texts again."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import TaskName, interruptible, with_local_aws
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from decimal import Decimal

    from eval.backfill.run import BackfillOrder, BackfillProgress
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair import Pair
    from service.kit.settings import Settings

_SAY_EVERY_S = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def backfill(
    name: Annotated[str, typer.Option(help="Name of the backfill; the same name resumes it.")],
    pair: Annotated[
        str | None, typer.Option(help="Pair that summarises; without it, the kept texts are checked again.")
    ] = None,
    week: Annotated[str | None, typer.Option(help="ISO week of answered requests, e.g. 2026-W46.")] = None,
    inputs: Annotated[Path | None, typer.Option(help="File of lines with id and inputs, in place of a week.")] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Score every answer by the lines' expectations, as `omni eval` does.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Maximum requests per second, of all workers.")] = None,
    budget: Annotated[str | None, typer.Option(help="Maximum cost in USD, e.g. 2.50; never exceeded.")] = None,
    chunk: Annotated[int, typer.Option(min=1, max=10_000, help="Items per file of finished rows.")] = 50,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Workers: local:2 for two processes here, tcp://host:8786 for a Dask scheduler's. Default: none."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="Items in flight per process; a remote worker's are its threads.")
    ] = 4,
    task: TaskName = "summarize",
) -> None:
    """Summarise past requests or check their texts again, within a rate and a budget. Exit code 1: stopped by the budget."""
    from eval.backfill.budget import cards_for
    from eval.backfill.run import BackfillOrder
    from eval.spine.errors import BackfillError
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.kit.settings import Settings
    from service.kit.telemetry.log import configure_logging

    if not _NAME.fullmatch(name):
        raise BackfillError(
            f"--name {name!r} names a folder: letters, digits, '.', '_' and '-', a letter or digit first"
        )
    settings = with_local_aws(Settings())
    configure_logging("WARNING")
    if (week is None) == (inputs is None):
        raise BackfillError("name the requests with one of --week 2026-W46 and --inputs file.jsonl")
    if score and (pair is None or inputs is None):
        raise BackfillError(
            "--score needs --pair and --inputs: it scores the pair's answers to lines with expectations"
        )
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    loaded = None if pair is None else _load_pair(pair, task, cards, settings)
    order = BackfillOrder(
        task=task,
        mode="rescore" if loaded is None else "score" if score else "summarise",
        folder=settings.state_dir / "backfill" / name,
        pair=loaded,
        cards=() if loaded is None else cards_for(loaded, cards, load_task(task)),
        chunk_size=chunk,
        per_second=rate,
        budget_usd=None if budget is None else _amount(budget),
    )
    _work_off(order, week, inputs, cluster, concurrency, settings)


def _work_off(
    order: "BackfillOrder",
    week: str | None,
    inputs: Path | None,
    cluster: str | None,
    concurrency: int,
    settings: "Settings",
) -> None:
    from eval.backfill.engines import engine_of
    from eval.backfill.history import items_of_file, items_of_week
    from eval.backfill.run import backfill as work_off
    from eval.backfill.scores import score_lines

    engine = engine_of(cluster, concurrency)
    items, gone = (items_of_file(inputs), 0) if inputs else items_of_week(week or "", order.task, settings)
    with interruptible("Finished items are kept; run the same command again to go on."):
        state = work_off(order, items, engine, settings, _now_and_then(_say))
    without = f", {gone} left out because their history is gone" if gone else ""
    say(
        f"{state.done} of {state.items} items ({state.resumed} done before), {state.failed} failed{without}, "
        f"{state.cost_usd:f} USD: {order.folder}"
    )
    if state.lost:
        say(
            f"{state.lost} calls were lost with their process and asked again; they count at the most that they can have cost, "
            f"{state.lost_usd:f} USD"
        )
    for line in score_lines(order.folder) if order.mode == "score" else ():
        say(line)
    if state.stopped:
        say(state.stopped)
        raise typer.Exit(1)


def _load_pair(name: str, task: str, cards: "ModelCards", settings: "Settings") -> "Pair":
    from service.core.run.task import load_task
    from service.core.unit.pair_file import load_pair

    return load_pair(
        settings.prompts_dir / task / f"{name.removesuffix('.prompty')}.prompty",
        cards=cards,
        task_variables=load_task(task).variables,
        part_variables=load_task(task).part_variables,
    )


def _amount(budget: str) -> "Decimal":
    from decimal import Decimal, InvalidOperation

    from eval.spine.errors import BackfillError

    try:
        amount = Decimal(budget)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise BackfillError(f"--budget {budget!r} is not an amount of dollars; write it like 2.50")
    return amount


def _now_and_then(show: "Callable[[BackfillProgress], None]") -> "Callable[[BackfillProgress], None]":
    """Return a function that shows every change of the workers at once, and the progress every few seconds."""
    said, workers = time.monotonic(), 1

    def maybe(state: "BackfillProgress") -> None:
        nonlocal said, workers
        if state.workers != workers or time.monotonic() - said >= _SAY_EVERY_S:
            said, workers = time.monotonic(), state.workers
            show(state)

    return maybe


def _say(state: "BackfillProgress") -> None:
    workers = (
        f", {state.in_flight} in flight on {state.workers} worker{'s' * (state.workers != 1)}"
        if state.in_flight
        else ""
    )
    lost = f", {state.lost} calls lost" if state.lost else ""
    say(f"{state.done} of {state.items} items{workers}, {state.cost_usd:f} USD{lost}", file=sys.stderr, flush=True)
