"""Production on this machine: account, network, registry, tasks, balancer and gateway, each made from the templates."""

import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from botocore.exceptions import ClientError

from omni.deploying.rehearsal.account import REGION, CannotDeploy, LocalAccount
from omni.deploying.rehearsal.front import AwsFront, Balancer, Loop, write_certificate
from omni.deploying.rehearsal.gateway import GatewayFront
from omni.deploying.rehearsal.tasks import (
    Database,
    Image,
    Network,
    TaskProcess,
    registry_binaries,
    service_binaries,
    wait_until,
)
from omni.deploying.rehearsal.templates import FOLDER, SECRET_REFERENCE, Template, read_template, resources
from service.kit.settings import REPO_ROOT, StoreSettings

STAGE = "prod"
CANARY = "0000000001"
EVERYTHING = ({"Effect": "Allow", "Action": "*", "Resource": "*"},)
WRONG_ACCOUNT, OTHER_REGION = "111111111111", "eu-west-2"
_SIGNING = ("OMNI_SIGNING_KMS_KEY", "OMNI_EVIDENCE_BUCKET")
# What the guide's commands give; everything else has a default.
PARAMETERS = {
    "Repository": "owner/insights",
    "RegistryImage": "registry@sha256:0",
    "ServiceImage": "service@sha256:0",
    "WorkersImage": "workers@sha256:0",
    "CallbackWebhook": "https://telephone.example/ring",
    "CanaryAccount": CANARY,
    "FunctionsBucket": "functions",
    "FunctionsKey": "functions.zip",
}
_READY_S = 300.0  # on a busy machine MLflow starts slowly


