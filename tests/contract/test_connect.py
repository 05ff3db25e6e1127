"""Amazon Connect's flows and the Lex bot: whole, as AWS describes their parts, and no fault leaves a caller without a person."""

import json
import re
from typing import get_args

import botocore.session
import pytest
from botocore.validate import ParamValidator
from connect_flows import ANY, FOLDER, INBOUND, OTHER_KEY, SILENT, WAITING, WHISPER, Flow

from service.channels.amazon_lex.contact_flow import ACCOUNT, TOKEN, FlowEvent, FlowSettings
from service.channels.amazon_lex.lex import CONVERSATION, REASON, TO_A_PERSON, TRANSFER, LexSettings
from service.channels.phone.connect_models import Does
from service.core.tasks.assistant import BankAssistant
from service.core.tasks.assistant.knowledge import TransferReason, bank_knowledge
from service.core.tasks.assistant.persona import discloses
from service.desk.handover import URGENCY

FLOWS = {"inbound": INBOUND, "customer_queue": WAITING, "agent_whisper": WHISPER}
# What AWS names when the resources are made; everything else stands in the files.
VALUES = {
    "BotAliasArn": "arn:aws:lex:eu-west-2:123456789012:bot-alias/A1B2C3D4E5/ABCDEFGHIJ",
    "BotId": "A1B2C3D4E5",
    "BotVersion": "3",
    "FunctionArn": "arn:aws:lambda:eu-west-2:123456789012:function:lex",
    "HoldMusicArn": "arn:aws:connect:eu-west-2:123456789012:instance/i/prompt/p",
    "HoursArn": "arn:aws:connect:eu-west-2:123456789012:instance/i/operating-hours/h",
    "HoursId": "0f1c2c0e-0000-4000-8000-000000000001",
    "InboundFlowId": "0f1c2c0e-0000-4000-8000-000000000003",
    "InstanceId": "0f1c2c0e-0000-4000-8000-000000000000",
    "LogGroupArn": "arn:aws:logs:eu-west-2:123456789012:log-group:/aws/lex/larkfield-bot",
    "PhoneFunctionArn": "arn:aws:lambda:eu-west-2:123456789012:function:phone",
    "PhoneNumberId": "0f1c2c0e-0000-4000-8000-000000000002",
    "QueueArn": "arn:aws:connect:eu-west-2:123456789012:instance/i/queue/q",
    "QueueFlowArn": "arn:aws:connect:eu-west-2:123456789012:instance/i/contact-flow/f",
    "RecordsBucket": "larkfield-records",
    "RecordsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/k",
    "RecordsStreamArn": "arn:aws:firehose:eu-west-2:123456789012:deliverystream/contact-trace-records",
    "SummaryFunctionArn": "arn:aws:lambda:eu-west-2:123456789012:function:summary:live",
    "ServiceUrl": "https://omni.example.com",
    "RoleArn": "arn:aws:iam::123456789012:role/aws-service-role/lexv2.amazonaws.com/bot",
    "WhisperFlowArn": "arn:aws:connect:eu-west-2:123456789012:instance/i/contact-flow/w",
}
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


@pytest.fixture(params=FLOWS)
def flow(request):
    return Flow.read(request.param, FLOWS[request.param])


@pytest.fixture
def inbound():
    return Flow.read("inbound", INBOUND)


@pytest.fixture
def waiting():
    return Flow.read("customer_queue", WAITING)


