"""Runs simulated traffic from options to counts; an interrupted run continues where it stopped."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from eval.instruments.traffic.drive import Driver, TrafficCounts
from eval.instruments.traffic.plan import TrafficOptions, TrafficPlan, make_plan
from eval.instruments.traffic.releases import TASK
from eval.instruments.traffic.stories import episodes
from eval.instruments.traffic.truth import write_truth
from eval.instruments.traffic.world import open_world
from eval.run.loaders import load_dataset
from eval.spine.alone import working_alone
from eval.spine.errors import TrafficError
from service.core.run.task import load_task
from service.interactions.table import InteractionTable
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.local import aws

# The development cases, so that a pair tuned on this traffic is not tuned on the gate's cases.
_CASES = "dev"


def traffic_folder(settings: Settings) -> Path:
    """Return the folder of a run's journal, clock, logs and ground truth."""
    return settings.state_dir / "traffic"


def plan_traffic(options: TrafficOptions, settings: Settings) -> TrafficPlan:
    """Return the timetable over the development cases."""
    dataset = load_dataset(_CASES, task=TASK, input_model=load_task(TASK).input_model, settings=settings)
    return make_plan(options, episodes(dataset.cases))


def run_traffic(options: TrafficOptions, settings: Settings, say: Callable[[str], None]) -> TrafficCounts:
    """Start the service, replay the weeks of ``options`` including both releases, and return the counts.

    Raises:
        AlreadyRunning: another process plays traffic in this state.
        TrafficError: the state holds traffic with other options or other releases, or the service or the gate refused.
        ServiceError: a process does not start.
    """
    if settings.environment != "local":
        raise TrafficError(
            "simulated traffic invents customers and runs only in the environment `local`: set OMNI_ENVIRONMENT=local"
        )
    folder = traffic_folder(settings)
    _refuse_other_releases(settings, folder)
    with working_alone(folder / ".lock", f"simulated traffic in {folder}"):
        _claim(options, settings, folder)
        return _play(options, settings, folder, say)


def _play(options: TrafficOptions, settings: Settings, folder: Path, say: Callable[[str], None]) -> TrafficCounts:
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
                f"{folder} holds traffic with other options: use the same options to continue it; for a new run delete "
                f"{settings.state_dir} or set OMNI_STATE_DIR"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"options": options.digest}), encoding="utf-8")


def _refuse_other_releases(settings: Settings, folder: Path) -> None:
    """Refuse, before anything is written, a registry that these simulated weeks did not begin."""
    if not (folder / "begun.json").exists() and Path(settings.registry.uri.removeprefix("sqlite:///")).exists():
        raise TrafficError(
            f"the registry {settings.registry.uri} holds other releases, and simulated traffic would add its own to it: "
            "leave OMNI_STATE_DIR and OMNI_REGISTRY_URI unset, or set both to new places for the simulation"
        )