class LocalProduction:
    """Everything that runs; ``close`` ends it. ``templates`` is the folder of the committed templates."""

    def __init__(self, folder: Path, templates: Path = FOLDER) -> None:
        self.folder, self._templates = folder, templates
        folder.mkdir(parents=True, exist_ok=True)
        certificate = folder / "amazonaws.pem"
        domains = (f"{REGION}.", f"{OTHER_REGION}.", "s3.", f"s3.{REGION}.", "")
        self.certificate = certificate
        self.network = Network(folder, certificate)
        front, port = f"{self.network.base}.0.2", free_port()
        write_certificate(certificate, [*(f"*.{domain}amazonaws.com" for domain in domains), front])
        self.account = LocalAccount(folder / "aws", free_port(), self.network.variables("local"))
        self.loop = Loop()
        self.aws = AwsFront(self.account.endpoint, certificate)
        self.aws.roles |= dict.fromkeys(("operator", "local"), EVERYTHING)
        self.loop.run(self.aws.start(front, port))
        self._front = f"https://{front}:{port}"
        self._servers: list[AwsFront | Balancer | GatewayFront] = [self.aws]
        self._listening: dict[str, str] = {}
        self.network.add({"*.amazonaws.com": f"{front}:{port}"})
        self.database: Database | None = None
        self.registry: TaskProcess | None = None
        self.tasks: dict[str, TaskProcess] = {}
        self.balancers: list[Balancer] = []
        self.customers: list[str] = []
        self.places: dict[str, tuple[str, int]] = {}
        self.gateway = self.gateway_key = self.bearer = self.balancer_url = ""
        self.desk = f"http://127.0.0.1:{free_port()}"  # of agents, who see the widget there
        self._prompts()

    def close(self) -> None:
        """End every process and server."""
        for task in [*self.tasks.values(), *filter(None, [self.registry])]:
            task.stop()
        for server in self._servers:
            self.loop.run(server.stop())
        if self.database is not None:
            self.database.close()
        self.account.close()
        self.loop.close()

    def template(self, stack: str) -> Template:
        """Return a committed template."""
        return read_template(stack, STAGE, folder=self._templates)

    def is_committed(self, stack: str) -> bool:
        """Return whether a stack's template is committed."""
        return (self._templates / STAGE / f"{stack}.json").exists()

    def deploy(self, stack: str, **changed: str) -> None:
        """Deploy a stack with what the guide's command gives it."""
        template = self.template(stack)
        known = PARAMETERS | {"EmbedOrigins": json.dumps([self.desk])}
        given = {name: known[name] for name in template.get("Parameters", {}) if name in known}
        self.account.deploy(stack, template, given | changed)

    def zones(self) -> list[str]:
        """Return the zone of each subnet of tasks, by number, as the network's template has them."""
        subnets = resources(self.template("omni-network"), "AWS::EC2::Subnet")
        found = [
            (logical, json.dumps(one["AvailabilityZone"])) for logical, one in subnets.items() if "tasks" in logical
        ]
        return [zone for _, zone in sorted(found)]

    # The registry

    def start_registry(self) -> float:
        """Start database and server; return after how many seconds the container's own health check passed."""
        container = self.account.container("omni-registry", "registry")
        given = {name: self.account.secret(source) for name, source in container.secrets.items()}
        address = f"{self.network.base}.0.5"
        if self.database is None:
            self.database = Database(
                address, 5432, user=given["DB_USER"], password=given["DB_PASSWORD"], database="mlflow",
                certificate=self.certificate,
            )  # fmt: skip
        self.aws.roles["omni-registry"] = self.account.statements(self.account.role_of("omni-registry"))
        own = self.registry_address
        variables = self.network.variables("omni-registry", own) | {"PGHOSTADDR": address} | given
        self.registry = TaskProcess(
            "omni-registry", container, Image("registry"), variables,
            folder=self.folder / "omni-registry", binaries=registry_binaries(),
        ).start()  # fmt: skip
        self.network.add(dict.fromkeys(self.registered("omni-registry"), own))
        return wait_until(self.registry.healthy, "the registry's health check", _READY_S, ended=self.registry)

    @property
    def registry_address(self) -> str:
        """Where the registry's task listens."""
        return f"{self.network.base}.0.4"

    def registered(self, stack: str) -> list[str]:
        """Return the names that a stack's tasks register in the private zone."""
        (zone,) = resources(self.template("omni-network"), "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
        made = resources(self.template(stack), "AWS::ServiceDiscovery::Service").values()
        return [f"{one['Name']}.{zone['Name']}" for one in made]

    # The service

    def start_service(self) -> None:
        """Start as many tasks as the template wants, spread over the zones, behind the balancer's listeners."""
        template = self.template("omni-service")
        (wanted,) = (
            one for one in resources(template, "AWS::ECS::Service").values() if one["ServiceName"] == "omni-service"
        )
        zones = self.zones()
        for number in range(int(wanted["DesiredCount"])):
            self.start_task(f"service-{number + 1}", zone=number % len(zones))
        self._balance(template)

    def start_task(self, name: str, *, zone: int, workload: str = "service", **changed: str) -> TaskProcess:
        """Start a task of a workload in a zone; a task of that name begins with an empty disk, as on Fargate."""
        container = self.account.container("omni-service", workload)
        (port,) = container.ports or (0,)
        self.aws.roles[container.family] = self.account.statements(self.account.role_of(container.family))
        given = {variable: self.account.secret(source) for variable, source in container.secrets.items()}
        address = f"{self.network.base}.{zone + 1}.{len(self.tasks) + 10}"
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        task = TaskProcess(
            name, container, Image("service" if workload == "service" else "workers"),
            self.network.variables(container.family, address) | given | changed,
            folder=folder, binaries=service_binaries(),
        )  # fmt: skip
        self._write_keys(task)
        self.tasks[name] = task.start()
        if port:
            self.places[name] = (address, port)
            for balancer in self.balancers:
                balancer.targets[name] = (address, port)
        return task

    def _write_keys(self, task: TaskProcess) -> None:
        """Run the container that writes the trusted keys, to its end, as ECS does before the service starts."""
        found = self.account.container("omni-service", "trusted-keys")
        given = {name: self.account.secret(source) for name, source in found.secrets.items()}
        first = TaskProcess(
            "trusted-keys", found, Image("service"), self.network.variables("none") | given,
            folder=task.folder, binaries=service_binaries(),
        ).start()  # fmt: skip
        assert first.process is not None
        if first.process.wait(60):
            raise CannotDeploy(f"the container trusted-keys failed: {first.last_line()}")

    def _balance(self, template: Template) -> None:
        (balancer,) = self.account["elbv2"].describe_load_balancers()["LoadBalancers"]
        address = f"{self.network.base}.0.3"
        groups = resources(template, "AWS::ElasticLoadBalancingV2::TargetGroup")
        for listener in resources(template, "AWS::ElasticLoadBalancingV2::Listener").values():
            group = groups[listener["DefaultActions"][0]["TargetGroupArn"]["Ref"]]
            made = Balancer(
                group["HealthCheckPath"], well_after=group["HealthyThresholdCount"], ill_after=group["UnhealthyThresholdCount"],
                interval_s=1.0,  # not ten: nobody waits for a rehearsal
            )  # fmt: skip
            made.targets |= self.places
            port = free_port()
            self.loop.run(made.start(address, port))
            self._listening[f"{balancer['DNSName']}:{listener['Port']}"] = f"{address}:{port}"
            self.balancers.append(made)
        self._servers += self.balancers
        self.network.add(self._listening)
        self.balancer_url = f"http://{next(iter(self._listening))}"

    def wait_ready(self, count: int) -> float:
        """Wait until the balancer finds ``count`` tasks well; return the seconds.

        Raises:
            CannotDeploy: they are not, or a task has ended.
        """

        def well() -> bool:
            if ended := next((task for name, task in self.tasks.items() if name in self.places and task.ended), None):
                raise CannotDeploy(f"{ended.name} ended: {ended.last_line()}")
            return len(self.balancers[0].well) >= count

        return wait_until(well, f"{count} tasks well behind the balancer", _READY_S)

    # Functions

    def function_variables(self, stack: str, logical: str) -> dict[str, str]:
        """Return the variables of a function of a stack, with secrets in place of references to them."""
        told = self._function(stack, logical)["Environment"]["Variables"]
        return {name: SECRET_REFERENCE.sub(self._resolved, value) for name, value in told.items()}

    def _resolved(self, reference: "re.Match[str]") -> str:
        return self.account.secret(f"{reference[1]}:{reference[2]}::")

    def _function(self, stack: str, logical: str) -> dict[str, Any]:
        (found,) = (
            name for name in resources(self.template(stack), "AWS::Lambda::Function") if name.startswith(logical)
        )
        told: dict[str, Any] = self.account["lambda"].get_function_configuration(
            FunctionName=self.account.physical(stack, found)
        )
        return told

    def call_function(self, stack: str, logical: str, variables: Mapping[str, str]) -> str:
        """Run a function's handler in a process with its role's rights; return the hook's status."""
        told = self._function(stack, logical)
        key = f"omni-{logical.lower()}"
        self.aws.roles[key] = self.account.statements(told["Role"].rpartition("/")[2])
        module, _, handler = told["Handler"].rpartition(".")
        line = f"import json; from {module} import {handler} as h; print(json.dumps(h({{}}, None)))"
        given = self.network.variables(key)
        given["PYTHONPATH"] += f":{REPO_ROOT}"
        done = subprocess.run(
            [sys.executable, "-c", line],
            env=given | dict(variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=told["Timeout"],
        )
        if done.returncode:
            raise CannotDeploy(f"the function {logical} failed: {done.stderr.strip().splitlines()[-1][:300]}")
        return str(json.loads(done.stdout.strip().splitlines()[-1])["hookStatus"])

    def client(self, service: str, key: str) -> Any:
        """Return a boto3 client with the rights of ``key`` at AWS."""
        import boto3

        return boto3.client(
            service, endpoint_url=self._front, verify=str(self.certificate), region_name=REGION,
            aws_access_key_id=key, aws_secret_access_key="rehearsal",  # noqa: S106  # pragma: allowlist secret
        )  # fmt: skip

    def write_customers(self, count: int) -> None:
        """Make the table of interactions and write ``count`` histories, as the system that owns it does: it is in no stack."""
        from service.interactions.table import InteractionTable
        from service.kit.aws.stores import INTERACTIONS
        from service.local.samples import sample_histories

        table = StoreSettings().interactions_table
        self.account["dynamodb"].create_table(**INTERACTIONS.definition(table))
        store = InteractionTable(self.account["dynamodb"], table)
        histories = [rows for rows in sample_histories(datetime.now(UTC).date()).values() if rows]
        self.customers = [f"{9_000_000_000 + number}" for number in range(count)]
        for number, account in enumerate(self.customers):
            store.put_many(account, list(histories[number % len(histories)]))

    # The gateway

    def open_gateway(self) -> None:
        """Open the gateway with the document that the stack imports, and one client's key."""
        self.gateway_key = secrets.token_hex(20)
        host = self.balancer_url.removeprefix("http://")
        opened = GatewayFront(_gateway_document(host), STAGE, {self.gateway_key}, {host: self._listening[host]})
        address, port = f"{self.network.base}.0.6", free_port()
        self.loop.run(opened.start(address, port))
        self._servers.append(opened)
        self.gateway = f"http://{address}:{port}/{STAGE}"

    def ask(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: bool = True, **headers: str
    ) -> httpx2.Response:
        """Send a request through the gateway, by default with the client's key."""
        given = headers | ({"x-api-key": self.gateway_key} if key else {})
        url = f"{self.gateway}{path}"
        if body is None:
            return httpx2.get(url, headers=given, timeout=30)
        return httpx2.post(url, headers=given, json=body, timeout=30)

    # People and their commands

    def _prompts(self) -> None:
        """A checkout for who releases; the prompts gain a second pair."""
        root = self.folder / "checkout"
        shutil.copytree(REPO_ROOT / "prompts", root / "prompts")
        (root / "datasets").symlink_to(REPO_ROOT / "datasets")
        first = root / "prompts" / "summarize" / "extractive.prompty"
        text = (
            first.read_text(encoding="utf-8").replace("name: extractive", "name: rehearsed").replace("1.0.0", "1.0.1")
        )
        first.with_name("rehearsed.prompty").write_text(text, encoding="utf-8")
        self.person: dict[str, str] = {
            "OMNI_ENVIRONMENT": "aws",
            "OMNI_TRUSTED_KEYS": str(self.folder / "trusted.pem"),
            "OMNI_ROOT": str(root),
            "OMNI_STATE_DIR": str(self.folder / "person"),
        }

    def workflow(self, name: str) -> str:
        """Set the variables of GitHub's environment ``name`` and return a key at AWS with the rights of its workflows.

        Raises:
            CannotDeploy: no stack that stands makes the role.
        """
        role = f"omni-github-{name}"
        try:
            self.aws.roles[role] = self.account.statements(role)
        except ClientError as err:
            raise CannotDeploy(f"no stack makes the role {role}, with which workflows run") from err
        output = f"{''.join(part.capitalize() for part in name.split('-'))}Variables"
        told = dict(line.split("=", 1) for line in self.account.outputs("omni-bootstrap")[output].splitlines())
        self.person |= {name: value for name, value in told.items() if name in _SIGNING}
        return role

    def shell(self, script: str, *, key: str = "operator", **changed: str) -> "subprocess.CompletedProcess[str]":
        """Run a script in bash as a person does in a clone, with ``omni`` on the path and ``key``'s rights at AWS."""
        inherited = {name: os.environ[name] for name in ("HOME", "LANG", "USER") if name in os.environ}
        path = {"PATH": f"{service_binaries()}:/usr/local/bin:/usr/bin:/bin"}
        variables = self.network.variables(key)
        variables["PYTHONPATH"] += f":{REPO_ROOT}"
        return subprocess.run(
            ["/bin/bash", "-c", script],
            env=inherited | path | variables | self.person | changed,
            cwd=REPO_ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def omni(self, *arguments: str, key: str = "operator", **changed: str) -> str:
        """Run a command of ``omni`` and return what it prints.

        Raises:
            CannotDeploy: it fails; the message is its last line.
        """
        import shlex

        done = self.shell(shlex.join((sys.executable, "-m", "omni", *arguments)), key=key, **changed)
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()
            raise CannotDeploy(f"omni {' '.join(arguments[:2])} ended with {done.returncode}: {lines[-1][:300]}")
        return done.stdout


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _gateway_document(balancer: str) -> dict[str, Any]:
    """Return the gateway's document as the stack imports it: the infrastructure's own function makes it."""
    place = REPO_ROOT / "infra" / "cdk" / "openapi.py"
    spec = importlib.util.spec_from_file_location("rehearsal_gateway_document", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.with_integrations("link", balancer)
    return found