def arguments(name):
    """The calls in a file, with AWS's values in the placeholders' places."""
    text = PLACEHOLDER.sub(lambda found: VALUES[found[1]], (FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return json.loads(text)


def assert_as_aws_describes(calls, service):
    model = botocore.session.get_session().get_service_model(service)
    for operation, each in calls.items():
        for call in each:
            report = ParamValidator().validate(call, model.operation_model(operation).input_shape)
            assert not report.has_errors(), f"{operation}: {report.generate_report()}"


@pytest.mark.acceptance("operation-13", "bot-deploy-01")
def test_each_action_is_one_of_connect_s_and_leads_somewhere(flow):
    assert flow.problems() == []


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda one: one["Parameters"].update(QueueId="${QueueArn}"), "transfer: "),
        (lambda one: one.update(Type="TransferToQueue"), "no type that these flows use"),
        (lambda one: one["Transitions"]["Errors"].pop(), "transfer: errors"),
        (lambda one: one["Transitions"].pop("NextAction"), "transfer: NextAction"),
        (lambda one: one["Transitions"].update(NextAction="nowhere"), "transfer leads to 'nowhere'"),
        (lambda one: one.update(Identifier="other"), "hours leads to 'transfer'"),
        (lambda one: one.update(Type="MessageParticipantIteratively"), "transfer: "),
    ],
)
@pytest.mark.acceptance("bot-test-09")
def test_a_spoilt_action_is_found(spoil, found):
    document = json.loads((FOLDER / "inbound.json").read_text(encoding="utf-8"))
    spoil(next(one for one in document["Actions"] if one["Identifier"] == "transfer"))
    assert any(found in problem for problem in Flow(document, INBOUND).problems())


def test_an_unreached_action_and_a_circle_without_an_end_are_found():
    log = {"Type": "UpdateFlowLoggingBehavior", "Parameters": {"FlowLoggingBehavior": "Enabled"}}
    actions = [log | {"Identifier": name, "Transitions": {"NextAction": name}} for name in ("first", "second")]
    document = {"Version": "2019-10-30", "StartAction": "first", "Actions": actions}
    assert Flow(document, INBOUND).problems() == [
        "second is never reached",
        "no end follows first",
        "no end follows second",
    ]


@pytest.mark.acceptance("connect-03", "bot-test-09")
def test_no_fault_leaves_a_caller_without_a_person(flow):
    """Every error leads to the queue or a callback, but for a goodbye after which there is nothing left to do."""
    if flow.kind == WHISPER:  # the agent hears it, and is connected after it
        return
    waits = "MessageParticipantIteratively"  # in the queue's own flow the caller stays in the queue
    for name, action in flow.actions.items():
        for kind, target in action.errors.items():
            if action.Type == "Compare" or flow.actions[target].Type == "DisconnectParticipant":
                continue
            if kind in (SILENT, OTHER_KEY) and action.Type == "GetParticipantInput":
                continue  # the caller chose nothing
            if name in ("message", "stop-recording"):
                continue  # the message is kept, and a specialist hears what there is of it
            assert flow.types_reached(target) & {"TransferContactToQueue", "CreateCallbackContact", waits}, (name, kind)
    said_last = {action.Type for action in flow.list if "end" in action.targets}
    assert said_last <= {"MessageParticipant", "TransferContactToQueue"}


@pytest.mark.acceptance("connect-12")
def test_a_callback_or_a_message_is_promised_only_once_it_is_kept(flow):
    made_by = {"promised": "CreateCallbackContact", "voicemail-kept": "UpdateContactRecordingBehavior"}
    for name, action in flow.actions.items():
        if "call you back" in action.text and action.Type == "MessageParticipant":
            before = [each for each in flow.list if name in each.targets]
            assert [each.Type for each in before] == [made_by[name]]
            assert name not in before[0].errors.values()


@pytest.mark.acceptance("connect-08", "connect-09")
def test_no_menu_takes_more_than_one_key_or_waits_longer_than_ten_seconds(flow):
    """The action ends with the first key where nothing is kept, which is AWS's form of MaxDigits 1."""
    for menu in flow.of_type("GetParticipantInput"):
        if menu.Parameters["StoreInput"] == "False":
            assert menu.Parameters["InputTimeLimitSeconds"] == "10"
            assert set(menu.answers) == {str(number) for number in range(1, len(menu.answers) + 1)}
            assert all(f"press {key}" in menu.text.lower() for key in menu.answers)


