"""The pipeline killed in each stage, in its middle and behind its effect, and resumed: nothing is double."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from eval.tracking.store import Tracking
from omni.pipeline.plan import PLAN_FILE, read_plan
from omni.pipeline.run import run_pipeline
from omni.pipeline.stages import STAGES, StageFailed
from omni.pipeline.states import activity_name, definition, run_of, start_work
from service.core.release.registry import fetch_released, released_versions
from service.kit.aws.clients import client
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT, Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PLAN = read_plan(REPO_ROOT / PLAN_FILE, STAGES.__contains__)
# Where the process dies: at the n-th call of a function of a module. `run.write_whole` writes a stage's record.
KILLS = [
    ("stages", "write_whole", 2),  # one of the two files of data-prep-processor is written
    ("run", "write_whole", 1),
    ("stages", "_evidence", 2),  # the evaluation is over, and nothing says so
    ("run", "write_whole", 1),
    ("stages", "canonical_json", 2),  # evaluation.json is written; the release is made, and deployment.json is not
    ("run", "write_whole", 1),
    ("stages", "canonical_json", 9),  # some lines are answered
    ("run", "write_whole", 1),
]
DRIVER = """
import os, signal, sys
from pathlib import Path
from omni.pipeline import run, stages
from omni.pipeline.plan import PLAN_FILE, read_plan
from omni.pipeline.states import run_of
from service.kit.settings import Settings, REPO_ROOT
import json
module, name, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
if module:
    real, calls = getattr(globals()[module], name), []
    def counted(*args, **more):
        calls.append(1)
        if len(calls) == most:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    setattr(globals()[module], name, counted)
