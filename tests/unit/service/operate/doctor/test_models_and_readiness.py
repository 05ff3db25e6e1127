"""Access to a model and its quotas, as Bedrock and Service Quotas say, and the checklist before production."""

import boto3
import pytest
from botocore.stub import Stubber

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.operate.doctor import checks
from service.operate.doctor.checks import CheckedPart
from service.operate.doctor.models import NEEDED_TOKENS, base_model, check_model
from service.operate.doctor.readiness import Confirmation, check_readiness, read_items

MODEL = "amazon.nova-lite-v1:0"
ALLOWED = {
    "modelId": MODEL,
    "agreementAvailability": {"status": "AVAILABLE"},
    "authorizationStatus": "AUTHORIZED",
    "entitlementAvailability": "AVAILABLE",
    "regionAvailability": "AVAILABLE",
}
TOKENS = "On-demand model inference tokens per minute for Amazon Nova Lite"


def stubbed(name):
    client = boto3.client(name, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(client)
    stub.activate()
    return client, stub


def found(model=MODEL, status="ACTIVE", quotas=None, **changes):
    bedrock, said = stubbed("bedrock")
    details = {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/x", "modelId": MODEL, "modelName": "Nova Lite"}
    said.add_response("get_foundation_model", {"modelDetails": {**details, "modelLifecycle": {"status": status}}})
    said.add_response("get_foundation_model_availability", ALLOWED | changes, {"modelId": MODEL})
    service, listed = stubbed("service-quotas")
    given = {TOKENS: 2_000_000.0} if quotas is None else quotas
    listed.add_response(
        "list_service_quotas", {"Quotas": [{"QuotaName": name, "Value": value} for name, value in given.items()]}
    )
    return [problem for problem, _ in check_model(bedrock, service, model)]


@pytest.mark.acceptance("operation-08")
def test_a_model_that_may_be_called_has_no_problem():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"authorizationStatus": "NOT_AUTHORIZED"}, "may not call it"),
        ({"entitlementAvailability": "NOT_AVAILABLE"}, "may not call it"),
        ({"regionAvailability": "NOT_AVAILABLE"}, "this region does not have it"),
        ({"status": "LEGACY"}, "it is LEGACY"),
        ({"quotas": {TOKENS: 100_000.0}}, f"100,000 tokens a minute, the required traffic needs {NEEDED_TOKENS:,}"),
    ],
)
@pytest.mark.acceptance("operation-08")
def test_what_is_wrong_with_a_model_is_said(changes, words):
    (problem,) = found(**changes)
    assert words in problem


def test_a_profile_is_asked_as_its_model_and_has_a_quota_of_its_own():
    assert base_model("eu.amazon.nova-lite-v1:0") == MODEL
    cross = {TOKENS: 1.0, "Cross-region model inference tokens per minute for Amazon Nova Lite": 2_000_000.0}
    assert found("us." + MODEL, quotas=cross, regionAvailability="NOT_AVAILABLE") == []


def test_an_unknown_model_is_said():
    bedrock, said = stubbed("bedrock")
    said.add_client_error("get_foundation_model", "ResourceNotFoundException")
    ((problem, _),) = check_model(bedrock, None, MODEL)
    assert "does not know it" in problem


def part(name, problem=""):
    return CheckedPart(part=name, problem=problem)


@pytest.mark.acceptance("operation-09")
def test_the_checklist_says_done_not_done_and_who_must_confirm():
    parts = [part("credentials"), part("clock"), part("disk", "12 MB are free"), part("table omni-config")]
    lines = {line.item: line for line in check_readiness(Settings(), parts)}
    states = {item: line.state for item, line in lines.items()}
    assert states["Credentials work and clocks agree"] == "done"
    room = lines["There is room for answers that wait for a store"]
    assert (room.state, room.seen) == ("not done", "disk: 12 MB are free")
    assert states["The model may be called and its quota carries the required traffic"] == "unknown"
    assert states["Every alarm has a runbook"] == "done"
    assert states["As many tasks always run as the capacity model asks for"] == "done"
    assert lines["A restore of one table was practised"].seen == "a person confirms it in infra/readiness.yaml"


@pytest.mark.acceptance("operation-09")
def test_what_a_person_confirmed_is_shown_with_name_and_proof(monkeypatch):
    said = Confirmation(by="dana", on="2026-11-23", where="ticket 7")
    (item, *_) = [
        one for one in read_items(Settings().root / "infra" / "readiness.yaml") if one.item.startswith("A restore")
    ]
    monkeypatch.setattr(
        "service.operate.doctor.readiness.read_items", lambda file: [item.model_copy(update={"confirmed": said})]
    )
    (line,) = check_readiness(Settings(), [])
    assert (line.state, line.seen) == ("done", "dana, 2026-11-23: ticket 7")


def test_a_wrong_checklist_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_items(tmp_path / "none.yaml")
    (tmp_path / "wrong.yaml").write_text("- {item: x}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="1 validation error"):
        read_items(tmp_path / "wrong.yaml")


def test_words_that_nobody_verified_are_a_problem_with_what_to_do(monkeypatch):
    found = checks._told("assistant")
    assert "0800 1111" in found.problem
    assert "source's page" in found.do
    monkeypatch.setattr("service.core.tasks.assistant.BankAssistant.unverified", lambda _: [])
    assert checks._told("assistant").problem == ""