@pytest.mark.acceptance("connect-02", "words-01", "words-05")
def test_the_greeting_is_in_the_bot_s_connection_says_that_an_ai_speaks_and_may_be_interrupted(inbound):
    (bot,) = inbound.of_type("ConnectParticipantWithLexBot")
    assert bot.text == BankAssistant().greeting()
    assert discloses(bot.text)
    before = [name for name in inbound.actions if bot.Identifier in inbound.reached(name)]
    assert not any(inbound.actions[name].Type == "MessageParticipant" for name in before)
    assert bot.Parameters["LexSessionAttributes"]["x-amz-lex:allow-interrupt:*:*"] == "true"
    assert set(bot.errors.values()) == {"specialist", "asks-for-person"}
    said = "Let me connect you with one of our specialists who can assist you. One moment please."
    assert inbound.actions["specialist"].text == said == TO_A_PERSON


@pytest.mark.acceptance("connect-04", "connect-05", "connect-15", "handover-11")
def test_flow_and_function_name_the_same_attributes(inbound):
    (bot,) = inbound.of_type("ConnectParticipantWithLexBot")
    check, note = inbound.actions["asks-for-person"], inbound.actions["note-handover"]
    assert check.Parameters["ComparisonValue"] == f"$.Lex.SessionAttributes.{TRANSFER}"
    assert check.answers == {"true": note.Identifier}
    assert note.Parameters["Attributes"] == {name: f"$.Lex.SessionAttributes.{name}" for name in (REASON, CONVERSATION)}
    assert set(LexSettings(url="http://s").verified) <= set(bot.Parameters["LexSessionAttributes"])
    # The context goes with the contact before it is put into the queue, on every way there.
    without = Flow.read("inbound", INBOUND)
    for noted in without.of_type("UpdateContactAttributes"):
        noted.Transitions.Errors.clear()
        without.actions[noted.Identifier] = noted.model_copy(
            update={"Transitions": noted.Transitions.model_copy(update={"NextAction": None})}
        )
    assert "TransferContactToQueue" not in without.types_reached(without.start)


@pytest.mark.acceptance("handover-12")
def test_urgent_reasons_are_put_before_others_as_in_the_service_s_own_queue(inbound):
    check = inbound.actions["reason"]
    priorities = {
        reason: int(inbound.actions[name].Parameters["QueuePriority"]) for reason, name in check.answers.items()
    }
    assert priorities == dict(URGENCY)
    assert check.errors == {OTHER_KEY: "unlogged"}  # Connect's own priority is 5


@pytest.mark.acceptance("connect-15")
def test_the_agent_hears_why_before_the_customer_is_connected(inbound):
    (hook,) = (each for each in inbound.of_type("UpdateContactEventHooks") if each.Identifier == "whisper-flow")
    assert hook.Parameters["EventHooks"] == {"AgentWhisper": "${WhisperFlowArn}"}
    whisper = Flow.read("agent_whisper", WHISPER)
    (check,) = whisper.of_type("Compare")
    noted = {key for each in inbound.of_type("UpdateContactAttributes") for key in each.Parameters["Attributes"]}
    assert check.Parameters["ComparisonValue"].removeprefix("$.Attributes.") in noted
    assert set(check.answers) == set(TransferReason.__args__)
    assert len({whisper.actions[name].text for name in check.answers.values()}) == len(check.answers)


@pytest.mark.acceptance("connect-07", "connect-08", "words-05")
def test_outside_the_hours_a_callback_is_offered(inbound):
    (hours,) = inbound.of_type("CheckHoursOfOperation")
    assert hours.answers == {"True": "transfer", "False": "after-hours"}
    said = inbound.actions["after-hours"].text
    assert said.startswith(
        "Our specialists are currently unavailable. Our hours are Monday to Friday, 9 AM to 5 PM. "
        "Would you like to leave a callback number? "
        "Press 1 to leave your number for a callback, or press 2 to end this call."
    )
    numbers = [each for each in inbound.of_type("GetParticipantInput") if "InvalidPhoneNumber" in each.errors]
    assert {each.Parameters["InputTimeLimitSeconds"] for each in numbers} == {"10"}
    logged = inbound.reached(inbound.start) - inbound.reached("private")
    assert not {each.Identifier for each in numbers} & logged  # numbers are typed with the log turned off


