"""Everything that takes tags carries those by which the bill is split."""

import copy

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from tags import cost_tags


def tag_property(kind):
    """The property of a type that holds its tags, by AWS's own schema of the type; None if it takes none."""
    tagging = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("tagging", {})
    return tagging["tagProperty"].rpartition("/")[2] if tagging.get("taggable") else None


def untagged(templates):
    """What could carry the tags of its environment, and does not."""
    missing = []
    for stage, stacks in templates.items():
        for name, template in stacks.items():
            for logical, resource in template["Resources"].items():
                where = tag_property(resource["Type"])
                if where is None:
                    continue
                found = resource.get("Properties", {}).get(where, [])
                tags = found if isinstance(found, dict) else {tag["Key"]: tag["Value"] for tag in found}
                if not cost_tags(stage).items() <= tags.items():
                    missing.append(f"{stage} {name} {logical} ({resource['Type']})")
    return missing


def test_everything_that_takes_tags_carries_project_and_stage(templates):
    assert untagged(templates) == []


@pytest.mark.parametrize(
    ("stack", "kind"),
    [
        ("omni-data", "AWS::DynamoDB::Table"),
        ("omni-assistant", "AWS::Lex::Bot"),
        ("omni-assistant", "AWS::Connect::PhoneNumber"),
        ("omni-observability", "AWS::Budgets::Budget"),
    ],
)
def test_one_resource_without_its_tag_is_named(templates, stack, kind):
    made = copy.deepcopy(templates)
    logical, resource = next(
        (logical, one) for logical, one in made["prod"][stack]["Resources"].items() if one["Type"] == kind
    )
    where = tag_property(kind)
    resource["Properties"][where] = [tag for tag in resource["Properties"][where] if tag["Key"] != "stage"]
    assert untagged(made) == [f"prod {stack} {logical} ({kind})"]


def test_tasks_carry_the_tags_of_their_service_or_definition(resources):
    """Fargate bills the task, which has no tags of its own."""
    services = resources("AWS::ECS::Service")
    assert len(services) == 12
    for stage, _, logical, service in services:
        assert service["Properties"]["PropagateTags"] == "SERVICE", (stage, logical)
    schedules = resources("AWS::Scheduler::Schedule")
    assert schedules
    for stage, _, logical, schedule in schedules:
        assert schedule["Properties"]["Target"]["EcsParameters"]["PropagateTags"] == "TASK_DEFINITION", (stage, logical)
