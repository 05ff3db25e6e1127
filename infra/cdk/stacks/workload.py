"""One workload: a task definition with a role of its own, a read-only root, and its log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_ssm as ssm
from constructs import Construct
from environments import Environment
from stacks.logs import log_group
from stacks.rights import Rights

_STATE, _SCRATCH = "/var/lib/omni", "/tmp"  # noqa: S108  the container's own, empty at each start
# The trusted keys are public, and a file for the service: a container that ends writes them before the service starts.
_WRITE_KEYS = (
    "import os, pathlib; folder = pathlib.Path('/var/lib/omni/trusted'); folder.mkdir(exist_ok=True); "
    "(folder / 'trusted.pem').write_text(os.environ['TRUSTED_KEYS'])"
)


@dataclass(frozen=True)
class WorkloadPlan:
    """What runs: an image with a command, its size, its rights, and its role in the warehouse."""

    name: str
    image: str
    command: tuple[str, ...]
    cpu: int
    memory_mb: int
    rights: Callable[[Rights, cdk.Stack], Sequence[iam.PolicyStatement]]
    port: int | None = None
    warehouse: str | None = None


class Workload(Construct):
    """``definition`` is the task definition; its role has the given rights and no other."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        plan: WorkloadPlan,
        *,
        context: Environment,
        key: kms.IKey,
        environment: dict[str, str],
        hidden: Mapping[str, secrets.ISecret],
        rights: Sequence[iam.PolicyStatement],
    ) -> None:
        """``environment`` are the variables of every workload, ``hidden`` those whose values are secrets."""
        super().__init__(scope, name)
        self.log = log_group(self, "Log", f"/omni/{plan.name}", context, key)
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=f"omni-{plan.name}",
            cpu=plan.cpu,
            memory_limit_mib=plan.memory_mb,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        for volume in ("state", "scratch"):
            self.definition.add_volume(name=volume)
        for statement in rights:
            self.definition.add_to_task_role_policy(statement)
        if plan.warehouse is not None:
            in_the_warehouse(self.definition.task_role, plan.warehouse)
        self._containers(plan, environment, hidden)
        allow_pulling(self.definition, "omni-service", "omni-workers")

    def _containers(
        self, plan: WorkloadPlan, environment: dict[str, str], hidden: Mapping[str, secrets.ISecret]
    ) -> None:
        trusted = ssm.StringParameter.from_string_parameter_name(self, "TrustedKeys", "/omni/trusted-keys")
        common: dict[str, Any] = {
            "image": ecs.ContainerImage.from_registry(plan.image),
            "readonly_root_filesystem": True,
            "user": "10001:10001",
            "logging": ecs.LogDrivers.aws_logs(stream_prefix=plan.name, log_group=self.log),
        }
        keys = self.definition.add_container(
            "trusted-keys",
            essential=False,
            entry_point=["/opt/omni/bin/python", "-c", _WRITE_KEYS],
            secrets={"TRUSTED_KEYS": ecs.Secret.from_ssm_parameter(trusted)},
            **common,
        )
        main = self.definition.add_container(
            plan.name,
            command=list(plan.command),
            environment=environment,
            secrets={name: ecs.Secret.from_secrets_manager(one) for name, one in hidden.items()},
            # The service drains for as long as its slowest answer may take; ECS then sends SIGKILL.
            stop_timeout=cdk.Duration.seconds(60),
            port_mappings=[ecs.PortMapping(container_port=plan.port)] if plan.port else None,
            **common,
        )
        for container in (keys, main):
            container.add_mount_points(
                ecs.MountPoint(container_path=_STATE, source_volume="state", read_only=False),
                ecs.MountPoint(container_path=_SCRATCH, source_volume="scratch", read_only=False),
            )
        main.add_container_dependencies(
            ecs.ContainerDependency(container=keys, condition=ecs.ContainerDependencyCondition.SUCCESS)
        )


def in_the_warehouse(role: iam.IRole, database_role: str) -> None:
    """Let a role sign in to the warehouse with a database role of ``infra/warehouse/roles.sql``; Redshift reads this tag."""
    cdk.Tags.of(role).add("RedshiftDbRoles", database_role)


def allow_pulling(task: ecs.TaskDefinition, *repositories: str) -> None:
    """Let ECS pull a task's image from these repositories of this account."""
    stack = cdk.Stack.of(task)
    images = [stack.format_arn(service="ecr", resource="repository", resource_name=name) for name in repositories]
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    task.add_to_execution_role_policy(iam.PolicyStatement(actions=actions, resources=images))
    # The token is for the account's whole registry.
    task.add_to_execution_role_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