def test_hours_and_holidays_are_those_that_the_assistant_tells():
    calls, calendar = arguments("contact_centre"), bank_knowledge().specialist_calendar
    assert_as_aws_describes(calls, "connect")
    (hours,) = calls["CreateHoursOfOperation"]
    assert hours["TimeZone"] == calendar.zone.key
    assert list(calendar.week) == ["mon-fri"]
    span = calendar.week["mon-fri"]
    assert hours["Config"] == [
        {
            "Day": day,
            "StartTime": {"Hours": span.start.hour, "Minutes": span.start.minute},
            "EndTime": {"Hours": span.end.hour, "Minutes": span.end.minute},
        }
        for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")
    ]
    closed = calls["CreateHoursOfOperationOverride"]
    first = min(each["EffectiveFrom"] for each in closed)
    assert {each["EffectiveFrom"] for each in closed} == {
        day.isoformat() for day in calendar.holidays if day.isoformat() >= first
    }
    assert all(each["EffectiveTill"] == each["EffectiveFrom"] and each["OverrideType"] == "CLOSED" for each in closed)


@pytest.mark.acceptance("connect-09", "words-05", "words-06")
def test_the_queue_has_no_limit_and_a_full_one_is_told_word_by_word(inbound):
    (queue,) = arguments("contact_centre")["CreateQueue"]
    assert (queue["Name"], queue["OutboundCallerConfig"]["OutboundCallerIdName"]) == (
        "GeneralAgentQueue",
        "Banking Support",
    )
    assert "MaxContacts" not in queue
    (transfer,) = inbound.of_type("TransferContactToQueue")
    assert set(transfer.errors.values()) == {"queue-full"}
    full = inbound.actions["queue-full"]
    assert full.text.startswith(
        "All our specialists are currently assisting other customers. "
        "Would you like to hold, or may I take your contact information for a callback?"
    )
    assert set(full.errors.values()) == {"hold"} == {full.answers["1"]}
    assert inbound.actions["hold"].targets == ["transfer", "transfer"]
    assert "CreateCallbackContact" in inbound.types_reached(full.answers["2"])


@pytest.mark.acceptance("connect-11", "words-05")
def test_who_waits_hears_something_every_half_minute_and_may_choose_a_callback(waiting):
    (wait,) = waiting.of_type("MessageParticipantIteratively")
    choice = waiting.actions["choice"]
    assert waiting.actions[waiting.start].text == (
        "Thank you for holding. All our specialists are currently assisting other customers. "
        "Your call is important to us."
    )
    assert wait.Parameters == {"Messages": [{"PromptId": "${HoldMusicArn}"}], "InterruptFrequencySeconds": "30"}
    comfort = waiting.actions[wait.answers["MessagesInterrupted"]]
    assert comfort.text == "Thank you for your patience. A specialist will be with you soon."
    assert comfort.Transitions.NextAction == "place"  # and so on, with the place as it is now
    assert choice.text.startswith("To continue holding, press 1. To request a callback, press 2.")
    assert choice.answers["1"] == wait.Identifier == choice.Transitions.NextAction
    assert "CreateCallbackContact" in waiting.types_reached(choice.answers["2"])


