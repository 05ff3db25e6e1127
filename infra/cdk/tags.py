"""Cost allocation tags: everything that is made carries its project and stage, by which the bill is split and a budget counts."""

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct
from environments import EnvironmentName

_PROPERTIES = {
    "AWS::Budgets::Budget": "ResourceTags",
    "AWS::Lex::Bot": "BotTags",
    "AWS::Lex::BotAlias": "BotAliasTags",
}


def cost_tags(stage: EnvironmentName) -> dict[str, str]:
    """Return the tags of everything of one environment."""
    return {"project": "omni-insights", "stage": stage}


def tag_all(scope: IConstruct, stage: EnvironmentName) -> None:
    """Tag what the CDK makes from classes of its own in ``scope``."""
    for key, value in cost_tags(stage).items():
        cdk.Tags.of(scope).add(key, value)


def tagged(kind: str, properties: dict[str, Any], stage: EnvironmentName) -> dict[str, Any]:
    """Return ``properties`` with the tags, for a resource that is made by the name of its type: ``tag_all`` misses those."""
    tags = [{"Key": key, "Value": value} for key, value in cost_tags(stage).items()]
    return properties | {_PROPERTIES.get(kind, "Tags"): tags}
