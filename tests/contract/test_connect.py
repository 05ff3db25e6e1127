"""Amazon Connect's flows and the Lex bot: whole, as AWS describes their parts, and no fault leaves a caller without a person.

Types, parameters and errors: Amazon Connect API Reference, "Actions in the Amazon Connect Flow language" (read 2026-11-22).
"""

import json
import re
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator

from service.channels.lex import CONVERSATION, REASON, TO_A_PERSON, TRANSFER, LexSettings
from service.tasks.assistant import BankAssistant
from service.tasks.assistant.persona import discloses

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "connect"
FLOWS = ("inbound", "customer_queue")
ANY = "NoMatchingError"
# By type: the parameters that must be there, those that may be, and the errors that must lead somewhere.
ACTIONS = {
    "CheckHoursOfOperation": ((), ("HoursOfOperationId",), (ANY,)),
    "Compare": (("ComparisonValue",), (), ("NoMatchingCondition",)),
    "ConnectParticipantWithLexBot": (
        ("Text", "LexV2Bot"), ("LexSessionAttributes", "LexTimeoutSeconds"),
        ("InputTimeLimitExceeded", "NoMatchingCondition", ANY),
    ),
    "CreateCallbackContact": (
        ("InitialCallDelaySeconds", "MaximumConnectionAttempts", "RetryDelaySeconds"), ("QueueId",), (ANY,)
    ),
    "DisconnectParticipant": ((), (), ()),
    "GetMetricData": ((), (), (ANY,)),
    "GetParticipantInput": (("Text", "StoreInput", "InputTimeLimitSeconds"), ("InputValidation",), (ANY,)),
    "MessageParticipant": (("Text",), (), (ANY,)),
    "MessageParticipantIteratively": (("Messages",), ("InterruptFrequencySeconds",), (ANY,)),
    "TransferContactToQueue": ((), (), ("QueueAtCapacity", ANY)),
    "UpdateContactAttributes": (("Attributes",), ("TargetContact",), (ANY,)),
    "UpdateContactCallbackNumber": (
        ("CallbackNumber",), (), ("CallbackNumberNotDialable", "InvalidCallbackNumber")
    ),
    "UpdateContactEventHooks": (("EventHooks",), (), (ANY,)),
    "UpdateContactTargetQueue": (("QueueId",), (), (ANY,)),
    "UpdateContactTextToSpeechVoice": (("TextToSpeechVoice",), ("TextToSpeechEngine",), (ANY,)),
    "UpdateFlowLoggingBehavior": (("FlowLoggingBehavior",), (), ()),
    "Wait": (("TimeLimitSeconds",), (), (ANY,)),
}  # fmt: skip
PLACEHOLDERS = {
    "BotAliasArn", "BotId", "BotVersion", "FunctionArn", "HoldMusicArn", "HoursArn", "LogGroupArn", "QueueArn",
    "QueueFlowArn", "RoleArn",
}  # fmt: skip
VALUES = {
    "BotId": "A1B2C3D4E5",
    "BotVersion": "3",
    "FunctionArn": "arn:aws:lambda:eu-west-2:123456789012:function:lex",
    "LogGroupArn": "arn:aws:logs:eu-west-2:123456789012:log-group:/aws/lex/bot",
    "RoleArn": "arn:aws:iam::123456789012:role/aws-service-role/lexv2.amazonaws.com/bot",
}


class Flow:
    def __init__(self, name):
        document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert document["Version"] == "2019-10-30"
        self.start, self.list = document["StartAction"], document["Actions"]
        self.actions = {action["Identifier"]: action for action in self.list}

    def of_type(self, wanted):
        return [action for action in self.list if action["Type"] == wanted]

    def reached(self, *starts):
        found, left = set(), list(starts)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += targets(self.actions[name])
        return found

    def types_reached(self, *starts):
        return {self.actions[name]["Type"] for name in self.reached(*starts)}


def targets(action):
    moves = action["Transitions"]
    nexts = [moves["NextAction"]] if "NextAction" in moves else []
    return nexts + [each["NextAction"] for part in ("Errors", "Conditions") for each in moves.get(part, ())]


def errors(action):
    return {each["ErrorType"]: each["NextAction"] for each in action["Transitions"].get("Errors", ())}


def answers(action):
    return {
        each["Condition"]["Operands"][0]: each["NextAction"] for each in action["Transitions"].get("Conditions", ())
    }


@pytest.fixture(params=FLOWS)
def flow(request):
    return Flow(request.param)


def test_each_action_is_one_of_connect_s_and_leads_somewhere(flow):
    assert len(flow.actions) == len(flow.list)
    for name, action in flow.actions.items():
        assert re.fullmatch(r"[a-z-]{1,50}", name)
        required, optional, failures = ACTIONS[action["Type"]]
        assert set(required) <= set(action["Parameters"]) <= {*required, *optional}, name
        assert set(failures) <= set(errors(action)), name
        assert set(targets(action)) <= set(flow.actions), name
        ends = action["Type"] in ("DisconnectParticipant", "TransferContactToQueue")
        assert ends or "NextAction" in action["Transitions"] or answers(action), name
    assert flow.reached(flow.start) == set(flow.actions)


def test_no_fault_leaves_a_caller_without_a_person(flow):
    """Every error leads to the queue or a callback, but for a goodbye after which there is nothing left to do."""
    waits = "MessageParticipantIteratively"  # in the queue's own flow the caller stays in the queue
    for name, action in flow.actions.items():
        for kind, target in errors(action).items():
            if action["Type"] == "Compare" or flow.actions[target]["Type"] == "DisconnectParticipant":
                continue
            if kind in ("InputTimeLimitExceeded", "NoMatchingCondition") and action["Type"] == "GetParticipantInput":
                continue  # the caller chose nothing
            assert flow.types_reached(target) & {"TransferContactToQueue", "CreateCallbackContact", waits}, (name, kind)
    said_last = {name for name, action in flow.actions.items() if "end" in targets(action)}
    assert {flow.actions[name]["Type"] for name in said_last} == {"MessageParticipant"}


