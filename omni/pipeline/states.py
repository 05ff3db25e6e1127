"""The pipeline as a Step Functions state machine, made from the declaration, and the worker of its activities.

Each stage is an activity: a worker asks for it, runs it where the project's files are, and reports its record. So the same
definition runs on AWS and on the local AWS. A worker that is killed reports nothing; Step Functions gives the stage out again
after its heartbeat is missed, and the stage finds what it has done.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.release.unseen import Say
from omni.pipeline.plan import PipelinePlan, PipelineStage
from omni.pipeline.run import run_key, run_stage
from omni.pipeline.stages import PipelineRun
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

HEARTBEAT_S = 60
_LONGEST_CAUSE = 30_000  # Step Functions takes 32,768 characters


def activity_name(stage: PipelineStage) -> str:
    """Return the name of a stage's activity."""
    return f"omni-{stage.id}"


def definition(plan: PipelinePlan, prefix: str) -> dict[str, Any]:
    """Return the state machine in the Amazon States Language.

    ``prefix`` is what stands before the names of the activities in their ARNs: ``arn:aws:states:REGION:ACCOUNT:activity:``.
    """
    states: dict[str, Any] = {}
    for place, stage in enumerate(plan.stages):
        after = plan.stages[place + 1].id if place + 1 < len(plan.stages) else None
        states[stage.id] = {
            "Type": "Task",
            "Comment": stage.what,
            "Resource": f"{prefix}{activity_name(stage)}",
            "TimeoutSeconds": stage.timeout_s,
            "HeartbeatSeconds": HEARTBEAT_S,
            "Retry": [
                # A stage that failed by its own judgement fails again; one whose worker is gone does not.
                {"ErrorEquals": ["States.Timeout", "States.HeartbeatTimeout"], "IntervalSeconds": 5, "MaxAttempts": 3,
                 "BackoffRate": 2.0}
            ],
            "ResultPath": f"$.{stage.id.replace('-', '_')}",
            **({"Next": after} if after else {"End": True}),
        }  # fmt: skip
    return {
        "Comment": "From customers' data to messages; made from infra/pipeline.yaml",
        "StartAt": plan.stages[0].id,
        "States": states,
    }


def run_of(given: dict[str, Any], settings: Settings) -> PipelineRun:
    """Return the run that an execution's input names: task, pair, why, customers and, if it wants others, steps.

    Raises:
        ConfigurationError: one is missing.
    """
    try:
        task, pair, why, customers = (str(given[name]) for name in ("task", "pair", "why", "customers"))
    except KeyError as err:
        raise ConfigurationError(f"the execution's input lacks {err}; it needs task, pair, why and customers") from err
    path = Path(customers)
    return PipelineRun(
        task=task, pair=pair, why=why, customers=path, settings=settings,
        steps=tuple(int(step) for step in given.get("steps", (10, 50, 100))),
        folder=settings.state_dir / "pipeline" / run_key(task, pair, path),
    )  # fmt: skip


def start_work(
    plan: PipelinePlan, states: Any, prefix: str, settings: Settings, say: Say, over: threading.Event
) -> list[threading.Thread]:
    """Start a thread for each activity, which asks for tasks and runs them until ``over`` is set; a request for one takes 60 s.

    ``states`` is a boto3 client of Step Functions whose reads may take longer than that.
    """

    def work(stage: PipelineStage) -> None:
        while not over.is_set():
            work_once(plan, stage, states, prefix, settings, say)

    threads = [threading.Thread(target=work, args=(stage,), daemon=True) for stage in plan.stages]
    for thread in threads:
        thread.start()
    return threads


def work_once(plan: PipelinePlan, stage: PipelineStage, states: Any, prefix: str, settings: Settings, say: Say) -> None:
    """Ask once for a task of a stage's activity, run it if there is one, and report what came of it."""
    task = states.get_activity_task(activityArn=f"{prefix}{activity_name(stage)}", workerName="omni")
    if not (token := task.get("taskToken")):
        return
    try:
        with _heartbeat(states, token):
            record = run_stage(plan, stage, run_of(json.loads(task["input"]), settings), say)
    except Exception as err:  # whatever it is, Step Functions has to hear of it
        say(f"{stage.id}: {err}")
        states.send_task_failure(taskToken=token, error=type(err).__name__, cause=str(err)[:_LONGEST_CAUSE])
    else:
        states.send_task_success(taskToken=token, output=json.dumps(record.to_json()))


@contextmanager
def _heartbeat(states: Any, token: str) -> Iterator[None]:
    """Tell Step Functions every 20 s that the stage goes on, while the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_S / 3):
            states.send_task_heartbeat(taskToken=token)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
