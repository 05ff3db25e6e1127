"""The assistant's channels are those of infra/connect, whole and with every name of AWS's filled in."""

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "connect"


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def one(resources, kind, stage="prod"):
    (found,) = [resource["Properties"] for at, _, _, resource in resources(kind) if at == stage]
    return found


def test_the_bot_has_every_locale_and_intent_of_the_file(resources):
    bot, calls = one(resources, "AWS::Lex::Bot"), read("bot")
    assert [locale["LocaleId"] for locale in bot["BotLocales"]] == [
        call["localeId"] for call in calls["CreateBotLocale"]
    ]
    for locale in bot["BotLocales"]:
        wanted = {
            call["intentName"] for kind in ("CreateIntent", "UpdateIntent") for call in calls[kind]
            if call["localeId"] == locale["LocaleId"]
        }  # fmt: skip
        assert {intent["Name"] for intent in locale["Intents"]} == wanted
        assert all(intent["FulfillmentCodeHook"] == {"Enabled": True} for intent in locale["Intents"])
    alias = one(resources, "AWS::Lex::BotAlias")
    assert len(alias["BotAliasLocaleSettings"]) == len(bot["BotLocales"])


def test_every_flow_stands_and_each_name_of_aws_is_filled_in(resources):
    flows = [flow["Properties"] for stage, _, _, flow in resources("AWS::Connect::ContactFlow") if stage == "prod"]
    assert {flow["Type"] for flow in flows} == {"AGENT_WHISPER", "CUSTOMER_QUEUE", "CONTACT_FLOW"}
    for flow in flows:
        content = flow["Content"]
        text, known = (content, {}) if isinstance(content, str) else content["Fn::Sub"]
        assert set(re.findall(r"\$\{(\w+)\}", text)) == set(known)
        assert json.loads(text)["Version"] == "2019-10-30"


def test_hours_holidays_and_queue_are_those_of_the_file(resources):
    calls, hours = read("contact_centre"), one(resources, "AWS::Connect::HoursOfOperation")
    assert hours["Config"] == calls["CreateHoursOfOperation"][0]["Config"]
    assert len(hours["HoursOfOperationOverrides"]) == len(calls["CreateHoursOfOperationOverride"])
    assert one(resources, "AWS::Connect::Queue")["Name"] == calls["CreateQueue"][0]["Name"]


def test_recordings_are_kept_seven_years_in_prod_and_contact_records_ninety_days(resources):
    (rules,) = [
        bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        for stage, stack, logical, bucket in resources("AWS::S3::Bucket")
        if (stage, stack) == ("prod", "omni-assistant") and logical.startswith("Records")
    ]
    days = {rule["Prefix"]: (rule["ExpirationInDays"], rule.get("Transitions")) for rule in rules}
    glacier = [{"StorageClass": "GLACIER", "TransitionInDays": 90}]
    assert days == {
        "call-recordings/": (2555, glacier),
        "chat-transcripts/": (2555, glacier),
        "contact-trace-records/": (90, None),
    }
    kept = read("contact_centre")["AssociateInstanceStorageConfig"]
    prefixes = {
        call["StorageConfig"]["S3Config"]["BucketPrefix"] for call in kept if "S3Config" in call["StorageConfig"]
    }
    assert {f"{prefix}/" for prefix in prefixes} <= set(days)


def test_bot_and_functions_are_known_to_the_instance(resources):
    found = [
        made["Properties"]["IntegrationType"]
        for stage, _, _, made in resources("AWS::Connect::IntegrationAssociation")
        if stage == "prod"
    ]
    calls = read("contact_centre")
    assert found.count("LEX_BOT") == len(calls["AssociateBot"])
    assert found.count("LAMBDA_FUNCTION") == len(calls["AssociateLambdaFunction"])


def test_the_first_deployment_needs_nothing_of_the_instance_that_it_makes(resources):
    """A prompt's ARN names its instance: nobody could give one before the instance stands."""
    music = one(resources, "AWS::Connect::Prompt")
    assert music["InstanceArn"] == {"Fn::GetAtt": ["Instance", "Arn"]}
    assert set(music["S3Uri"]) == {"Ref"}


def test_whoever_erases_customers_may_delete_their_recordings_and_read_none(resources):
    policies = [found["Properties"] for stage, stack, _, found in resources("AWS::IAM::Policy") if stage == "prod"]
    (erasing,) = [one for one in policies if one["PolicyName"].startswith("ErasingRecords")]
    allowed = {
        action
        for statement in erasing["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {"s3:ListBucketVersions", "s3:DeleteObjectVersion"} == allowed
