"""Steps in which something is lost, killed or asked wrongly, and what the whole run showed of rights and ways out."""

import json
import time

import httpx2

from omni.deploying.rehearsal.account import CannotDeploy
from omni.deploying.rehearsal.bring_up import STAYS_SHUT
from omni.deploying.rehearsal.front import EXPIRED
from omni.deploying.rehearsal.in_use import ask
from omni.deploying.rehearsal.steps import RehearsalSteps, Unexpected, expect
from omni.deploying.rehearsal.tasks import wait_until
from omni.deploying.rehearsal.templates import resources
from omni.deploying.rehearsal.world import OTHER_REGION, STAGE, WRONG_ACCOUNT, LocalProduction
from service.kit.settings import REPO_ROOT
from service.kit.telemetry.alarm_state import Datapoints, state

STEPS = RehearsalSteps()
_PLAN = REPO_ROOT / "infra" / "observability.yaml"
# What an outage of everything must set off: nobody is answered, no task is well.
_OUTAGE = frozenset({"canary-silent", "balancer-empty"})


@STEPS.step("Restore the registry", "from a copy of its database; releases verify")
def _restore_registry(world: LocalProduction) -> str:
    assert world.database is not None
    assert world.registry is not None
    copy = world.database.dump("mlflow")
    world.registry.kill()
    world.database.drop("mlflow")
    ask(world)
    world.database.restore("mlflow", copy)
    seconds = world.start_registry()
    done = world.shell("omni verify")
    problems = [line for line in done.stdout.splitlines() if line.startswith("BROKEN")]
    expect(done.returncode == 0, "; ".join(problems) or done.stderr.strip()[-300:])
    return f"dropped, restored, verified; the registry is healthy after {seconds:.0f} s"


@STEPS.step("The registry is killed", "answers go on, and a new task gets ready")
def _registry_killed(world: LocalProduction) -> str:
    assert world.registry is not None
    world.registry.kill()
    ask(world)
    name = sorted(world.places)[0]
    world.tasks[name].kill()
    zone = int(world.places[name][0].split(".")[2]) - 1
    world.start_task(name, zone=zone)
    wait_until(lambda: name not in world.balancers[0].well, f"{name} is replaced", 60)
    seconds = wait_until(lambda: name in world.balancers[0].well, f"{name}, new and without a registry, is well", 120)
    ask(world)
    return f"answers go on; a new task without a disk is well after {seconds:.0f} s"


@STEPS.step("A zone is killed", "the others answer, and the tasks come back")
def _zone_killed(world: LocalProduction) -> str:
    """All tasks of one zone end at once, while a customer asks; ECS starts them in another zone."""
    lost = [name for name, (address, _) in world.places.items() if int(address.split(".")[2]) == 1]
    for name in lost:
        world.tasks[name].kill()
    began, sent, failed = time.monotonic(), 0, 0
    while time.monotonic() - began < 15:
        sent += 1
        try:
            ask(world)
        except (Unexpected, httpx2.HTTPError):
            failed += 1
    for name in lost:
        world.start_task(name, zone=1)
    world.wait_ready(len(world.places))
    ask(world)
    expect(failed * 2 < sent, f"{failed} of {sent} requests failed within 15 s")
    return f"{len(lost)} of {len(world.places)} tasks; {failed} of {sent} requests failed within 15 s, none after"


