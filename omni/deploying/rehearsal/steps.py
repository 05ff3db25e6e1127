"""The steps of the rehearsal, in the order of the guide: each says what is expected, and returns what it got."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from omni.deploying.rehearsal.account import CannotDeploy
from omni.deploying.rehearsal.templates import resources
from omni.deploying.rehearsal.world import CANARY, EXPIRED, WRONG_ACCOUNT, World
from service.kit.frame.errors import ServiceError

PAIR, SECOND = "extractive", "rehearsed"
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
    world.omni("eval", "--pairs", pair)
    said = world.omni("promote", pair, "--why", "the rehearsal", *waiver())
    return said.strip().splitlines()[-1]


def waiver() -> tuple[str, ...]:
    """Return why, by whom and until when a pair without a judge is released in production: the rehearsal has no judge."""
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    return ("--without-judge", "a rehearsal", "--allowed-by", "the rehearsal", "--until", until)


def clients(world: World) -> str:
    keys = (world.folder / "person" / "keys" / "trusted.pem").read_text(encoding="utf-8")
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


def ask(world: World) -> dict[str, Any]:
    """Return an answer about the canary's account, which has a history."""
    body = {"account_number": CANARY, "contact_id": uuid.uuid4().hex}
    answer = world.ask("/omni-channel-insights", body, authorization=world.bearer)
    expect(answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    expect(not found["degraded"] and found["model_used"] != "none", f"no model answered: {found['model_used']}")
    return found


STEPS = (
    Step(name="Five stacks before the service", expected="stand in the local AWS, in the guide's order", run=stacks_before, vital=True),
    Step(name="omni-service too early", expected="refused: its secret is not there", run=too_early),
    Step(name="Zones", expected="three, for tasks and for Redshift Serverless", run=zones),
    Step(name="Registry", expected="starts by the template's command and is healthy", run=registry_up, vital=True),
    Step(name="First release", expected="evaluated, promoted in prod through the registry's own name", run=first_release, vital=True),
    Step(name="Keys and clients", expected="sealed with the template's key", run=clients, vital=True),
    Step(name="omni-service", expected="stands", run=service_stack, vital=True),
    Step(name="omni deploy settings", expected="a shell gets the settings of the task definition", run=settings, vital=True),
    Step(name="Tasks", expected="each well behind the balancer, with its role's rights alone", run=tasks_ready, vital=True),
    Step(name="Answer through the gateway", expected="200 by the released pair, with a key", run=gateway_answers, vital=True),
)
