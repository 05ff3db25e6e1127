"""Reads ``figures.yaml`` strictly: every figure with its unit, its source, and how far to trust it."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("figures.yaml")


class CapacityFigure(BaseModel):
    """One figure of the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    unit: str
    kind: Literal["measured", "assumed", "required", "price", "limit"]
    source: str


def read_figures(file: Path = FILE) -> dict[str, CapacityFigure]:
    """Return the figures by name, in the file's order."""
    return {
        name: CapacityFigure.model_validate(figure)
        for name, figure in yaml.safe_load(file.read_text(encoding="utf-8")).items()
    }
