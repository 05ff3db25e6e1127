"""The rehearsal's AWS account: the local AWS on a port of its own, and the stacks that are deployed to it."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from omni.deploying.rehearsal.templates import SECRET_REFERENCE, Container, Template, containers, for_the_local_aws
from service.kit.aws.clients import client
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local import aws
from service.local.loopback import ensure_running

REGION, ACCOUNT = "us-east-1", "000000000000"
_MOST_S = 60.0
_PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}


class CannotDeploy(ConfigurationError):
    """A stack does not stand; the message says which, why, and what to do."""


class LocalAccount:
    """An account with no stack in it; ``close`` ends it. ``variables`` go into the local AWS's own environment."""

    def __init__(self, folder: Path, port: int, variables: Mapping[str, str]) -> None:
        given = Settings(
            state_dir=folder, local_aws_port=port, environment="local", store_timeout_s=_MOST_S, aws_region=REGION
        )
        daemon = aws.ministack(given)
        self._daemon = replace(daemon, env={**daemon.env, **variables})
        ensure_running(self._daemon, port=port, health_path=aws.HEALTH_PATH, port_setting="the rehearsal's port")
        self.endpoint = aws.endpoint(given)
        self._settings = given.model_copy(update={"aws_endpoint": self.endpoint})
        self._clients: dict[str, Any] = {}
        self._templates: dict[str, Template] = {}
        self._given: dict[str, Mapping[str, str]] = {}
        self._physical: dict[str, dict[str, str]] = {}
        self["s3"].create_bucket(Bucket="templates")

    def __getitem__(self, service: str) -> Any:
        """Return the boto3 client of a service, with every right."""
        if service not in self._clients:
            self._clients[service] = client(service, self._settings)
        return self._clients[service]

    def close(self) -> None:
        """End the local AWS."""
        for made in self._clients.values():
            made.close()
        self._daemon.stop()

    def deploy(self, stack: str, template: Template, parameters: Mapping[str, str]) -> None:
        """Create a stack and wait until it stands.

        Raises:
            CannotDeploy: a parameter is missing or unknown, something that the stack needs is not there, or it does not stand.
        """
        self._check(stack, template, parameters)
        body = for_the_local_aws(template)
        self["s3"].put_object(Bucket="templates", Key=f"{stack}.json", Body=json.dumps(body))
        self["cloudformation"].create_stack(
            StackName=stack,
            TemplateURL=f"{self.endpoint}/templates/{stack}.json",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        until = time.monotonic() + _MOST_S
        while (status := self._status(stack)).endswith("_IN_PROGRESS") and time.monotonic() < until:
            time.sleep(0.05)
        if status != "CREATE_COMPLETE":
            events = self["cloudformation"].describe_stack_events(StackName=stack)["StackEvents"]
            why = [
                event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"].endswith("FAILED")
            ]
            raise CannotDeploy(f"{stack} is {status}: {'; '.join(why) or 'no reason given'}")
        self._templates[stack] = template
        defaults = {name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()}
        self._given[stack] = defaults | dict(parameters)
        found = self["cloudformation"].describe_stack_resources(StackName=stack)["StackResources"]
        self._physical[stack] = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def _status(self, stack: str) -> str:
        (found,) = self["cloudformation"].describe_stacks(StackName=stack)["Stacks"]
        return str(found["StackStatus"])

    def _check(self, stack: str, template: Template, parameters: Mapping[str, str]) -> None:
        """Refuse what CloudFormation refuses, before anything is made. The local AWS takes more."""
        known = template.get("Parameters", {})
        if missing := sorted(name for name, one in known.items() if "Default" not in one and name not in parameters):
            raise CannotDeploy(f"{stack} lacks the parameters {', '.join(missing)}: give each to --parameter-overrides")
        if unknown := sorted(set(parameters) - set(known)):
            raise CannotDeploy(f"{stack} has no parameters {', '.join(unknown)}")
        there = set(self.exports())
        if lacking := sorted(
            {name.partition(":")[0] for name in _imports(template)} - {name.partition(":")[0] for name in there}
        ):
            raise CannotDeploy(f"{stack} takes values of {', '.join(lacking)}, which is not there: deploy it first")
        for name, _ in SECRET_REFERENCE.findall(json.dumps(_joined(template))):
            try:
                self["secretsmanager"].get_secret_value(SecretId=name.rpartition(":")[2])
            except ClientError as err:
                raise CannotDeploy(
                    f"{stack} reads the secret {name.rpartition(':')[2]!r}, which is not there: make it before the stack"
                ) from err

    def physical(self, stack: str, logical: str) -> str:
        """Return the name or ARN of a deployed resource."""
        return self._physical[stack][logical]

    def stacks(self) -> dict[str, str]:
        """Return the state of each stack by name."""
        return {one["StackName"]: one["StackStatus"] for one in self["cloudformation"].describe_stacks()["Stacks"]}

    def outputs(self, stack: str) -> dict[str, str]:
        """Return the outputs of a stack by name."""
        (found,) = self["cloudformation"].describe_stacks(StackName=stack)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}

    def exports(self) -> dict[str, str]:
        """Return what the stacks export by name."""
        pages = self["cloudformation"].get_paginator("list_exports").paginate()
        return {one["Name"]: one["Value"] for page in pages for one in page["Exports"]}

    def text(self, stack: str, value: Any) -> str:
        """Return a value of a deployed stack's template as CloudFormation fills it in."""
        if not isinstance(value, dict):
            return str(value)
        ((kind, given),) = value.items()
        if kind == "Fn::Join":
            return str(given[0]).join(self.text(stack, part) for part in given[1])
        if kind == "Fn::ImportValue":
            return self.exports()[given]
        if kind == "Ref":
            known = _PSEUDO | dict(self._given[stack]) | self._physical[stack]
            return str(known.get(given, f"left-out-{given}"))
        if kind == "Fn::GetAtt":
            return f"<{'.'.join(given)}>"  # ECS and Lambda know what those are: see ``container`` and ``function``
        raise CannotDeploy(f"{stack}: {kind} is not read here")

    def container(self, stack: str, name: str) -> Container:
        """Return a container as ECS starts it: variables from its registered task definition, the rest from the template."""
        found = containers(self._templates[stack], lambda value: self.text(stack, value))[name]
        told = self["ecs"].describe_task_definition(taskDefinition=found.family)["taskDefinition"]
        (mine,) = (one for one in told["containerDefinitions"] if one["name"] == name)
        environment = {one["name"]: one["value"] for one in mine.get("environment", ())}
        return replace(found, environment=environment, command=(*mine.get("entryPoint", ()), *mine.get("command", ())))

    def secret(self, source: str) -> str:
        """Return what ECS puts into a variable; ``source``: a secret's ARN, with a JSON key if one is meant, or a parameter."""
        if ":parameter/" in source or source.startswith("/"):
            name = "/" + source.partition(":parameter/")[2] if ":parameter/" in source else source
            return str(self["ssm"].get_parameter(Name=name)["Parameter"]["Value"])
        # CloudFormation refers to a secret by its ARN; the local one may do so by its name.
        match = re.fullmatch(
            r"((?:arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:)?[^:/]+)(?::(\w*):[^:]*:[^:]*)?", source
        )
        if match is None:
            raise CannotDeploy(f"{source!r} is neither a secret nor a parameter")
        text = str(self["secretsmanager"].get_secret_value(SecretId=match[1])["SecretString"])
        return str(json.loads(text)[match[2]]) if match[2] else text

    def role_of(self, family: str) -> str:
        """Return the name of the role that a family's tasks run with."""
        told = self["ecs"].describe_task_definition(taskDefinition=family)["taskDefinition"]
        return str(told["taskRoleArn"]).rpartition("/")[2]

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of all policies of a role."""
        iam, found = self["iam"], []
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            found += _listed(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"])
        for one in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            policy = iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]
            version = iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId=policy["DefaultVersionId"])
            found += _listed(version["PolicyVersion"]["Document"]["Statement"])
        return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _imports(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"Fn::ImportValue"}:
            yield str(value["Fn::ImportValue"])
        else:
            for inner in value.values():
                yield from _imports(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _imports(inner)


def _joined(value: Any) -> Any:
    """``value`` with texts in place of joins of what stands in every account."""
    if isinstance(value, list):
        return [_joined(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in _PSEUDO:
        return _PSEUDO[value["Ref"]]
    made = {name: _joined(item) for name, item in value.items()}
    if set(made) == {"Fn::Join"} and all(isinstance(part, str) for part in made["Fn::Join"][1]):
        return made["Fn::Join"][0].join(made["Fn::Join"][1])
    return made
