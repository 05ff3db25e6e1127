"""The committed templates as this machine can run them: what its local AWS has no resource for is left out."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.kit.settings import REPO_ROOT

Template = dict[str, Any]
FOLDER = REPO_ROOT / "infra" / "cdk" / "templates"
# What the local AWS has no resource for: it refuses a template that holds one.
_NOT_HERE = frozenset(
    {
        *("AWS::EC2::EIP", "AWS::EC2::FlowLog", "AWS::EC2::NatGateway"),
        *("AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"),
        *("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"),
        *("AWS::RedshiftServerless::Namespace", "AWS::RedshiftServerless::Workgroup"),
        *("AWS::CodeConnections::Connection", "AWS::IAM::OIDCProvider"),
        *("AWS::CloudTrail::Trail", "AWS::CloudWatch::InsightRule"),
        *("AWS::Lex::Bot", "AWS::Lex::BotVersion", "AWS::Lex::BotAlias"),
        "AWS::Budgets::Budget",  # by its API only
    }
)
_NOT_HERE_AT_ALL = ("AWS::Connect::", "AWS::QuickSight::")
# A reference that CloudFormation fills in while it deploys, with the secret's name and the JSON key.
SECRET_REFERENCE = re.compile(r"{{resolve:secretsmanager:([^}]+?):SecretString:(\w*):[^}]*}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a task definition; ``secrets`` holds for each variable what its value comes from."""

    family: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    health: tuple[str, ...]
    ports: tuple[int, ...]


def read_template(stack: str, stage: str = "prod", *, folder: Path = FOLDER) -> Template:
    """Return a stack's committed template.

    Raises:
        FileNotFoundError: this stack's template is not committed.
    """
    found: Template = json.loads((folder / stage / f"{stack}.json").read_text(encoding="utf-8"))
    return found


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type by logical id."""
    found = template["Resources"].items()
    return {logical: one.get("Properties", {}) for logical, one in found if one["Type"] == kind}


def named(value: Any) -> str:
    """Return a text of the template with the names of what it refers to in place of the references."""
    if not isinstance(value, dict):
        return str(value)
    ((kind, given),) = value.items()
    if kind == "Fn::Join":
        return str(given[0]).join(map(named, given[1]))
    if kind == "Fn::GetAtt":
        return f"<{'.'.join(given)}>"
    return f"<{given if isinstance(given, str) else json.dumps(given)}>"


def containers(template: Template, text: Callable[[Any], str] = named) -> dict[str, Container]:
    """Return the containers of all task definitions by their names; ``text`` makes a text of a template's value."""
    found = {}
    for properties in resources(template, "AWS::ECS::TaskDefinition").values():
        for one in properties["ContainerDefinitions"]:
            found[one["Name"]] = Container(
                family=properties["Family"],
                command=tuple(text(part) for part in (*one.get("EntryPoint", ()), *one.get("Command", ()))),
                environment={each["Name"]: text(each["Value"]) for each in one.get("Environment", ())},
                secrets={each["Name"]: text(each["ValueFrom"]) for each in one.get("Secrets", ())},
                health=tuple(one.get("HealthCheck", {}).get("Command", ())),
                ports=tuple(each["ContainerPort"] for each in one.get("PortMappings", ())),
            )
    return found


def for_the_local_aws(template: Template) -> Template:
    """Return a template without what the local AWS has no resource for, and a text in place of each reference to it."""
    gone = {logical for logical, resource in template["Resources"].items() if not _is_here(resource)}
    kept = {logical: one for logical, one in template["Resources"].items() if logical not in gone}
    after = {logical: _after(one, gone) for logical, one in kept.items()}
    found: Template = _without(template | {"Resources": after}, gone)
    return found


def _is_here(resource: Mapping[str, Any]) -> bool:
    if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
        return False  # the local AWS knows no metric math
    return resource["Type"] not in _NOT_HERE and not resource["Type"].startswith(_NOT_HERE_AT_ALL)


def _after(resource: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """``resource`` without the order in which it follows what is left out."""
    after = resource.get("DependsOn", [])
    kept = [name for name in ([after] if isinstance(after, str) else after) if name not in gone]
    rest = {name: value for name, value in resource.items() if name != "DependsOn"}
    return rest | ({"DependsOn": kept} if kept else {})


def _without(value: Any, gone: set[str]) -> Any:
    if isinstance(value, list):
        return [_without(item, gone) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in gone:
        return f"left-out-{value['Ref']}"
    if set(value) == {"Fn::GetAtt"} and value["Fn::GetAtt"][0] in gone:
        return f"arn:aws:left-out:us-east-1:000000000000:{value['Fn::GetAtt'][0]}"
    return {name: _without(item, gone) for name, item in value.items()}
