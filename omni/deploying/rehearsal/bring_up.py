"""The first steps: stacks, registry, first release, keys, tasks, in the order of the guide."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from omni.deploying.rehearsal.account import REGION, CannotDeploy
from omni.deploying.rehearsal.grants import lacking
from omni.deploying.rehearsal.steps import RehearsalSteps, Unexpected, expect
from omni.deploying.rehearsal.tasks import Image, TaskProcess, wait_until
from omni.deploying.rehearsal.templates import resources
from omni.deploying.rehearsal.world import LocalProduction

STEPS = RehearsalSteps()
# Releases for production from a person's machine, as the guide does from another stage: without the behaviour checks, which
# `aws` asks for and which need promptfoo (`omni gate`).
RELEASING = {
    "OMNI_ENVIRONMENT": "local",
    "OMNI_STAGE": "prod",
    "OMNI_AWS_ENDPOINT": f"https://dynamodb.{REGION}.amazonaws.com",
}
# What the stage that all images stand on takes away, by the line that does it.
_TAKEN = {"apt": r"dpkg --purge [^\n]*\bapt\b", "programs that run as another user": r"-perm /6000 [^\n]*chmod a-s"}
# What every command of a shell says whose settings AWS does not tell.
STAYS_SHUT = "OMNI_ENVIRONMENT: Input should be"
RELEASES = "production"  # GitHub's environment of the workflow promote
_PAIR = "extractive"
_CUSTOMERS = 12
_BEFORE_THE_SERVICE = (
    *("omni-bootstrap", "omni-data", "omni-network", "omni-registry", "omni-warehouse", "omni-observability"),
)


@STEPS.step("Stacks before the service", "stand in the local AWS, in the guide's order", vital=True)
def _stacks_before(world: LocalProduction) -> str:
    stacks = [stack for stack in _BEFORE_THE_SERVICE if world.is_committed(stack)]
    for stack in stacks:
        world.deploy(stack)
    world.write_customers(_CUSTOMERS)
    return f"{', '.join(stack.removeprefix('omni-') for stack in stacks)} stand"


@STEPS.step("omni-service too early", "refused: its secret is not there")
def _too_early(world: LocalProduction) -> str:
    try:
        world.deploy("omni-service")
    except CannotDeploy as err:
        return str(err)
    raise Unexpected("omni-service stands without its preconditions")


@STEPS.step("A half-deployed stack", "one line, and the shell stays shut")
def _half_deployed(world: LocalProduction) -> str:
    """Between the stacks: commands say what is missing instead of asking the local stack."""
    done = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; omni deploy status')
    lines = done.stderr.strip().splitlines()
    expect(done.returncode == 2 and len(lines) == 2, f"exit code {done.returncode}: {lines}")
    expect(STAYS_SHUT in lines[1], f"the shell goes on: {lines[1]}")
    return lines[0]


@STEPS.step("Zones", "three, for tasks and for Redshift Serverless")
def _zones(world: LocalProduction) -> str:
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


@STEPS.step("Images", "hold pinned packages, no stand-in, no package manager, no program with another user's rights")
def _images(world: LocalProduction) -> str:
    """What the Dockerfile copies is laid out; its own lines say what is taken away (the images are built elsewhere)."""
    images = {name: Image(name) for name in ("service", "workers", "registry")}
    laid_out = {name: one.application(world.folder / "images") for name, one in images.items() if one.has_application}
    found = {"stand-ins": [name for name, app in laid_out.items() if (app / "service" / "local").exists()]}
    for what, line in _TAKEN.items():
        found[what] = [name for name, one in images.items() if not re.search(line, one.taken_away())]
    found["installs without hashes"] = [name for name, one in images.items() if one.unpinned()]
    problems = [f"{what} in {', '.join(names)}" for what, names in found.items() if names]
    expect(not problems, "; ".join(problems))
    return "three images without them"


@STEPS.step("Grants in the warehouse", "each workload's statements are allowed")
def _grants(world: LocalProduction) -> str:
    found = lacking(world.template("omni-service"))
    expect(not found, "; ".join(found))
    return "service, calls, schedule and erasure may do what their statements do"


@STEPS.step("Registry", "starts by the template's command and is healthy", vital=True)
def _registry_up(world: LocalProduction) -> str:
    seconds = world.start_registry()
    return f"its own health check passes after {seconds:.0f} s, on PostgreSQL"


@STEPS.step("First release", "by the rights and variables of the workflow, at the registry's own name", vital=True)
def _first_release(world: LocalProduction) -> str:
    """Evaluated and promoted in prod, and signed by the key of ``omni-bootstrap``."""
    template = world.account.container("omni-registry", "registry")
    password = world.account.secret(template.secrets["WRITER_PASSWORD"])
    address = next(
        each["Value"]
        for one in resources(world.template("omni-service"), "AWS::ECS::TaskDefinition").values()
        for container in one["ContainerDefinitions"]
        for each in container.get("Environment", ())
        if each["Name"] == "OMNI_REGISTRY_URI"
    )
    world.person |= {
        "OMNI_REGISTRY_URI": address,
        "MLFLOW_TRACKING_USERNAME": "omni",
        "MLFLOW_TRACKING_PASSWORD": password,
    }
    world.workflow(RELEASES)
    public = load_der_public_key(
        world.account["kms"].get_public_key(KeyId=world.person["OMNI_SIGNING_KMS_KEY"])["PublicKey"]
    )
    (world.folder / "trusted.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return _release(world, _PAIR)


@STEPS.step("The registry's door", "refuses whoever has no password, and the service's may only read")
def _door(world: LocalProduction) -> str:
    found = world.account.container("omni-registry", "registry")
    reader = ("reader", world.account.secret(found.secrets["READER_PASSWORD"]))
    (name,) = world.registered("omni-registry")
    (port,) = found.ports
    url, named = f"http://{world.registry_address}:{port}/api/2.0/mlflow", {"host": f"{name}:{port}"}
    asked, change = {"max_results": 1}, {"name": "summarize", "alias": "other", "version": "1"}
    unknown = httpx2.post(f"{url}/experiments/search", json=asked, headers=named, timeout=30)
    reads = httpx2.post(f"{url}/experiments/search", json=asked, headers=named, auth=reader, timeout=30)
    writes = httpx2.post(f"{url}/registered-models/alias", json=change, headers=named, auth=reader, timeout=30)
    got = (unknown.status_code, reads.status_code, writes.status_code)
    expect(got == (401, 200, 403), f"without a password {got[0]}, the service's reading {got[1]}, its writing {got[2]}")
    return "401 without a password; the service's reads, and its writing is 403"


@STEPS.step("Keys and clients", "made with an operator's credentials, in the stack's table", vital=True)
def _clients(world: LocalProduction) -> str:
    keys = (world.folder / "trusted.pem").read_text(encoding="utf-8")
    world.account["ssm"].put_parameter(Name="/omni/trusted-keys", Value=keys, Type="String")
    world.omni("token-keys", "--rotate")
    for name, scopes in (("smoke", "summaries"), ("agents", "summaries feedback")):
        secret = world.omni("client", name, "--scopes", scopes).strip().splitlines()[-1]
        world.account["secretsmanager"].create_secret(
            Name=f"omni-{name}-client", SecretString=json.dumps({"id": name, "secret": secret})
        )
    return "the parameter, a token key, 2 clients with their secrets"


@STEPS.step("omni-service", "stands", vital=True)
def _service_stack(world: LocalProduction) -> str:
    world.deploy("omni-service")
    return "it stands"


@STEPS.step("omni deploy settings", "a shell gets the task definition's variables", vital=True)
def _settings(world: LocalProduction) -> str:
    done = world.shell('unset OMNI_ENVIRONMENT; eval "$(omni deploy settings)"; env')
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("OMNI_") and "=" in line)
    expect(
        found.get("OMNI_ENVIRONMENT") == "aws",
        done.stderr.strip() or f"OMNI_ENVIRONMENT is {found.get('OMNI_ENVIRONMENT')}",
    )
    given = world.account.container("omni-service", "service").environment
    world.person |= {name: value for name, value in found.items() if name in given and name != "OMNI_REGISTRY_URI"}
    return f"{sum(name in given for name in found)} settings"


@STEPS.step("Tasks", "all well behind the balancer, with their role's rights alone", vital=True)
def _tasks_ready(world: LocalProduction) -> str:
    world.start_service()
    seconds = world.wait_ready(len(world.tasks))
    return f"{len(world.tasks)} tasks well after {seconds:.0f} s"


@STEPS.step("Workers", "begin their rounds, with their roles' rights alone")
def _workers(world: LocalProduction) -> str:
    """By the template's commands; a round is what the alarm on a silent worker counts."""
    took = []
    for zone, workload in enumerate(("calls", "callbacks")):
        task = world.start_task(workload, zone=zone, workload=workload)
        seconds = wait_until(partial(_has_begun, task), f"a round of {workload}", 120, ended=task)
        took.append(f"{workload} after {seconds:.0f} s")
    return ", ".join(took)


def _has_begun(worker: TaskProcess) -> bool:
    return any('"WorkerRounds"' in line for line in worker.lines())


def _release(world: LocalProduction, pair: str) -> str:
    key = world.workflow(RELEASES)
    world.omni("eval", "--pairs", pair, key=key, **RELEASING)
    said = world.omni("promote", pair, "--why", "the rehearsal", *waiver(), key=key, **RELEASING)
    return said.strip().splitlines()[-1]


def waiver() -> tuple[str, ...]:
    """Return why, by whom and until when a pair without a judge is released in production: the rehearsal has no judge."""
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    return ("--without-judge", "a rehearsal", "--allowed-by", "the rehearsal", "--until", until)
