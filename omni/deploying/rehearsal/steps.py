"""The steps of the rehearsal, in the order of the guide: each says what is expected, and returns what it got."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from omni.deploying.rehearsal.account import REGION, CannotDeploy
from omni.deploying.rehearsal.grants import lacking
from omni.deploying.rehearsal.tasks import wait_until
from omni.deploying.rehearsal.templates import resources
from omni.deploying.rehearsal.world import CANARY, EXPIRED, WRONG_ACCOUNT, World
from service.kit.frame.errors import ServiceError
from service.kit.settings import REPO_ROOT

WORKFLOWS = REPO_ROOT / ".github" / "workflows"
# Releases for production from a person's machine, as the guide does from another stage: without the behaviour checks, which
# `aws` asks for and which need promptfoo (`omni gate`).
RELEASING = {
    "OMNI_ENVIRONMENT": "local",
    "OMNI_STAGE": "prod",
    "OMNI_AWS_ENDPOINT": f"https://dynamodb.{REGION}.amazonaws.com",
}
PAIR, SECOND = "extractive", "rehearsed"
CUSTOMERS = 12
BEFORE_THE_SERVICE = ("omni-data", "omni-network", "omni-registry", "omni-warehouse", "omni-observability")


class Unexpected(Exception):
    """A step got something else than it expects; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``vital``: without it, later steps say nothing."""

    name: str
    expected: str
    run: Callable[[World], str]
    vital: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of a step: ``outcome`` is ok, FAILED or not reached."""

    step: str
    expected: str
    got: str
    seconds: float
    outcome: str


def rehearse(world: World, steps: "tuple[Step, ...]") -> Iterator[Row]:
    """Run the steps and yield a row for each; after a vital one that failed, none is run."""
    reached = True
    for step in steps:
        if not reached:
            yield Row(step=step.name, expected=step.expected, got="", seconds=0.0, outcome="not reached")
            continue
        began = time.monotonic()
        try:
            got, outcome = step.run(world), "ok"
        except (Unexpected, CannotDeploy, ServiceError, ClientError, BotoCoreError, OSError, KeyError, ValueError) as err:
            got, outcome, reached = f"{err!s:.300}" or type(err).__name__, "FAILED", not step.vital
        yield Row(
            step=step.name, expected=step.expected, got=got, seconds=time.monotonic() - began, outcome=outcome
        )


def expect(is_so: bool, otherwise: str) -> None:
    """Raise ``Unexpected`` unless it is so."""
    if not is_so:
        raise Unexpected(otherwise)


def stacks_before(world: World) -> str:
    for stack in BEFORE_THE_SERVICE:
        world.deploy(stack)
    world.write_customers(CUSTOMERS)
    return f"{len(BEFORE_THE_SERVICE)} stacks stand"


def too_early(world: World) -> str:
    try:
        world.deploy("omni-service")
    except CannotDeploy as err:
        return str(err)
    raise Unexpected("omni-service stands without its preconditions")


def zones(world: World) -> str:
    found = set(world.zones())
    (wanted,) = (
        one["DesiredCount"]
        for one in resources(world.template("omni-service"), "AWS::ECS::Service").values()
        if one["ServiceName"] == "omni-service"
    )
    expect(len(found) >= 3, f"tasks have {len(found)} zones")
    (group,) = resources(world.template("omni-warehouse"), "AWS::RedshiftServerless::Workgroup").values()
    expect(len(group["SubnetIds"]) >= 3, f"Redshift Serverless has {len(group['SubnetIds'])} subnets and wants three")
    return f"{len(found)} zones for {wanted} tasks"


def grants(world: World) -> str:
    found = lacking(world.template("omni-service"))
    expect(not found, "; ".join(found))
    return "service, calls, schedule and erasure may do what their statements do"


def registry_up(world: World) -> str:
    seconds = world.start_registry()
    return f"its own health check passes after {seconds:.0f} s, on PostgreSQL"


def first_release(world: World) -> str:
    template = world.account.container("omni-registry", "registry")
    password = world.account.secret(template.secrets["WRITER_PASSWORD"])
    address = next(
        each["Value"]
        for one in resources(world.template("omni-service"), "AWS::ECS::TaskDefinition").values()
        for container in one["ContainerDefinitions"]
        for each in container.get("Environment", ())
        if each["Name"] == "OMNI_REGISTRY_URI"
    )
    world.person |= {"OMNI_REGISTRY_URI": address, "MLFLOW_TRACKING_USERNAME": "omni", "MLFLOW_TRACKING_PASSWORD": password}
    return release(world, PAIR)


def release(world: World, pair: str) -> str:
    world.omni("eval", "--pairs", pair, **RELEASING)
    said = world.omni("promote", pair, "--why", "the rehearsal", *waiver(), **RELEASING)
    return said.strip().splitlines()[-1]


