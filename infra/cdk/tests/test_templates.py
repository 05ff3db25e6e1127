"""The committed templates are what the code makes, and nothing in them ties them to one account or one machine."""

import json
import re
from pathlib import Path

import pytest
from app import KEPT, kept_stacks
from environments import read_environments
from findings import Accepted, Finding, problems
from pydantic import ValidationError


@pytest.mark.acceptance("operation-21")
def test_the_committed_templates_are_what_the_code_makes(texts):
    kept = {(stage, name) for stage, stacks in texts.items() for name in kept_stacks(stage, list(stacks))}
    files = {(file.parent.name, file.stem): file for file in KEPT.glob("*/*.json")}
    assert set(files) == kept, "write them again: make infra WRITE=1"
    for (stage, name), file in files.items():
        assert file.read_text(encoding="utf-8") == texts[stage][name], f"{file}: write it again: make infra WRITE=1"


def test_no_template_names_an_account_an_asset_or_a_folder_of_this_machine(texts):
    for stacks in texts.values():
        for text in stacks.values():
            assert not re.search(r"\b\d{12}\b", text)
            assert "cdk-hnb659fds" not in text  # the bootstrap stack's assets
            assert str(Path(__file__).parents[3]) not in text


def test_the_environments_differ_where_they_should():
    found = read_environments()
    assert not found["dev"].keep_data
    assert found["test"].keep_data
    assert found["prod"].keep_data
    assert found["prod"].tasks.least >= 2
    assert found["prod"].registry.multi_az
    assert found["prod"].alarms


def test_an_unknown_field_of_an_environment_is_refused():
    fields = read_environments()["dev"].model_dump(by_alias=True)
    with pytest.raises(ValidationError):
        type(read_environments()["dev"]).model_validate(fields | {"colour": "blue"})


def test_a_finding_needs_a_reason_and_a_reason_a_finding():
    finding = Finding("Rule-1", "omni-data/Table", "is open")
    reason = Accepted("Rule-1", "omni-data/.*", "because")
    assert problems([finding], [reason]) == []
    assert problems([finding], []) == ["omni-data/Table: Rule-1: is open"]
    assert problems([], [reason])[0].startswith("accepted.yaml: nothing breaks Rule-1")
    assert problems([Finding("Rule-12", "omni-data/Table", "x")], [reason])[0].endswith("x")


@pytest.mark.parametrize(("stage", "kept"), [("dev", False), ("test", True), ("prod", True)])
def test_a_stack_that_keeps_data_refuses_to_be_deleted(folder, templates, stage, kept):
    """No template holds it: the CDK sets it at each deployment, from its manifest."""
    artifacts = json.loads((folder / stage / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    told = {
        name: one["properties"].get("terminationProtection", False)
        for name, one in artifacts.items()
        if one["type"] == "aws:cloudformation:stack"
    }
    assert told == dict.fromkeys(templates[stage], kept)
