import json
from typing import Literal

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field

from service.core.statements.answers.typed import schema_for_models, typed_answer, typed_output
from service.core.unit.pair import OutputRules
from service.kit.frame.errors import OutputInvalid


class Reason(BaseModel):
    words: str
    weight: float = Field(default=0.0, ge=0, le=1)


class Label(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Literal["billing", "outage"]
    reasons: list[Reason] = []
    also: Reason | None = None


class Node(BaseModel):
    title: str
    children: list["Node"] = []


class Forest(BaseModel):
    trees: list[Node]


RULES = OutputRules(schema="label-v1", max_words=5)


@pytest.mark.parametrize(
    "text", ['{"label": "billing"}', '```json\n{"label": "billing"}\n```', 'So: {"label": "billing"}']
)
def test_an_object_is_read_also_from_a_code_fence_and_written_canonically(text):
    assert typed_output(text, Label, RULES) == '{"also":null,"label":"billing","reasons":[]}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("billing", "Invalid JSON"),
        ('{"label": "secret-7"}', "label: "),
        ('{"label": "billing", "reasons": [{"words": 3}]}', "reasons.0.words: "),
        ('{"label": "billing", "secret-7": 1}', "?: Extra inputs are not permitted"),
        ('{"label": "billing", "reasons": [{"words": "one two three four five"}]}', "6 words; 5 are allowed"),
    ],
)
def test_what_is_no_such_object_is_invalid_and_not_quoted(text, says):
    with pytest.raises(OutputInvalid) as caught:
        typed_output(text, Label, RULES)
    assert says in str(caught.value)
    assert "secret-7" not in str(caught.value)
    assert caught.value.raw_text == text


def test_a_schema_for_models_is_closed_with_every_field_required_and_no_references():
    schema = schema_for_models(Label)
    reason = schema["properties"]["reasons"]["items"]
    assert "$ref" not in json.dumps(schema)
    assert "title" not in json.dumps(schema)
    assert (schema["required"], schema["additionalProperties"]) == (["label", "reasons", "also"], False)
    assert (reason["required"], reason["additionalProperties"]) == (["words", "weight"], False)
    assert reason["properties"]["weight"] == {"type": "number", "minimum": 0, "maximum": 1}


@pytest.mark.parametrize("model", [Node, Forest])
def test_a_schema_that_refers_to_itself_still_holds(model):
    node = {"title": "a", "children": [{"title": "b", "children": []}]}
    good = node if model is Node else {"trees": [node]}
    schema = schema_for_models(model)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(good)
    assert typed_answer(json.dumps(good), model)
    node["children"][0]["children"] = [{"title": 3, "children": []}]
    assert not validator.is_valid(good)
