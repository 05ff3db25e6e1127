"""A task with a typed output that needs no model, for tests of the API."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.run.task import Task
from service.kit.frame.canonical import canonical_json


class Called(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"said": "My bill is wrong."}]})

    said: str = Field(max_length=200)


class Labelled(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "billing", "sure": 0.8}]})

    label: Literal["billing", "outage", "other"]
    sure: float = Field(ge=0, le=1)
    words: list[str] = []


class Labels(Task[Called]):
    name: ClassVar[str] = "labels"
    input_model: ClassVar = Called
    output_model: ClassVar = Labelled
    variables: ClassVar = frozenset({"said"})

    def values(self, inputs):
        return {"said": inputs.said}

    def without_model(self, inputs):
        if inputs.said == "break the model":
            return '{"label": "nonsense"}'
        label = "billing" if "bill" in inputs.said else "other"
        return canonical_json({"label": label, "sure": 0.5, "words": inputs.said.split()[:3]})