def test_a_callback_is_promised_only_once_it_is_made(flow):
    for name, action in flow.actions.items():
        if "call you back" in action["Parameters"].get("Text", "") and action["Type"] == "MessageParticipant":
            before = [each for each in flow.list if name in targets(each)]
            assert [each["Type"] for each in before] == ["CreateCallbackContact"]
            assert errors(before[0])[ANY] != name


def test_the_greeting_is_in_the_bot_s_connection_says_that_an_ai_speaks_and_may_be_interrupted():
    flow = Flow("inbound")
    (bot,) = flow.of_type("ConnectParticipantWithLexBot")
    assert bot["Parameters"]["Text"] == BankAssistant().greeting()
    assert discloses(bot["Parameters"]["Text"])
    before = [name for name in flow.actions if bot["Identifier"] in flow.reached(name)]
    assert not any(flow.actions[name]["Type"] == "MessageParticipant" for name in before)
    assert bot["Parameters"]["LexSessionAttributes"]["x-amz-lex:allow-interrupt:*:*"] == "true"
    assert set(errors(bot).values()) == {"specialist", "asks-for-person"}
    assert flow.actions["specialist"]["Parameters"]["Text"] == TO_A_PERSON
    said = "Let me connect you with one of our specialists who can assist you. One moment please."
    assert said == TO_A_PERSON


def test_flow_and_function_name_the_same_attributes():
    flow = Flow("inbound")
    (bot,), (check,), (note,) = map(
        flow.of_type, ("ConnectParticipantWithLexBot", "Compare", "UpdateContactAttributes")
    )
    assert check["Parameters"]["ComparisonValue"] == f"$.Lex.SessionAttributes.{TRANSFER}"
    assert answers(check) == {"true": note["Identifier"]}
    assert note["Parameters"]["Attributes"] == {
        name: f"$.Lex.SessionAttributes.{name}" for name in (REASON, CONVERSATION)
    }
    assert set(LexSettings(url="http://s").verified) <= set(bot["Parameters"]["LexSessionAttributes"])
    # The context goes with the contact before it is put into the queue.
    assert "TransferContactToQueue" not in {flow.actions[name]["Type"] for name in targets(check)}


def test_outside_the_hours_a_callback_is_offered():
    flow = Flow("inbound")
    (hours,) = flow.of_type("CheckHoursOfOperation")
    assert answers(hours) == {"True": "transfer", "False": "offer-callback"}
    assert "Monday to Friday, 9 AM to 5 PM" in flow.actions["offer-callback"]["Parameters"]["Text"]
    numbers = [each for each in flow.of_type("GetParticipantInput") if each["Parameters"]["StoreInput"] == "True"]
    assert {each["Parameters"]["InputValidation"]["CustomValidation"]["MaximumLength"] for each in numbers} == {"15"}
    assert {each["Parameters"]["InputTimeLimitSeconds"] for each in flow.of_type("GetParticipantInput")} == {"10"}
    logged = flow.reached(flow.start) - flow.reached("private")
    assert not {each["Identifier"] for each in numbers} & logged  # numbers are typed with the log turned off


def test_who_waits_hears_something_every_half_minute_and_may_choose_a_callback():
    flow = Flow("customer_queue")
    (wait,), (choice,) = map(flow.of_type, ("MessageParticipantIteratively", "GetParticipantInput"))
    assert wait["Parameters"]["InterruptFrequencySeconds"] == "30"
    comfort, music = wait["Parameters"]["Messages"]
    assert comfort == {"Text": "Thank you for your patience. A specialist will be with you soon."}
    assert music == {"PromptId": "${HoldMusicArn}"}
    assert flow.start == wait["Identifier"] == answers(choice)["1"]
    assert "CreateCallbackContact" in flow.types_reached(answers(choice)["2"])


def test_files_name_only_known_placeholders():
    named = {name for file in FOLDER.glob("*.json") for name in re.findall(r"\$\{(\w+)\}", file.read_text("utf-8"))}
    assert named == PLACEHOLDERS


def test_the_bot_is_as_aws_describes_it():
    text = (FOLDER / "bot.json").read_text(encoding="utf-8")
    for name, value in VALUES.items():
        text = text.replace(f"${{{name}}}", value)
    bot, model = json.loads(text), botocore.session.get_session().get_service_model("lexv2-models")
    for operation, calls in bot.items():
        for call in calls:
            report = ParamValidator().validate(call, model.operation_model(operation).input_shape)
            assert not report.has_errors(), f"{operation}: {report.generate_report()}"
    assert [(each["botName"], each["idleSessionTTLInSeconds"]) for each in bot["CreateBot"]] == [
        ("connect-comprehensive-bot", 300)
    ]
    locales = {each["localeId"] for each in bot["CreateBotLocale"]}
    (alias,) = bot["CreateBotAlias"]
    assert locales == {"en_GB", "en_US"} == set(alias["botAliasLocaleSettings"])
    assert {each["localeId"] for each in bot["UpdateIntent"]} == locales
    assert {each["parentIntentSignature"] for each in bot["UpdateIntent"]} == {"AMAZON.FallbackIntent"}
    assert alias["botAliasName"] == "prod"
    assert all(each["fulfillmentCodeHook"] == {"enabled": True} for each in bot["UpdateIntent"])
    assert alias["conversationLogSettings"]["textLogSettings"][0]["enabled"] is True
