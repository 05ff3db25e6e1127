"""Conversation cases as test cases of Amazon Connect: in AWS's form, with the customer's words in order, and no live agents."""

import json
import re

import botocore.session
import pytest
from botocore.validate import ParamValidator
from connect_flows import INBOUND, Flow
from typer.testing import CliRunner

from eval.dialogue.scenario import ConversationScenario, DialogueExpectations
from eval.instruments.connect.export import SimulationContent, connect_tests
from eval.spine.cases import load_cases
from eval.suites import load_suite
from omni.app import build_app
from service.core.tasks.assistant import BankAssistant
from service.kit.settings import REPO_ROOT

PATH = REPO_ROOT / "datasets" / "assistant" / "dev.jsonl"
CREATE = botocore.session.get_session().get_service_model("connect").operation_model("CreateTestCase").input_shape
EPISODE = load_suite("assistant").episode
VALUES = {"InstanceId": "0f1c2c0e-0000-4000-8000-000000000000"}


@pytest.fixture(scope="module")
def cases():
    return {
        case.id: case
        for case in load_cases(PATH, input_model=ConversationScenario, expectations=DialogueExpectations).cases
    }


@pytest.fixture(scope="module")
def exported(cases):
    return connect_tests(EPISODE, list(cases.values()), greeting=BankAssistant().greeting())


def content(arguments):
    return SimulationContent.model_validate_json(arguments["Content"])


def actions(found, kind):
    return [action.Parameters for each in found.Observations for action in each.Actions if action.Type == kind]


@pytest.mark.acceptance("bot-test-09")
def test_each_test_is_one_that_aws_takes(exported):
    for arguments in exported.tests.values():
        text = re.sub(r"\$\{(\w+)\}", lambda name: VALUES.get(name[1], "x"), json.dumps(arguments))
        report = ParamValidator().validate(json.loads(text), CREATE)
        assert not report.has_errors(), report.generate_report()


def test_each_test_is_one_way_from_its_beginning_to_its_end(exported):
    for case_id, arguments in exported.tests.items():
        found = content(arguments)
        names = [each.Identifier for each in found.Observations]
        assert [each.Transitions.NextObservations for each in found.Observations] == [
            *((name,) for name in names[1:]),
            (),
        ]
        for each in found.Observations:
            follows = [action.Identifier for action in each.Actions[1:]]
            assert [action.Transitions.NextAction for action in each.Actions] == [*follows, None][: len(each.Actions)]
        assert found.Observations[0].Event.Type == "TestInitiated", case_id
        assert found.Observations[-1].Actions[-1].Parameters["Command"] == {"Type": "EndTest"}, case_id


def test_the_caller_says_what_the_case_s_customer_says_after_each_reply(exported, cases):
    found = content(exported.tests["digital-checking-time"])
    heard = [each.Event.Properties["Text"] for each in found.Observations if each.Event.Type == "MessageReceived"]
    assert heard[0] == BankAssistant().greeting()
    said = [action["Instruction"]["Properties"] for action in actions(found, "SendInstruction")]
    script = ConversationScenario.model_validate(cases["digital-checking-time"].inputs).customer
    assert said[0]["Value"] in script.opens
    assert {each["LanguageCode"] for each in said} == {"en-GB"}
    assert len(heard) == len(said) + 1


def test_a_handover_is_seen_with_its_reason_and_ends_before_an_agent_is_rung(exported, cases):
    handed_over = [name for name in exported.tests if cases[name].expectations.handover]
    assert handed_over
    for name in handed_over:
        found, reasons = content(exported.tests[name]), cases[name].expectations.handover.reasons
        assert found.Observations[-1].Event.Properties["ActionType"] == "TransferContactToQueue"
        wanted = [{"Namespace": "$.Attributes.handover_reason", "Operator": "Equals", "Operand": reasons[0]}]
        assert actions(found, "Assert") == (wanted if len(reasons) == 1 else [])
    for name, arguments in exported.tests.items():
        assert (name in handed_over) == ("TransferContactToQueue" in str(content(arguments).Observations[1:]))


def test_hours_and_queue_are_substituted_by_those_for_tests(exported):
    flow = Flow.read("inbound", INBOUND)
    named = {
        "CheckHoursOfOperation": flow.of_type("CheckHoursOfOperation")[0].Parameters,
        "TransferContactToQueue": flow.of_type("UpdateContactTargetQueue")[0].Parameters,
    }
    for arguments in exported.tests.values():
        overridden = [each["Behavior"]["Properties"] for each in actions(content(arguments), "OverrideSystemBehavior")]
        assert {each["ActionType"]: each["ActionParameters"] for each in overridden} == named
        assert {each["Strategy"]["SubstituteArn"] for each in overridden} == {"${TestHoursArn}", "${TestQueueArn}"}


def test_what_an_account_cannot_be_given_is_left_out_with_the_reason(cases):
    case = cases["digital-checking-time"]
    spoilt = {
        "tools go wrong": {"faults": [{"tool": "find_nearest_branch", "kind": "error"}]},
        "the session has verified values": {"session": {"phone": "+447700900123"}},
        "the world has records of its own (queue)": {"world": {"callbacks": {}, "queue": {"position": 3}}},
    }
    made = [
        case.model_copy(update={"id": f"case-{number}", "inputs": case.inputs | change})
        for number, change in enumerate(spoilt.values())
    ]
    found = connect_tests(EPISODE, made, greeting="Hello!")
    assert (list(found.left_out.values()), found.tests) == (list(spoilt), {})


def test_the_command_writes_a_file_for_each_and_says_what_it_left_out(tmp_path, exported, monkeypatch):
    words = ["cases", "--task", "assistant", "--dataset", "dev", "--connect", str(tmp_path / "tests")]
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code == 0, done.output
    written = {path.stem: json.loads(path.read_text("utf-8")) for path in (tmp_path / "tests" / "dev").glob("*.json")}
    assert written == exported.tests
    assert f"{len(written)} of {len(written) + len(exported.left_out)} conversations" in done.output
    assert "left out: tools go wrong" in done.output
    refused = CliRunner().invoke(build_app(), ["cases", "--task", "summarize", "--connect", str(tmp_path)])
    assert "has no conversations that begin with a greeting" in str(refused.exception)
