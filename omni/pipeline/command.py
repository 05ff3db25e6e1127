"""``pipeline``: the stages from data to answers, run here, or exported as a Step Functions definition and worked off for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import PairName, TaskName, Why
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from omni.pipeline.plan import PipelinePlan
    from service.kit.settings import Settings

pipeline = typer.Typer(no_args_is_help=True, help="Prepare data, evaluate, deploy and answer as one pipeline.")
Customers = Annotated[
    Path, typer.Option("--customers", help="File with a customer's record a line: the task's inputs as JSON.")
]
Prefix = Annotated[
    str, typer.Option(help="The activities' ARNs up to their names: arn:aws:states:REGION:ACCOUNT:activity:")
]


@pipeline.command("run")
def run_pipeline(
    pair: PairName,
    customers: Customers,
    why: Why,
    task: TaskName = "upsell",
    steps: Annotated[str, typer.Option(help="Rising shares of a rollout, in per cent.")] = "10,50,100",
    as_json: AsJson = False,
) -> None:
    """Run the stages that are not done; the same command goes on after an interruption. Exit code 1: a stage failed."""
    from omni.pipeline.run import run_pipeline as run
    from omni.pipeline.stages import StageFailed
    from omni.pipeline.states import run_of

    plan, settings = _plan()
    given = {"task": task, "pair": pair, "why": why, "customers": str(customers)}
    try:
        given["steps"] = [int(step) for step in steps.replace(",", " ").split()]  # type: ignore[assignment]
    except ValueError as err:
        raise typer.BadParameter(f"--steps are whole numbers, as in 10,50,100; not {steps!r}") from err
    try:
        records = run(plan, run_of(given, settings), lambda line: None if as_json else say(line, flush=True))
    except StageFailed as err:
        say(f"stopped: {err}")
        raise typer.Exit(1) from err
    if as_json:
        print_json([record.to_json() | {"ran": record.ran} for record in records])


@pipeline.command("export")
def export_pipeline(prefix: Prefix) -> None:
    """Print the state machine for Step Functions, made from infra/pipeline.yaml."""
    from omni.pipeline.states import definition

    plan, _ = _plan()
    print_json(definition(plan, prefix))


@pipeline.command("work")
def work_pipeline(prefix: Prefix) -> None:
    """Work off the stages that executions of the state machine give out, until stopped."""
    from threading import Event

    from omni.pipeline.states import start_work
    from service.kit.aws.clients import client
    from service.kit.aws.endpoint import reached

    plan, _ = _plan()
    with reached() as settings:
        states = client("stepfunctions", settings.model_copy(update={"store_timeout_s": 90.0}))
        threads = start_work(plan, states, prefix, settings, lambda line: say(line, flush=True), Event())
        say(f"{len(threads)} stages; stop with Ctrl-C", flush=True)
        for thread in threads:
            thread.join()


def _plan() -> "tuple[PipelinePlan, Settings]":
    from omni.pipeline.plan import PLAN_FILE, read_plan
    from omni.pipeline.stages import STAGES
    from service.kit.settings import Settings

    settings = Settings()
    return read_plan(settings.root / PLAN_FILE, STAGES.__contains__), settings