@STEPS.step("Bad input", "one line each, nothing half-done, and the right input afterwards does it")
def _bad_input(world: LocalProduction) -> str:
    """What somebody gets who asks AWS wrongly: one line that says what to do, before anything is made."""
    before = world.account.stacks()
    cases = {
        "expired credentials": {"key": EXPIRED},
        "another account": {"key": WRONG_ACCOUNT},
        "another region": dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION", "OMNI_AWS_REGION"), OTHER_REGION),
    }
    for what, changed in cases.items():
        for line in ("unset OMNI_ENVIRONMENT; omni deploy settings", f"python tools/cdk.py {STAGE} deploy omni-data"):
            _one_line(world, what, line, **changed)
        kept = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; omni deploy status', **changed)
        shut = kept.returncode == 2 and STAYS_SHUT in kept.stderr
        expect(shut, f"{what}: the shell goes on and asks something else: {(kept.stdout + kept.stderr).strip()[-200:]}")
    world.aws.quota = 0.0
    _one_line(world, "a quota of zero", f"python tools/cdk.py {STAGE} deploy omni-api")
    world.aws.quota = 1000.0
    unknown = {"RegistryImage": "x", "NoSuchParameter": "x"}
    for given, word in (({}, "lacks the parameters"), (unknown, "has no parameters")):
        try:
            world.account.deploy("omni-again", world.template("omni-registry"), given)
        except CannotDeploy as err:
            expect(word in str(err) and "\n" not in str(err), str(err))
        else:
            raise Unexpected(f"a stack stands with the parameters {given}")
    expect(world.account.stacks() == before, f"stacks were made or changed: {world.account.stacks()}")
    again = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; echo "$OMNI_ENVIRONMENT"')
    expect(again.stdout.strip() == "aws", f"with the right credentials: {(again.stdout + again.stderr).strip()[-200:]}")
    return f"{', '.join(cases)}, a quota of zero, a missing and an unknown parameter: one line each; then the right ones do it"


def _one_line(world: LocalProduction, what: str, line: str, **changed: str) -> None:
    done = world.shell(line, **changed)
    lines = done.stderr.strip().splitlines()
    expect(
        done.returncode == 2 and len(lines) == 1,
        f"{what}: exit code {done.returncode}, {len(lines)} lines: {lines[-1:]}",
    )


@STEPS.step("Silence", "the people who are called hear of it when everything stops")
def _silence(world: LocalProduction) -> str:
    """The figures that the tasks wrote in this rehearsal, then ten minutes of nothing; how the templates' alarms take that."""
    import yaml

    plan = {one["name"]: one for one in yaml.safe_load(_PLAN.read_text(encoding="utf-8"))["alarms"]}
    data, now = Datapoints(), time.time()
    for task in world.tasks.values():
        data.read(line for line in task.lines() if line.startswith('{"_aws"'))
    expect(bool(data.of), "no task wrote a figure")
    found, called = [], set()
    for stack in ("omni-observability", "omni-service"):
        for made in resources(world.template(stack), "AWS::CloudWatch::Alarm").values():
            name = str(made["AlarmName"]).removeprefix(f"omni-{STAGE}-")
            if (alarm := plan.get(name)) is None:
                continue  # one of several, or of dead letters
            missing = "breaches" if made["TreatMissingData"] == "breaching" else "fine"
            if state({**alarm, "missing": missing}, data, now + 600) == "ALARM":
                found.append(name)
                called |= {name} if "Critical" in json.dumps(made.get("AlarmActions", [])) else set()
    silent = ", ".join(sorted(_OUTAGE - called))
    expect(not silent, f"nobody is called by {silent}; in alarm: {', '.join(found) or 'none'}")
    return f"{len(called)} alarms call somebody ({', '.join(sorted(called))}), {len(found) - len(called)} wait for the morning"


@STEPS.step("Endpoints", "one for each AWS service that a task asked")
def _endpoints(world: LocalProduction) -> str:
    """Each AWS service that a task asked has a way out of the private network."""
    made = {
        json.dumps(one["ServiceName"])
        for one in resources(world.template("omni-network"), "AWS::EC2::VPCEndpoint").values()
    }
    asked = set().union(*(found for key, found in world.aws.asked.items() if key.startswith("omni-")))
    missing = sorted(one for one in asked if not any(f".{one}" in name for name in made))
    expect(not missing, f"no endpoint for {', '.join(missing)}")
    return ", ".join(sorted(asked))


@STEPS.step("Rights", "no task was refused anything")
def _rights(world: LocalProduction) -> str:
    refused = [f"{what} ({times} times)" for what, times in world.aws.refused.items()]
    expect(not refused, "; ".join(refused))
    return "nothing that a task needed was refused"
