"""One run of simulated traffic from options to counts; can be stopped and goes on where it was."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from eval.errors import TrafficError
from eval.loaders import load_dataset
from eval.traffic.drive import Driver, TrafficCounts
from eval.traffic.plan import TrafficOptions, TrafficPlan, make_plan
from eval.traffic.releases import TASK
from eval.traffic.stories import episodes
from eval.traffic.truth import write_truth
from eval.traffic.world import open_world
from service.aws.clients import client
from service.interactions.table import InteractionTable
from service.local import aws
from service.settings import Settings
from service.task import load_task

# The gate's cases stay unseen: whoever tunes a pair by this traffic must not have tuned it by them.
_CASES = "dev"


def traffic_folder(settings: Settings) -> Path:
    """Return where a run keeps its journal, its clock, its logs and the truth."""
    return settings.state_dir / "traffic"


def plan_traffic(options: TrafficOptions, settings: Settings) -> TrafficPlan:
    """Return the timetable over the development cases."""
    dataset = load_dataset(_CASES, task=TASK, input_model=load_task(TASK).input_model, settings=settings)
    return make_plan(options, episodes(dataset.cases))


def run_traffic(options: TrafficOptions, settings: Settings, say: Callable[[str], None]) -> TrafficCounts:
    """Play the weeks of ``options`` against a service of this state, its releases included.

    Raises:
        TrafficError: the state holds other traffic or releases of its own, or something refused.
        ServiceError: a part does not start.
    """
    if settings.environment != "local":
        raise TrafficError("simulated traffic is for `local` alone: its customers and its weeks are made up")
    folder = traffic_folder(settings)
    _claim(options, settings, folder)
    plan = plan_traffic(options, settings)
    write_truth(plan, folder / "truth.json")
    with open_world(settings, folder) as world:
        endpoint = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
        dynamodb = client("dynamodb", endpoint)
        try:
            driver = Driver(
                plan=plan,
                world=world,
                histories=InteractionTable(dynamodb, settings.stores.interactions_table),
                journal=folder / "journal.jsonl",
                say=say,
            )
            return asyncio.run(driver.run())
        finally:
            dynamodb.close()


def _claim(options: TrafficOptions, settings: Settings, folder: Path) -> None:
    mark = folder / "begun.json"
    if mark.exists():
        begun = json.loads(mark.read_text(encoding="utf-8"))["options"]
        if begun != options.digest:
            raise TrafficError(
                f"{folder} holds traffic of other options: the same options go on with it; for others delete "
                f"{settings.state_dir} or set OMNI_STATE_DIR"
            )
        return
    if Path(settings.registry.uri.removeprefix("sqlite:///")).exists():
        raise TrafficError(
            f"the registry {settings.registry.uri} has a life of its own, and traffic would release pairs into it: use "
            "leave OMNI_STATE_DIR and OMNI_REGISTRY_URI unset, or set both to places of its own"
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"options": options.digest}), encoding="utf-8")
