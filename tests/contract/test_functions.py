"""Each function of the committed templates has an entry point in this package, and its settings take its variables."""

import importlib
import json
from pathlib import Path

import pytest

from service.channels.amazon_lex.contact_flow import FlowSettings
from service.channels.amazon_lex.lex import LexSettings
from service.kit.settings import Settings
from service.operate.deployment.hook import SmokeSettings

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "cdk" / "templates" / "prod"
SETTINGS = {
    "service.channels.amazon_lex.contact_flow": (FlowSettings, "OMNI_FLOW_"),
    "service.channels.amazon_lex.lex": (LexSettings, "OMNI_LEX_"),
    "service.operate.deployment.hook": (SmokeSettings, "OMNI_SMOKE_"),
    "service.channels.phone.entry": (Settings, "OMNI_"),
}


def functions():
    for file in sorted(FOLDER.glob("*.json")):
        for resource in json.loads(file.read_text(encoding="utf-8"))["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                found = resource["Properties"]
                yield found["Handler"], found["Environment"]["Variables"]


FUNCTIONS = dict(functions())


def test_every_function_that_a_template_names_is_known_here():
    assert {handler.rpartition(".")[0] for handler in FUNCTIONS} == set(SETTINGS)


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_a_function_has_its_entry_point_and_takes_its_variables(handler):
    module, _, name = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    kind, prefix = SETTINGS[module]
    values = {
        variable.removeprefix(prefix).lower(): value if isinstance(value, str) else "given"
        for variable, value in FUNCTIONS[handler].items()
    }
    assert all(variable.startswith(prefix) for variable in FUNCTIONS[handler])
    if kind is not Settings:
        assert set(values) <= set(kind.model_fields)
    kind(**values)
