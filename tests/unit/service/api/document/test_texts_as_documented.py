"""Texts that people write: what the document allows is what the API takes, whichever engine reads the pattern."""

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from service.api.handovers.models import AgentMessage, CloseRequest, TakeRequest
from service.api.tenants.models import ReasonRequest
from service.core.tasks.scorecard.form import Criterion

SPACES = (" ", "\t", "\n", "\x0b", "\x85", "\xa0", "\u2003", "\u2028", "\u3000")
TEXTS = [
    made
    for space in SPACES
    for made in (space * 3, f"a{space}{space}", f"{space}a{space}", f"ab{space}", f"{space}abc", f"a{space}b")
]
WRITTEN: list[tuple[type[BaseModel], dict[str, str], str]] = [
    (ReasonRequest, {}, "why"),
    (TakeRequest, {}, "name"),
    (AgentMessage, {}, "message"),
    (CloseRequest, {"ended": "callback"}, "phone"),
    (Criterion, {"id": "a", "weight": "1"}, "question"),
]


@pytest.mark.parametrize(
    ("model", "others", "field"), WRITTEN, ids=[f"{model.__name__}.{field}" for model, _, field in WRITTEN]
)
def test_spaces_around_a_text_count_as_little_in_the_document_as_in_the_api(model, others, field):
    document = jsonschema_rs.validator_for(model.model_json_schema())
    differ = []
    for text in TEXTS:
        body = others | {field: text}
        try:
            model.model_validate(body)
        except ValidationError:
            taken = False
        else:
            taken = True
        if document.is_valid(body) != taken:
            differ.append((text, taken))
    assert differ == []
    assert document.is_valid(others | {field: "abc"})
