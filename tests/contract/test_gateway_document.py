"""The API gateway's document is made from the service's own: a changed operation must not be left out of the gateway."""

import importlib.util
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "infra" / "cdk" / "openapi.py"


def test_the_committed_document_is_made_from_the_service():
    spec = importlib.util.spec_from_file_location("gateway_openapi", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.written(module.document_of_the_service())
    assert module.FILE.read_text(encoding="utf-8") == made, (
        "write it again: PYTHONPATH=. .venv/bin/python infra/cdk/openapi.py"
    )
