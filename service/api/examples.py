"""Examples of what operations take and answer, for the OpenAPI document: ``examples.json``, by the name of the model."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from service.kit.frame.strict import parse_json

EXAMPLES: dict[str, list[Any]] = parse_json(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))


def examples(model: str) -> dict[str, Any]:
    """Return what a model adds to its JSON schema."""
    return {"examples": deepcopy(EXAMPLES[model])}