def waiver() -> tuple[str, ...]:
    """Return why, by whom and until when a pair without a judge is released in production: the rehearsal has no judge."""
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    return ("--without-judge", "a rehearsal", "--allowed-by", "the rehearsal", "--until", until)


def clients(world: World) -> str:
    keys = (world.folder / "trusted.pem").read_text(encoding="utf-8")
    world.account["ssm"].put_parameter(Name="/omni/trusted-keys", Value=keys, Type="String")
    world.omni("token-keys", "--rotate")
    for name, scopes in (("smoke", "summaries"), ("agents", "summaries feedback")):
        secret = world.omni("client", name, "--scopes", scopes).strip().splitlines()[-1]
        world.account["secretsmanager"].create_secret(
            Name=f"omni-{name}-client", SecretString=json.dumps({"id": name, "secret": secret})
        )
    return "the parameter, a token key, 2 clients with their secrets"


def service_stack(world: World) -> str:
    world.deploy("omni-service")
    return "it stands"


def settings(world: World) -> str:
    done = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; env')
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("OMNI_") and "=" in line)
    expect(found.get("OMNI_ENVIRONMENT") == "aws", done.stderr.strip() or f"OMNI_ENVIRONMENT is {found.get('OMNI_ENVIRONMENT')}")
    given = world.account.container("omni-service", "service").environment
    world.person |= {name: value for name, value in found.items() if name in given and name != "OMNI_REGISTRY_URI"}
    return f"{sum(name in given for name in found)} settings"


def tasks_ready(world: World) -> str:
    world.start_service()
    seconds = world.wait_ready(len(world.tasks))
    return f"{len(world.tasks)} tasks well after {seconds:.0f} s"


def gateway_answers(world: World) -> str:
    world.open_gateway()
    secret = json.loads(world.account["secretsmanager"].get_secret_value(SecretId="omni-agents-client")["SecretString"])
    form = {"grant_type": "client_credentials", "client_id": secret["id"], "client_secret": secret["secret"]}
    import httpx2

    token = httpx2.post(f"{world.gateway}/oauth/token", data=form, timeout=30).json()["access_token"]
    world.bearer = f"Bearer {token}"
    answer = ask(world)
    return f"200 with {len(answer['summary'])} characters by {answer['model_used']}"


def ask(world: World, account: str = CANARY) -> dict[str, Any]:
    """Return an answer about an account, by default the canary's, which has a history."""
    body = {"account_number": account, "contact_id": uuid.uuid4().hex}
    answer = world.ask("/omni-channel-insights", body, authorization=world.bearer)
    expect(answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    expect(not found["degraded"] and found["model_used"] != "none", f"no model answered: {found['model_used']}")
    return found


def smoke(world: World) -> str:
    """ECS's hook, as the function runs it: with history it lets the version in, without it does not."""
    given = world.function_variables("omni-service", "Smoke")
    got = world.call_function("omni-service", "Smoke", given)
    expect(got == "SUCCEEDED", f"the hook says {got}")
    nobody = given | {"OMNI_SMOKE_ACCOUNT": "0000000009", "OMNI_SMOKE_PAUSE_S": "0"}
    without = world.call_function("omni-service", "Smoke", {name: value for name, value in nobody.items() if name != "OMNI_SMOKE_TABLE"})
    expect(without == "FAILED", f"for an account without history, where no model is asked, the hook says {without}")
    return "SUCCEEDED with a model's answer; FAILED where no model is asked"


def workflow_smoke(world: World) -> str:
    """The smoke test of the workflow deploy, with the variables that the workflow gives it and no other secret."""
    import yaml

    job = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text(encoding="utf-8"))["jobs"]["deploy"]
    (step,) = (step for step in job["steps"] if step.get("id") == "smoke")
    stored = sorted(name for name, value in step.get("env", {}).items() if "secrets." in str(value))
    expect(not stored, f"the workflow stores {', '.join(stored)}, and a token lives one hour")
    done = world.shell(
        step["run"].replace(".venv/bin/omni", "omni"), SERVICE_URL=world.balancer_url, CANARY_ACCOUNT=CANARY
    )
    expect(done.returncode == 0, done.stderr.strip()[-300:])
    return done.stdout.strip()


def without_a_key(world: World) -> str:
    body = {"account_number": CANARY, "contact_id": "x"}
    refused = world.ask("/omni-channel-insights", body, key=False, authorization=world.bearer)
    hidden = world.ask("/readyz")
    wrong = world.ask("/omni-channel-insights", {"contact_id": "x"}, authorization=world.bearer)
    got = (refused.status_code, hidden.status_code, wrong.status_code)
    expect(got == (401, 403, 422), f"{got}")
    return "401 without a key, 403 for a path of ours, 422 for a body without an account"


