"""Forms over HTTP: the tenant is the token's, wrong forms are explained, and nobody overwrites what they have not read."""

from contextlib import contextmanager

import pytest
from access_place import keep_clients
from builders import changed, forms_in_memory
from fastapi.testclient import TestClient

from service.access.clients import new_secret
from service.access.control import open_access, open_changes
from service.app import create_app
from service.core.run.task import load_task
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

SECRET = new_secret()
SECTIONS = [
    {"id": "all", "title": "All", "criteria": [{"id": "greet", "question": "Did the agent greet?", "weight": 1}]}
]
DRAFT = {"edit": 0, "name": "Support", "pass_threshold": 0.7, "sections": SECTIONS}


@pytest.fixture
def runtime(api_runtime, tmp_path):
    folder = tmp_path / "access"
    clients = {
        name: {"scopes": scopes, **({"tenant": tenant} if tenant else {})}
        for name, scopes, tenant in (
            ("lead-a", ["forms", "summaries"], "tenant-a"),
            ("lead-b", ["forms", "summaries"], "tenant-b"),
            ("ops", ["forms", "summaries"], None),
            ("widget", ["summaries"], "tenant-a"),
        )
    }
    settings = Settings(state_dir=tmp_path, access_dir=folder)
    keep_clients(settings, SECRET, **clients)
    tasks = {"summarize": load_task("summarize"), "scorecard": load_task("scorecard")}
    return api_runtime(settings=settings, access=open_access(settings), forms=forms_in_memory(), tasks=tasks)


@contextmanager
def client_of(runtime, name):
    with TestClient(create_app(runtime=runtime)) as client:
        client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue(name, SECRET, None).text}"
        yield client


def test_a_form_is_drafted_activated_and_revised(runtime):
    with client_of(runtime, "lead-a") as client:
        drafted = client.put("/v1/forms/support/draft", json=DRAFT).json()
        assert (drafted["edit"], drafted["active"], drafted["draft"]["version"]) == (1, None, 1)
        assert drafted["draft"]["tenant"] == "tenant-a"
        active = client.post("/v1/forms/support/activate", json={"edit": 1}).json()
        assert (active["edit"], active["draft"], active["active"]["version"]) == (2, None, 1)
        second = client.put("/v1/forms/support/draft", json=DRAFT | {"edit": 2, "pass_threshold": 0.8}).json()
        assert (second["active"]["version"], second["draft"]["version"]) == (1, 2)
        client.post("/v1/forms/support/activate", json={"edit": 3})
        assert client.get("/v1/forms/support").json()["active"]["pass_threshold"] == "0.8"
        assert client.get("/v1/forms/support", params={"version": 1}).json()["active"]["pass_threshold"] == "0.7"
        assert client.get("/v1/forms").json() == {
            "tenant": "tenant-a",
            "forms": [{"form_id": "support", "name": "Support", "edit": 4, "active_version": 2, "draft_version": None}],
        }


def test_a_write_with_an_outdated_edit_is_refused(runtime):
    with client_of(runtime, "lead-a") as client:
        client.put("/v1/forms/support/draft", json=DRAFT)
        answers = [
            client.put("/v1/forms/support/draft", json=DRAFT | {"name": "Mine"}),
            client.post("/v1/forms/support/activate", json={"edit": 0}),
        ]
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "FORM_CHANGED")] * 2
        assert client.get("/v1/forms/support").json()["draft"]["name"] == "Support"


def test_a_missing_form_version_or_draft_is_404(runtime):
    with client_of(runtime, "lead-a") as client:
        client.put("/v1/forms/support/draft", json=DRAFT)
        client.post("/v1/forms/support/activate", json={"edit": 1})
        answers = [
            client.get("/v1/forms/other"),
            client.get("/v1/forms/support", params={"version": 2}),
            client.post("/v1/forms/support/activate", json={"edit": 2}),
        ]
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "FORM_NOT_FOUND")] * 3


