"""Requests that mean two things, collide with our own keys, or make an error say too much."""

import re
import threading

import pytest
from builders import changed
from starlette.testclient import TestClient

from service.api.http import limits
from service.api.http.limits import MOST_FAULTS
from service.api.http.problems import without_paths
from service.app import create_app
from service.core.release.served import PairSourceStatus
from service.kit.frame.errors import RegistryError

BODY = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}


@pytest.fixture
def client(api_runtime):
    with TestClient(create_app(runtime=api_runtime())) as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [
        '{"account_number": "1234567890", "contact_id": "c", "account_number": "2000000001"}',
        '{"account_number": "1234567890", "contact_id": "c", "account\\u005fnumber": "2000000001"}',
        '{"account_number": "1234567890", "contact_id": "c", "x": [{"a": 1, "a": 2}]}',
    ],
    ids=["plain", "escaped", "inside"],
)
@pytest.mark.parametrize("path", ["/omni-channel-insights", "/feedback", "/v1/summarize"])
def test_a_name_that_occurs_twice_is_refused(client, path, body):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "occurs twice" in answer.json()["detail"]
    assert "2000000001" not in answer.text


@pytest.mark.parametrize("count", [20, 21, 95, 20_000])
@pytest.mark.parametrize("path", ["/omni-channel-insights", "/feedback", "/v1/summarize"])
def test_an_answer_names_twenty_faults_and_lists_none_of_very_many(client, path, count):
    answer = client.post(path, json={f"n{number}": 1 for number in range(count)})
    found = answer.json()
    assert (answer.status_code, found["code"]) == (422, "INVALID_REQUEST")
    if count > MOST_FAULTS:
        assert [error["field"] for error in found["errors"]] == ["body"]
        assert "more than 100 faults" in found["errors"][0]["message"]
    else:
        assert len(found["errors"]) == 20
        assert re.search(r", and \d+ more$", found["detail"])


@pytest.mark.parametrize(("size", "elsewhere"), [(30_000, False), (40_000, True)])
def test_a_large_body_is_looked_through_beside_the_event_loop(client, monkeypatch, size, elsewhere):
    threads = {}

    def noted(name, then):
        def call(*arguments):
            threads[name] = threading.get_ident()
            return then(*arguments)

        return call

    monkeypatch.setattr(limits, "_look_through", noted("look", limits._look_through))
    monkeypatch.setattr(limits.BodyLimits, "__call__", noted("loop", limits.BodyLimits.__call__))
    assert client.post("/v1/summarize", json={"x": "y" * size}).status_code == 422
    assert (threads["look"] != threads["loop"]) == elsewhere


def test_faults_of_very_many_objects_are_not_listed(client):
    answer = client.post("/v1/summarize", json={"interactions": [{}] * 20_000})
    assert len(answer.json()["errors"]) == 1


def test_one_name_in_several_objects_is_no_repetition(client):
    text = '{"account_number": "1234567890", "contact_id": "c", "x": [{"a": 1}, {"a": 1}]}'
    answer = client.post("/omni-channel-insights", content=text, headers={"content-type": "application/json"})
    assert [error["field"] for error in answer.json()["errors"]] == ["x"]


@pytest.mark.parametrize("name", ["max_interactions", "max_history_days"])
@pytest.mark.parametrize("value", [True, False])
def test_true_is_no_number(client, name, value):
    answer = client.post("/omni-channel-insights", json=BODY | {name: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name)


def test_a_method_that_a_path_lacks_is_answered_with_all_that_it_has(client):
    answer = client.put("/dashboards/session", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, POST")


def test_a_process_id_cannot_take_the_key_of_an_earlier_answer(client):
    answer = client.post("/omni-channel-insights", json=BODY | {"unique_process_id": "p#req-0123456789ab"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "unique_process_id")
    assert client.post("/omni-channel-insights", json=BODY | {"unique_process_id": "p#1"}).status_code == 200


ERROR = (
    "the trusted public keys cannot be read from /srv/omni/keys/trusted.pem (FileNotFoundError): set OMNI_TRUSTED_KEYS"
)


class Nothing:
    """A pair source whose last look at the registry failed with ``ERROR``."""

    def current(self):
        raise RegistryError(f"no verified pair to serve: {ERROR}")

    def status(self):
        return PairSourceStatus(served=None, last_refresh_at=None, last_error=ERROR, age_s=None)

    def start(self):
        pass

    stop = start


def test_no_answer_names_a_folder_of_this_machine(api_runtime):
    runtime = changed(api_runtime(), pair_sources={"summarize": Nothing()})
    with TestClient(create_app(runtime=runtime)) as client:
        answers = [client.get("/readyz"), client.post("/omni-channel-insights", json=BODY)]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("/srv" not in answer.text and "trusted.pem" in answer.text for answer in answers)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "the registry at sqlite:////srv/mlflow/mlflow.db does not answer",
            "the registry at mlflow.db does not answer",
        ),
        ("delete /srv/omni/.omni/served/summarize.json; or wait", "delete summarize.json; or wait"),
        ("POST /oauth/token, and https://a.example/b/c", "POST /oauth/token, and https://a.example/b/c"),
    ],
)
def test_only_names_of_files_are_left_of_paths(text, shown):
    assert without_paths(text) == shown