def page(world: World) -> str:
    got = world.ask("/widget.js", key=False)
    expect(got.status_code == 200 and "omni" in got.text, f"{got.status_code}")
    return f"{len(got.content):,} bytes of the widget"


def feedback(world: World) -> str:
    answer = ask(world)
    given = {"request_id": answer["request_id"], "feedback": "helpful"}
    got = world.ask("/feedback", given, authorization=world.bearer)
    expect(got.status_code in (200, 201, 202), f"{got.status_code}: {got.text[:200]}")
    table = world.person["OMNI_SUMMARIES_TABLE"]

    def kept() -> bool:
        rows = world.account["dynamodb"].scan(TableName=table)["Items"]
        return any("helpful" in json.dumps(row) and answer["request_id"] in json.dumps(row) for row in rows)

    seconds = wait_until(kept, "the feedback in the table", 30)
    return f"{got.status_code}, in the table after {seconds:.0f} s"


def rollout(world: World) -> str:
    world.omni("eval", "--pairs", SECOND, **RELEASING)
    advance(world)
    seconds = wait_until(lambda: len({ask(world, one)["prompt_version"] for one in world.customers}) == 2, "both pairs answer", 60)
    return f"both pairs answer after {seconds:.0f} s"


def advance(world: World) -> None:
    """Begin the rollout of the second pair, or go on with it."""
    world.omni("rollout", SECOND, "--steps", "50,100", "--why", "the rehearsal", *waiver(), **RELEASING)


def promotion(world: World) -> str:
    advance(world)
    return f"all customers have it after {_all_have(world, '1.0.1'):.0f} s"


def _all_have(world: World, version: str) -> float:
    wanted = {f"v{version}"}
    return wait_until(lambda: {ask(world, one)["prompt_version"] for one in world.customers} == wanted, f"{version} alone", 60)


def back(world: World) -> str:
    role, statements = world.on_call_role()
    world.aws.roles["on-call"] = statements
    world.omni("rollback", "--task", "summarize", "--why", "the rehearsal", key="on-call")
    return f"{role}: all customers have the pair of before after {_all_have(world, '1.0.0'):.0f} s"


def restore_table(world: World) -> str:
    """The table of clients, keys and releases is lost and comes back, by the page's own commands."""
    dynamodb, table = world.account["dynamodb"], world.person["OMNI_SHARED_TABLE"]
    before = dynamodb.scan(TableName=table)["Count"]
    copy = dynamodb.create_backup(TableName=table, BackupName="omni-restored")["BackupDetails"]["BackupArn"]
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    time.sleep(2.0)
    ask(world)  # what the tasks know is enough meanwhile
    dynamodb.restore_table_from_backup(TargetTableName=table, BackupArn=copy)
    after = dynamodb.scan(TableName=table)["Count"]
    expect(after >= before, f"{after} of {before} items came back")
    ask(world)
    said = world.omni("client", "later", "--scopes", "summaries")
    return f"{after} items; answers went on; a client can be added ({len(said.splitlines())} lines)"


def restore_registry(world: World) -> str:
    assert world.database is not None
    assert world.registry is not None
    copy = world.database.dump("mlflow")
    world.registry.kill()
    world.database.drop("mlflow")
    ask(world)
    world.database.restore("mlflow", copy)
    seconds = world.start_registry()
    world.omni("verify")
    return f"dropped, restored, verified; the registry is healthy after {seconds:.0f} s"


def registry_killed(world: World) -> str:
    assert world.registry is not None
    world.registry.kill()
    ask(world)
    name = sorted(world.tasks)[0]
    world.tasks[name].kill()
    zone = int(world.places[name][0].split(".")[2]) - 1
    world.start_task(name, zone=zone)
    wait_until(lambda: name not in world.balancers[0].well, f"{name} is replaced", 60)
    seconds = wait_until(lambda: name in world.balancers[0].well, f"{name}, new and without a registry, is well", 120)
    ask(world)
    return f"answers go on; a new task without a disk is well after {seconds:.0f} s"


def zone_killed(world: World) -> str:
    """All tasks of one zone end at once, while a customer asks; ECS starts them in another zone."""
    lost = [name for name, (address, _) in world.places.items() if int(address.split(".")[2]) == 1]
    for name in lost:
        world.tasks[name].kill()
    began, sent, failed = time.monotonic(), 0, 0
    while time.monotonic() - began < 15:
        sent += 1
        try:
            ask(world)
        except (Unexpected, OSError):
            failed += 1
    for name in lost:
        world.start_task(name, zone=1)
    world.wait_ready(len(world.tasks))
    ask(world)
    expect(failed * 2 < sent, f"{failed} of {sent} requests failed within 15 s")
    return f"{len(lost)} of {len(world.tasks)} tasks; {failed} of {sent} requests failed within 15 s, none after"


