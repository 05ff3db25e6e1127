"""The guide's commands deploy the stacks that stand beside them: order, parameters, capabilities, names of images."""

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "deploying.md").read_text(encoding="utf-8")
TEMPLATES = ROOT / "infra" / "cdk" / "templates" / "prod"
WORKFLOWS = {
    name: (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8") for name in ("image", "deploy")
}


def _commands():
    """Return the options of each ``aws cloudformation deploy`` of the guide by stack, in the order in which they stand there."""
    found = {}
    for line in GUIDE.replace("\\\n", " ").splitlines():
        if line.strip().startswith("aws cloudformation deploy"):
            words = shlex.split(line)
            found[words[words.index("--stack-name") + 1]] = words
    return found


def _stacks():
    table = GUIDE.partition("## What there is")[2].partition("\n\nThey depend")[0]
    return re.findall(r"^\| `(omni-[a-z]+)` \|", table, re.MULTILINE)


def test_each_stack_is_deployed_in_the_order_of_the_table():
    assert list(_commands()) == _stacks()


@pytest.mark.parametrize("stack", sorted(file.stem for file in TEMPLATES.glob("*.json")))
@pytest.mark.acceptance("operation-21")
def test_a_command_gives_what_the_template_asks_for(stack):
    template = json.loads((TEMPLATES / f"{stack}.json").read_text(encoding="utf-8"))
    words = _commands()[stack]
    asked = {name for name, parameter in template.get("Parameters", {}).items() if "Default" not in parameter}
    given = {word.partition("=")[0] for word in words if "=" in word}
    assert asked <= given
    assert given <= set(template.get("Parameters", {}))
    if any(resource["Type"].startswith("AWS::IAM::") for resource in template["Resources"].values()):
        assert words[words.index("--capabilities") + 1] == "CAPABILITY_IAM"


def test_a_task_may_pull_the_images_that_the_workflows_push_and_deploy():
    service = (TEMPLATES / "omni-service.json").read_text(encoding="utf-8")
    may_pull = set(re.findall(r":repository/(omni-[a-z]+)\"", service))
    assert may_pull == {"omni-service", "omni-workers"}
    # What the variable holds, so that "$REPOSITORY"-service is omni-service.
    assert ".amazonaws.com/omni:" in WORKFLOWS["image"]
    assert WORKFLOWS["image"].count('"$REPOSITORY"-"$target') == 2
    for kind in ("service", "workers"):
        assert f'"$REPOSITORY"-{kind}@"$' in WORKFLOWS["deploy"]
        assert f"omni-{kind}" in re.search(r"for name in ([a-z -]+); do", GUIDE)[1]