@pytest.mark.parametrize("name", ["inbound", "customer_queue"])
@pytest.mark.acceptance("connect-13")
def test_a_message_is_recorded_only_with_consent_and_once_its_row_is_kept(name):
    flow = Flow.read(name, FLOWS[name])
    offered = next(each for each in flow.list if "To leave a message, press 3" in each.text)
    consent = flow.actions[offered.answers["3"]]
    assert "We will record your message" in consent.text
    row = flow.actions[consent.answers["1"]]
    assert row.Parameters["LambdaInvocationAttributes"] == {"does": "voicemail"}
    start = flow.actions[row.Transitions.NextAction]
    assert start.Parameters["RecordingBehavior"]["IVRRecordingBehavior"] == "Enabled"
    assert [each.Identifier for each in flow.list if start.Identifier in each.targets] == [row.Identifier]
    assert [each.Identifier for each in flow.list if row.Identifier in each.targets] == [consent.Identifier]
    # Without a row there is no message, and the caller gets a callback.
    assert "CreateCallbackContact" in flow.types_reached(row.errors[ANY])
    stop = flow.actions[flow.actions[start.Transitions.NextAction].Transitions.NextAction]
    assert stop.Parameters["RecordingBehavior"]["IVRRecordingBehavior"] == "Disabled"


def asking(flow, function):
    """The actions that invoke a function."""
    return [
        each
        for each in flow.of_type("InvokeLambdaFunction")
        if each.Parameters["LambdaFunctionARN"] == f"${{{function}}}"
    ]


@pytest.mark.acceptance("operation-13")
def test_an_identified_customer_gets_a_token_for_the_agents_page_before_the_queue(inbound):
    (asked,) = asking(inbound, "SummaryFunctionArn")
    assert set(asked.Parameters["LambdaInvocationAttributes"]) == set(FlowEvent.model_fields)
    asks_for_s = FlowSettings.model_fields["timeout_s"].default
    assert int(asked.Parameters["InvocationTimeLimitSeconds"]) > asks_for_s  # the function ends first, and in order
    noted = inbound.actions[asked.Transitions.NextAction]
    assert noted.Parameters["Attributes"] == {name: f"$.External.{name}" for name in (ACCOUNT, TOKEN)}
    # Who goes from the assistant to the queue meets the function first.
    without = Flow.read("inbound", INBOUND)
    without.actions[asked.Identifier] = without.actions["end"].model_copy(update={"Identifier": asked.Identifier})
    assert "TransferContactToQueue" not in without.types_reached(without.start)
    # A fault of the function, and a customer whom nobody identified, go on as all others do.
    assert set(asked.errors.values()) == set(noted.errors.values()) == {noted.Transitions.NextAction}


def test_the_token_of_the_agents_page_stands_in_no_log(inbound):
    (asked,) = asking(inbound, "SummaryFunctionArn")
    before = [each for each in inbound.list if asked.Identifier in each.targets]
    after = inbound.actions[inbound.actions[asked.Transitions.NextAction].Transitions.NextAction]
    assert [each.Parameters for each in before] == [{"FlowLoggingBehavior": "Disabled"}]
    assert after.Parameters == {"FlowLoggingBehavior": "Enabled"}
    assert {each.Identifier for each in inbound.list if "omni_token" in str(each.Parameters)} == {"note-account"}


@pytest.mark.parametrize("name", ["inbound", "customer_queue"])
@pytest.mark.acceptance("connect-11")
def test_flow_and_phone_function_agree_on_what_is_asked_and_answered(name):
    answers = {"voicemail": {"promised"}, "place_in_queue": {"text"}}  # as tests/unit/service/channels/phone shows
    flow = Flow.read(name, FLOWS[name])
    for asked in asking(flow, "PhoneFunctionArn"):
        does = asked.Parameters["LambdaInvocationAttributes"]["does"]
        assert does in get_args(Does)
        # What was answered is said before the function is asked again.
        said, left, seen = set(), [asked.Transitions.NextAction], {asked.Identifier}
        while left:
            action = flow.actions[left.pop()]
            if action.Identifier not in seen and action.Type != "InvokeLambdaFunction":
                seen.add(action.Identifier)
                said |= set(re.findall(r"\$\.External\.(\w+)", action.text))
                left += [action.Transitions.NextAction] if action.Transitions.NextAction else []
        assert said == answers[does]


