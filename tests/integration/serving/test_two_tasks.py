"""Two real services with separate disks on one local AWS and one MLflow store act as one."""

import time

import pytest
from two_tasks import ACCOUNTS, Deployment, ServingTask, Watched, eventually

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def deployment(local_aws, tmp_path):
    made = Deployment(local_aws(), tmp_path)
    running = []

    def start(*disks):
        tasks = [ServingTask(made, tmp_path / disk) for disk in disks]
        running.extend(tasks)
        return [task.ready() for task in tasks]

    yield made, start
    for task in running:
        task.end()


def counted(task):
    sides = task.pair()["rollout"]["sides"]
    return {side: counts["requests"] for side, counts in sides.items()}


def test_a_stop_by_one_task_reaches_the_other_and_outlives_its_disk(deployment, capsys):
    made, start = deployment
    one, other = start("one", "other")
    step = made.roll_out(50)
    for task in (one, other):
        eventually(lambda task=task: (task.pair()["rollout"] or {}).get("rollout") == step, "the step is seen")
    # Neither task has the 100 requests on each side that the rule needs; together they have.
    one.ask_all(ACCOUNTS[:90])
    other.ask_all(ACCOUNTS[90:180])
    for task in (one, other):
        eventually(lambda task=task: sum(counted(task).values()) == 180, "the counts of both are added up")
        assert not task.pair()["rollout"]["stopped"]
        assert all(80 < n < 100 for n in counted(task).values())
    with Watched([one, other], lambda task: task.pair()["rollout"]["stopped"]) as stopped:
        one.ask_all(ACCOUNTS[:100])
    reason = one.pair()["rollout"]["stopped"]
    assert None not in stopped.moments
    assert other.pair()["rollout"]["stopped"] == reason
    with capsys.disabled():
        print(f"\nbetween the stops of the two tasks: {abs(stopped.moments[1] - stopped.moments[0]):.1f} s")
    assert {answer["pair"] for answer in other.ask_all(ACCOUNTS[:10])} == {"extractive"}
    other.end()
    (new,) = start("a new disk")
    known, _ = eventually(lambda: (new.pair()["rollout"] or {}).get("stopped"), "a task with an empty disk knows of it")
    assert known == reason
    eventually(lambda: sum(counted(new).values()) >= 180, "it adds up what all have counted")
    assert {answer["pair"] for answer in new.ask_all(ACCOUNTS[:10])} == {"extractive"}


def test_a_release_reaches_both_tasks_and_a_third_without_registry(deployment, capsys):
    made, start = deployment
    one, other = start("one", "other")
    release = made.release()
    released_at = time.monotonic()
    with Watched([one, other], lambda task: task.pair()["release"]["sequence"] == release.sequence) as served:
        pass
    assert None not in served.moments
    with capsys.disabled():
        print(f"\nserved {', '.join(f'{moment - released_at:.1f} s' for moment in served.moments)} after the release")
    made.hide_registry()
    (third,) = start("a new disk")
    assert third.pair()["release"]["sequence"] == release.sequence
    assert third.pair()["source"] == "last_known_good"
    assert third.ask(ACCOUNTS[0])["pair"] == "extractive"
    made.bring_registry_back()
    eventually(lambda: third.pair()["source"] == "registry", "the registry confirms it")