def test_a_tenant_neither_sees_nor_touches_anothers_forms(runtime):
    with client_of(runtime, "lead-a") as client:
        client.put("/v1/forms/support/draft", json=DRAFT)
    with client_of(runtime, "lead-b") as client:
        assert client.get("/v1/forms").json()["forms"] == []
        assert client.get("/v1/forms/support").status_code == 404
        assert client.post("/v1/forms/support/activate", json={"edit": 1}).status_code == 409
        assert client.put("/v1/forms/support/draft", json=DRAFT | {"tenant": "tenant-a"}).status_code == 422
        assert client.put("/v1/forms/support/draft", json=DRAFT | {"name": "Theirs"}).json()["edit"] == 1
    with client_of(runtime, "lead-a") as client:
        assert client.get("/v1/forms/support").json()["draft"]["name"] == "Support"


@pytest.mark.parametrize(("name", "status"), [("ops", 403), ("widget", 403)])
def test_without_a_tenant_or_the_scope_there_are_no_forms(runtime, name, status):
    with client_of(runtime, name) as client:
        for answer in (client.get("/v1/forms"), client.put("/v1/forms/support/draft", json=DRAFT)):
            assert (answer.status_code, answer.json()["code"]) == (status, "FORBIDDEN")


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"sections": [SECTIONS[0], SECTIONS[0]]}, "sections", "appears twice"),
        ({"sections": [{**SECTIONS[0], "criteria": SECTIONS[0]["criteria"] * 2}]}, "sections", "'greet' appears twice"),
        ({"sections": []}, "sections", "at least 1 item"),
        (
            {"sections": [{**SECTIONS[0], "criteria": [SECTIONS[0]["criteria"][0] | {"weight": 0}]}]},
            "weight",
            "above 0",
        ),
        ({"pass_threshold": 70}, "pass_threshold", "0.7, not 70"),
        ({"version": 7}, "version", "unknown field"),
        ({"name": " "}, "name", "at least 1 character"),
    ],
)
def test_a_wrong_form_is_explained_field_by_field(runtime, changes, field, message):
    with client_of(runtime, "lead-a") as client:
        answer = client.put("/v1/forms/support/draft", json=DRAFT | changes)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
        assert any(field in item["field"] and message in item["message"] for item in answer.json()["errors"])
        assert client.get("/v1/forms").json()["forms"] == []


@pytest.mark.parametrize("form_id", ["a%2Fb", "a b", "..", "x" * 49, "QA_TEMPLATE%23x"])
def test_a_form_id_has_only_characters_for_keys(runtime, form_id):
    with client_of(runtime, "lead-a") as client:
        assert client.put(f"/v1/forms/{form_id}/draft", json=DRAFT).status_code in (403, 404, 405, 422)
        assert client.get("/v1/forms").json()["forms"] == []