def test_both_flows_take_a_message_with_the_same_words(inbound, waiting):
    for name in ("voicemail", "keep-voicemail", "start-recording", "message", "stop-recording", "voicemail-kept"):
        assert inbound.actions[name].Parameters == waiting.actions[name].Parameters


@pytest.mark.acceptance("bot-deploy-01")
def test_files_name_only_known_placeholders():
    named = {name for file in FOLDER.glob("*.json") for name in PLACEHOLDER.findall(file.read_text("utf-8"))}
    assert named == set(VALUES)


@pytest.mark.acceptance("bot-deploy-01")
def test_what_connect_keeps_is_sealed_under_the_prefixes_that_are_required():
    kept = arguments("contact_centre")["AssociateInstanceStorageConfig"]
    places = {each["ResourceType"]: each["StorageConfig"].get("S3Config") for each in kept}
    assert {kind: place and place["BucketPrefix"] for kind, place in places.items()} == {
        "CHAT_TRANSCRIPTS": "chat-transcripts",
        "CALL_RECORDINGS": "call-recordings",
        "CONTACT_TRACE_RECORDS": None,  # Connect sends these to a stream only, whose own prefix is contact-trace-records
    }
    assert all(place["EncryptionConfig"]["EncryptionType"] == "KMS" for place in places.values() if place)


def test_the_flows_are_made_before_those_that_name_them():
    flows = json.loads((FOLDER / "contact_centre.json").read_text("utf-8"))["CreateContactFlow"]
    assert [(each["Content"], each["Type"]) for each in flows] == [
        (f"<{name}.json>", FLOWS[name]) for name in ("agent_whisper", "customer_queue", "inbound")
    ]


@pytest.mark.acceptance("connect-01", "connect-05", "bot-deploy-02")
def test_the_bot_is_as_aws_describes_it():
    bot = arguments("bot")
    assert_as_aws_describes(bot, "lexv2-models")
    assert [(each["botName"], each["idleSessionTTLInSeconds"]) for each in bot["CreateBot"]] == [
        ("connect-comprehensive-bot", 300)
    ]
    locales = {each["localeId"] for each in bot["CreateBotLocale"]}
    (alias,), (version,) = bot["CreateBotAlias"], bot["CreateBotVersion"]
    assert locales == {"en_GB", "en_US"} == set(alias["botAliasLocaleSettings"])
    assert locales == set(version["botVersionLocaleSpecification"])
    for operation in ("CreateIntent", "UpdateIntent", "BuildBotLocale"):
        assert {each["localeId"] for each in bot[operation]} == locales
    assert {each["parentIntentSignature"] for each in bot["UpdateIntent"]} == {"AMAZON.FallbackIntent"}
    assert {each["intentName"] for each in bot["CreateIntent"]} == {"TransferToAgent"}
    # Whatever Lex makes of it, the function gets every turn.
    assert all(each["fulfillmentCodeHook"] == {"enabled": True} for each in bot["CreateIntent"] + bot["UpdateIntent"])
    assert alias["botAliasName"] == "prod"
    assert alias["conversationLogSettings"]["textLogSettings"][0]["enabled"] is True


def test_the_app_of_the_agents_workspace_is_as_aws_describes_it():
    text = (FOLDER / "workspace.json").read_text(encoding="utf-8").replace("${ServiceUrl}", "https://omni.example.com")
    app = json.loads(text)
    model = botocore.session.get_session().get_service_model("appintegrations").operation_model("CreateApplication")
    report = ParamValidator().validate(app, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    # What the page asks the workspace for, and no more (Amazon Connect Administrator Guide, "Events and requests").
    assert app["Permissions"] == ["Contact.Attributes.View", "Contact.Details.View"]
    assert app["ApplicationConfig"]["ContactHandling"]["Scope"] == "PER_CONTACT"
