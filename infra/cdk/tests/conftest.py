"""The synthesized templates: those of ``--templates FOLDER``, else made here."""

import json
from pathlib import Path

import pytest
from app import made_templates


def pytest_addoption(parser):
    parser.addoption("--templates", type=Path, help="a folder that app.py has written; without it, the tests make one")


@pytest.fixture(scope="session")
def folder(request, tmp_path_factory):
    """Where the templates of each environment lie, with what the CDK says of their stacks."""
    given = request.config.getoption("--templates")
    if given is None:
        made_templates(given := tmp_path_factory.mktemp("templates"))
    return given


@pytest.fixture(scope="session")
def texts(folder):
    """Every template's text by environment and stack."""
    return {
        stage.name: {
            file.name.removesuffix(".template.json"): file.read_text(encoding="utf-8") + "\n"
            for file in sorted(stage.glob("*.template.json"))
        }
        for stage in sorted(folder.iterdir())
        if stage.is_dir()
    }


@pytest.fixture(scope="session")
def templates(texts):
    """Every template by environment and stack."""
    return {stage: {name: json.loads(text) for name, text in stacks.items()} for stage, stacks in texts.items()}


@pytest.fixture(scope="session")
def resources(templates):
    """All resources of one type: (environment, stack, logical id, resource)."""

    def of_type(kind):
        return [
            (stage, name, logical, resource)
            for stage, stacks in templates.items()
            for name, template in stacks.items()
            for logical, resource in template["Resources"].items()
            if resource["Type"] == kind
        ]

    return of_type
