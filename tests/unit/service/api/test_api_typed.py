"""A task with an output model: its route answers with an object, whose schema is in the OpenAPI document."""

import pytest
from builders import make_pair
from starlette.testclient import TestClient
from typed_task import Called, Labelled, Labels

from service.app import create_app
from service.core.release.served import ServedPair
from service.core.run.task import Task, load_task
from service.core.unit.pair import OutputRules
from service.kit.frame.errors import ConfigurationError, OutputInvalid


class Source:
    served = ServedPair(
        pair=make_pair(task="labels"),
        registry_version=7,
        sequence=3,
        released_at="t",
        released_by="d",
        source="registry",
    )

    def current(self):
        return self.served

    def start(self):
        pass

    stop = start


@pytest.fixture
def app(api_runtime):
    made = api_runtime()
    return create_app(
        runtime=api_runtime(
            tasks={**made.answering.tasks, "labels": Labels()},
            pair_sources={**made.answering.pair_sources, "labels": Source()},
        )
    )


def test_the_output_is_an_object(app):
    with TestClient(app) as client:
        answer = client.post("/v1/labels", json={"said": "a bill came"})
    assert answer.status_code == 200
    assert answer.json()["output"] == {"label": "billing", "sure": 0.5, "words": ["a", "bill", "came"]}


def test_an_output_of_the_task_s_own_code_that_is_not_of_its_model_is_a_problem(app):
    with TestClient(app) as client:
        answer = client.post("/v1/labels", json={"said": "break the model"})
    assert (answer.status_code, answer.json()["code"]) == (502, "OUTPUT_INVALID")
    assert "nonsense" not in answer.text


def test_the_document_has_the_model_s_schema_and_other_tasks_keep_a_text(app):
    document = app.openapi()

    def output_of(path):
        schema = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]["output"]

    labelled = document["components"]["schemas"][output_of("/v1/labels")["$ref"].rpartition("/")[2]]
    assert set(labelled["properties"]) == {"label", "sure", "words"}
    assert output_of("/v1/summarize")["type"] == "string"


def test_a_model_is_asked_for_the_schema_and_its_answer_is_validated():
    (question,) = Labels().questions(Called(said="hello"), make_pair(output=OutputRules(schema="x", max_words=90)))
    assert question.answer_schema["required"] == ["label", "sure", "words"]
    assert question.read('```{"label": "outage", "sure": 1}```') == '{"label":"outage","sure":1,"words":[]}'
    with pytest.raises(OutputInvalid, match="sure"):
        question.read('{"label": "outage", "sure": 7}')
    assert Labelled.model_validate_json(question.read('{"label": "other", "sure": 0}')).label == "other"


def test_a_task_says_what_a_valid_answer_is(monkeypatch):
    class Unfinished(Task[Called]):
        name = "summarize"
        input_model = Called
        variables = frozenset()

        def values(self, inputs):
            return {}

    monkeypatch.setattr("service.core.tasks.summarize.TASK", Unfinished())
    with pytest.raises(ConfigurationError, match="must define output_model, or check"):
        load_task("summarize")
    with pytest.raises(NotImplementedError, match="output_model"):
        Unfinished().check("x", OutputRules(schema="x", max_words=9))