def bad_input(world: World) -> str:
    """What somebody gets who asks AWS wrongly: one line that says what to do, and nothing half-done."""
    cases = {
        "expired credentials": {"key": EXPIRED},
        "another account": {"key": WRONG_ACCOUNT},
        "another region": {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-2", "OMNI_AWS_REGION": "eu-west-2"},
    }
    for what, changed in cases.items():
        done = world.shell("unset OMNI_ENVIRONMENT; omni deploy settings", **changed)
        lines = done.stderr.strip().splitlines()
        expect(done.returncode == 2 and len(lines) == 1, f"{what}: exit code {done.returncode}, {len(lines)} lines: {lines[-1:]}")
        kept = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; omni deploy status', **changed)
        expect(kept.returncode == 2, f"{what}: the shell goes on and asks something else: {kept.stdout.strip()[:200]}")
    for changed, word in (({"RegistryImage": ""}, "parameters"), ({"NoSuchParameter": "x"}, "no parameters")):
        given = {name: value for name, value in changed.items() if value}
        template = world.template("omni-registry")
        try:
            world.account.deploy("omni-registry-again", template, given)
        except CannotDeploy as err:
            expect(word in str(err) and "\n" not in str(err), str(err))
        else:
            raise Unexpected(f"a stack stands with {changed}")
    return f"{', '.join(cases)}, a missing and an unknown parameter: one line each, and the shell stays shut"


def half_deployed(world: World) -> str:
    """Between the stacks: commands say what is missing instead of asking the local stack."""
    done = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; omni deploy status')
    lines = done.stderr.strip().splitlines()
    expect(done.returncode == 2 and len(lines) == 2, f"exit code {done.returncode}: {lines}")
    return lines[0]


def endpoints(world: World) -> str:
    """Each AWS service that a task asked has a way out of the private network."""
    made = {json.dumps(one["ServiceName"]) for one in resources(world.template("omni-network"), "AWS::EC2::VPCEndpoint").values()}
    asked = set().union(*(found for key, found in world.aws.asked.items() if key.startswith("omni-")))
    missing = sorted(one for one in asked if not any(f".{one}" in name for name in made))
    expect(not missing, f"no endpoint for {', '.join(missing)}")
    return ", ".join(sorted(asked))


def rights(world: World) -> str:
    refused = [f"{what} ({times} times)" for what, times in world.aws.refused.items()]
    expect(not refused, "; ".join(refused))
    return "nothing that a task needed was refused"


# Name, what is expected, the function, and whether later steps say nothing without it.
_STEPS: tuple[tuple[str, str, Callable[[World], str], bool], ...] = (
    ("Five stacks before the service", "stand in the local AWS, in the guide's order", stacks_before, True),
    ("omni-service too early", "refused: its secret is not there", too_early, False),
    ("A half-deployed stack", "one line, and the shell stays shut", half_deployed, False),
    ("Zones", "three, for tasks and for Redshift Serverless", zones, False),
    ("Grants in the warehouse", "each workload's statements are allowed", grants, False),
    ("Registry", "starts by the template's command and is healthy", registry_up, True),
    ("First release", "evaluated and promoted in prod at the registry's own name", first_release, True),
    ("Keys and clients", "made with an operator's credentials, in the stack's table", clients, True),
    ("omni-service", "stands", service_stack, True),
    ("omni deploy settings", "a shell gets the task definition's variables", settings, True),
    ("Tasks", "all well behind the balancer, with their role's rights alone", tasks_ready, True),
    ("Smoke test of ECS's hook", "passes with a model's answer, and never without", smoke, False),
    ("Smoke test of the workflow", "passes without a stored token", workflow_smoke, False),
    ("Answer through the gateway", "200 by the released pair, with a key", gateway_answers, True),
    ("The gateway's refusals", "no key, no operation, no account", without_a_key, False),
    ("A page through the gateway", "the widget, without a key", page, False),
    ("Feedback", "taken, and kept", feedback, False),
    ("Rollout", "both pairs answer", rollout, True),
    ("Promotion", "all customers have the second pair", promotion, True),
    ("Rollback", "by the rights of the person on call alone", back, False),
    ("Restore a table", "answers go on, and everything comes back", restore_table, False),
    ("Restore the registry", "from a copy of its database; releases verify", restore_registry, False),
    ("The registry is killed", "answers go on, and a new task gets ready", registry_killed, False),
    ("A zone is killed", "the others answer, and the tasks come back", zone_killed, False),
    ("Bad input", "one line each, and nothing half-done", bad_input, False),
    ("Endpoints", "one for each AWS service that a task asked", endpoints, False),
    ("Rights", "no task was refused anything", rights, False),
)
STEPS = tuple(Step(name=name, expected=expected, run=run, vital=vital) for name, expected, run, vital in _STEPS)
