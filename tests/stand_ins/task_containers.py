"""The committed templates as this machine can run them: containers with their command, variables and secrets resolved."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.kit.settings import REPO_ROOT

_FOLDER = REPO_ROOT / "infra" / "cdk" / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a task definition; ``secrets`` holds for each variable what its value comes from."""

    family: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    health: tuple[str, ...]
    ports: tuple[int, ...]


def read_template(stack: str, stage: str = "prod", *, folder: Path = _FOLDER) -> dict[str, Any]:
    """Return a stack's committed template.

    Raises:
        FileNotFoundError: this stack's template is not committed.
    """
    found: dict[str, Any] = json.loads((folder / stage / f"{stack}.json").read_text(encoding="utf-8"))
    return found


def containers(template: Mapping[str, Any]) -> dict[str, Container]:
    """Return the containers of all task definitions by their names; what only AWS knows stands as ``<name>``."""
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            properties = resource["Properties"]
            for one in properties["ContainerDefinitions"]:
                found[one["Name"]] = Container(
                    family=properties["Family"],
                    command=tuple(resolved(part) for part in (*one.get("EntryPoint", ()), *one.get("Command", ()))),
                    environment={each["Name"]: resolved(each["Value"]) for each in one.get("Environment", ())},
                    secrets={each["Name"]: resolved(each["ValueFrom"]) for each in one.get("Secrets", ())},
                    health=tuple(one.get("HealthCheck", {}).get("Command", ())),
                    ports=tuple(each["ContainerPort"] for each in one.get("PortMappings", ())),
                )
    return found


def resolved(value: Any) -> str:
    """Return a text of the template with the names of what it refers to in place of the references."""
    if not isinstance(value, dict):
        return str(value)
    ((kind, given),) = value.items()
    if kind == "Fn::Join":
        return str(given[0]).join(map(resolved, given[1]))
    if kind == "Fn::GetAtt":
        return f"<{'.'.join(given)}>"
    return f"<{given if isinstance(given, str) else json.dumps(given)}>"