plan = read_plan(REPO_ROOT / PLAN_FILE, stages.STAGES.__contains__)
run.run_pipeline(plan, run_of(json.loads(sys.argv[4]), Settings()), lambda line: print(line, flush=True))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("pipeline")
    (made / "prompts").mkdir()
    shutil.copy(REPO_ROOT / "prompts" / "models.yaml", made / "prompts")
    for folder in ("prompts", "datasets"):
        shutil.copytree(REPO_ROOT / folder / "upsell", made / folder / "upsell")
    cases = (REPO_ROOT / "datasets" / "upsell" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    customers = [json.loads(line)["inputs"] for line in cases]
    for one in customers[::2]:  # the templates write to nobody with a note
        one["visits"] = [visit | {"note": ""} for visit in one.get("visits", [])]
    lines = [json.dumps(one) for one in customers]
    wrong = json.dumps(json.loads(lines[0]) | {"as_of": "yesterday"})
    (made / "customers.jsonl").write_text("\n".join([*lines, wrong, lines[3], "{"]) + "\n", encoding="utf-8")
    return made


def settings_of(root, **more):
    return Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db", **more)


def given(root, **changes):
    return {
        "task": "upsell",
        "pair": "templates",
        "why": "the floor",
        "customers": str(root / "customers.jsonl"),
    } | changes


def driven(root, kill=("", "", 0)):
    """Run the pipeline in a process of its own; return how it ended and what it said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    env |= {"OMNI_ROOT": str(root), "OMNI_STATE_DIR": str(root / "state"), "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
            "PYTHONPATH": str(REPO_ROOT)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *map(str, kill), json.dumps(given(root))],
        cwd=REPO_ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr


def records(folder):
    return sorted(path.name.removesuffix(".record.json") for path in folder.glob("*.record.json"))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def resumed(root):
    """The pipeline after eight kills, with what each process said."""
    said = []
    for kill in KILLS:
        code, out, err = driven(root, kill)
        assert code == -signal.SIGKILL, (kill, out, err)
        said.append(out)
    code, out, err = driven(root)
    assert code == 0, err
    return [*said, out]


@pytest.mark.acceptance("stage-01")
def test_killed_in_each_stage_and_resumed_nothing_is_double(root, resumed):
    settings = settings_of(root)
    run = run_of(given(root), settings)
    assert records(run.folder) == sorted(STAGES)
    assert len(lines(run.folder / "prepared.jsonl")) == 40
    assert [(one["line"], one["field"]) for one in lines(run.folder / "quarantined.jsonl")] == [
        (41, "as_of"), (42, ""), (43, ""),
    ]  # fmt: skip
    # One evaluation, one release, one answer for each customer, in the customers' order.
    tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
    (logged,) = tracking.records("upsell", "templates")
    assert json.loads((run.folder / "evaluation.json").read_text())["mlflow_run"] == logged.mlflow_run_id
    assert len(released_versions("upsell", settings)) == 1
    assert fetch_released("upsell", settings).sequence == 1
    answers = lines(run.folder / "answers.jsonl")
    assert len({one["record"] for one in answers}) == len(answers) == 40
    assert {one["output"]["decision"] for one in answers} == {"send", "suppressed"}
    # What a killed process had done was found, and not done again.
    assert any("evidence holds already" in line for line in resumed[4])
    assert any(line.startswith("data-prep-processor: done before") for line in resumed[3])
    (last,) = (line for line in resumed[-1] if line.startswith("inference: 40 "))
    assert "40 of them before" in last


def test_a_second_run_does_nothing_and_another_customer_costs_one_answer(root, resumed):
    settings = settings_of(root)
    run = run_of(given(root), settings)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.name != "lock"}
    assert [record.ran for record in run_pipeline(PLAN, run, [].append)] == [False] * 4
    assert {path.name: path.read_bytes() for path in run.folder.iterdir() if path.name != "lock"} == before

    customers = root / "customers.jsonl"
    new = json.loads(customers.read_text(encoding="utf-8").splitlines()[0]) | {"customer_id": "one-more"}
    with customers.open("a", encoding="utf-8") as file:
        file.write(json.dumps(new) + "\n")
    said = []
    assert [record.ran for record in run_pipeline(PLAN, run, said.append)] == [True] * 4
    assert "inference: 41 records answered by templates (release 1), 40 of them before" in said
    assert (
        len(Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file).records("upsell", "templates"))
        == 1
    )
    assert len(released_versions("upsell", settings)) == 1
    (run.folder / "answers.jsonl").write_text("somebody wrote here\n", encoding="utf-8")
    assert [record.ran for record in run_pipeline(PLAN, run, [].append)] == [False, False, False, True]
    assert len(lines(run.folder / "answers.jsonl")) == 41


@pytest.mark.acceptance("stage-01")
def test_step_functions_executes_the_definition_made_from_the_same_declaration(root, resumed, local_aws):
    endpoint = local_aws().aws.endpoint
    states = client("stepfunctions", settings_of(root, aws_endpoint=endpoint, store_timeout_s=90.0))
    arns = [states.create_activity(name=activity_name(stage))["activityArn"] for stage in PLAN.stages]
    prefix = arns[0].removesuffix(activity_name(PLAN.stages[0]))
    machine = states.create_state_machine(
        name="omni-pipeline",
        definition=json.dumps(definition(PLAN, prefix)),
        roleArn="arn:aws:iam::000000000000:role/omni",
    )["stateMachineArn"]
    # The registry stands in a file: no other store of the local AWS is asked.
    settings, over, said = settings_of(root), threading.Event(), []

    start_work(PLAN, states, prefix, settings, said.append, over)
    try:
        good = finished(
            states, states.start_execution(stateMachineArn=machine, input=json.dumps(given(root)))["executionArn"]
        )
        missing = given(root, customers=str(root / "none.jsonl"))
        bad = finished(
            states, states.start_execution(stateMachineArn=machine, input=json.dumps(missing))["executionArn"]
        )
    finally:
        over.set()  # the threads end with their requests, within a minute
    assert good["status"] == "SUCCEEDED", good
    output = json.loads(good["output"])
    folder = run_of(given(root), settings).folder
    for stage in PLAN.stages:
        kept = json.loads((folder / f"{stage.id}.record.json").read_text(encoding="utf-8"))
        assert output[stage.id.replace("-", "_")]["outputs"] == kept["outputs"]
    assert len(released_versions("upsell", settings)) == 1
    assert bad["status"] == "FAILED"
    assert any("none.jsonl cannot be read" in line for line in said)


def finished(states, execution):
    """Return an execution once it is over."""
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        threading.Event().wait(0.2)
    return found


def test_two_processes_do_not_run_one_pipeline(root):
    run = run_of(given(root, pair="other"), settings_of(root))
    run.folder.mkdir(parents=True, exist_ok=True)
    hold = "import fcntl,sys;f=open(sys.argv[1],'w');fcntl.flock(f,fcntl.LOCK_EX);print(1,flush=True);sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold,
         str(run.folder / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    holder.stdout.readline()
    try:
        with pytest.raises(StageFailed, match="another process runs this pipeline"):
            run_pipeline(PLAN, run, [].append)
    finally:
        with suppress(ProcessLookupError):
            holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda text: text.replace("id: inference", "id: guess"), "stage 'guess' has no code"),
        (lambda text: text.replace("answers.jsonl", "prepared.jsonl"), "file 'prepared.jsonl' stands twice"),
        (lambda text: text.replace("timeout: 12h", "timeout: soon"), "write a number with its unit"),
        (lambda text: text + "extra: 1\n", "extra"),
    ],
)
def test_a_wrong_declaration_says_where_and_what(tmp_path, changed, told):
    path = tmp_path / "pipeline.yaml"
    path.write_text(changed((REPO_ROOT / PLAN_FILE).read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        read_plan(path, STAGES.__contains__)


@pytest.mark.parametrize("text", ["", "{}\n{", '{"tenant": 1}'])
def test_customers_of_whom_none_is_right_stop_the_pipeline_and_write_nothing(root, tmp_path, text):
    path = tmp_path / "customers.jsonl"
    path.write_text(text, encoding="utf-8")
    run = run_of(given(root, customers=str(path)), settings_of(root))
    with pytest.raises(StageFailed, match=r"none of the \d records"):
        run_pipeline(PLAN, run, [].append)
    assert [one.name for one in run.folder.iterdir()] == ["lock"]