@pytest.mark.parametrize("form_id", ["constructor", "toString"])
def test_no_id_is_the_name_of_a_property_that_every_object_has(runtime, form_id):
    criteria = [{"id": form_id, "question": "Did the agent greet?", "weight": 1}]
    sections = [{"id": "all", "title": "All", "criteria": criteria}]
    with client_of(runtime, "lead-a") as client:
        for refused in (
            client.put(f"/v1/forms/{form_id}/draft", json=DRAFT),
            client.put("/v1/forms/support/draft", json=DRAFT | {"sections": sections}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
            assert f"{form_id!r} is no id" in refused.json()["detail"]


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\x85"])
def test_a_text_holds_nothing_invisible_and_nothing_that_turns_it_around(runtime, character):
    criteria = [{"id": "greet", "question": f"Did the {character}agent greet?", "weight": 1}]
    sections = [{"id": "all", "title": "All", "criteria": criteria}]
    with client_of(runtime, "lead-a") as client:
        for changes in ({"sections": sections}, {"name": f"Sup{character}port"}):
            refused = client.put("/v1/forms/support/draft", json=DRAFT | changes)
            assert (refused.status_code, "invisible" in refused.json()["detail"]) == (422, True)


def test_a_service_without_a_store_says_so(runtime):
    with client_of(changed(runtime, forms=None), "lead-a") as client:
        assert client.get("/v1/forms").status_code == 503


def scorecard_inputs(tenant):
    form = {"form_id": "f", "tenant": tenant, "name": "F", "version": 1, "pass_threshold": 0.5, "sections": SECTIONS}
    return {"call_id": "c1", "tenant": tenant, "form": form, "turns": []}


@pytest.mark.parametrize(
    ("name", "tenant", "refused"),
    [("lead-a", "tenant-a", False), ("lead-b", "tenant-a", True), ("ops", "tenant-a", True)],
)
def test_a_call_is_scored_for_its_own_tenant_only(runtime, name, tenant, refused):
    class Source:
        served = runtime.answering.pair_sources["summarize"].current()

        def current(self):
            return self.served

        def start(self):
            pass

        stop = start

    runtime = changed(runtime, pair_sources={**runtime.answering.pair_sources, "scorecard": Source()})
    with client_of(runtime, name) as client:
        answer = client.post("/v1/scorecard", json=scorecard_inputs(tenant))
    assert (answer.status_code == 403) is refused
    if not refused:
        assert answer.json()["output"]["status"] == "not_scoreable"


def test_a_token_issued_before_its_client_changed_tenant_is_refused(runtime):
    token = runtime.access.tokens.issue("lead-a", SECRET, None).text
    keep_clients(runtime.settings, SECRET, **{"lead-a": {"scopes": ["forms", "summaries"], "tenant": "tenant-b"}})
    runtime.access.refresh()
    with TestClient(create_app(runtime=runtime)) as client:
        answer = client.get("/v1/forms", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_a_client_keeps_the_tenant_that_it_was_made_with(tmp_path):
    settings = Settings(state_dir=tmp_path)
    changes = open_changes(settings)
    changes.add_client("lead", ["forms"], tenant="tenant-a")
    changes.add_client("lead", ["forms"])
    lead = changes.clients()["lead"]
    assert (lead.tenant, len(lead.secrets)) == ("tenant-a", 2)
    for wrong in ("tenant-b", "Tenant/A"):
        with pytest.raises(ConfigurationError, match="keeps the tenant that it was created with"):
            changes.add_client("lead", ["forms"], tenant=wrong)
    for wrong in ("Tenant/A", "tmp", "calls", "2026", "larkmead-"):
        with pytest.raises(ConfigurationError, match=f"no tenant can be called '{wrong}'"):
            changes.add_client("new", ["forms"], tenant=wrong)
    assert "new" not in changes.clients()


def test_a_condition_is_data_and_a_sentence_names_the_remedy(runtime):
    def draft(condition, edit):
        criterion = SECTIONS[0]["criteria"][0] | {"applies_when": condition}
        return DRAFT | {"edit": edit, "sections": [SECTIONS[0] | {"criteria": [criterion]}]}

    with client_of(runtime, "lead-a") as client:
        prose = client.put("/v1/forms/support/draft", json=draft("A refund is asked for.", 0))
        assert (prose.status_code, prose.json()["code"]) == (422, "INVALID_REQUEST")
        assert "write tests instead" in prose.json()["detail"]
        unknown = client.put(
            "/v1/forms/support/draft", json=draft({"all": [{"criterion": "nobody", "answered": ["yes"]}]}, 0)
        )
        assert unknown.status_code == 422
        assert "names criterion 'nobody', which the form does not have" in unknown.json()["detail"]
        data = {"all": [{"words": ["refund"], "by": "customer"}]}
        saved = client.put("/v1/forms/support/draft", json=draft(data, 0))
        assert saved.status_code == 200
        assert saved.json()["draft"]["sections"][0]["criteria"][0]["applies_when"]["all"] == data["all"]
