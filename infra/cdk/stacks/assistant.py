"""The assistant's channels: the Lex bot and Amazon Connect's instance, from the files in ``infra/connect``, and their functions.

The files hold the calls of AWS's API, because tests check them against it. Here they become resources: names that AWS gives, such
as ``${QueueArn}``, become references. What CloudFormation has no resource for stands in docs/guides/deploying.md.
"""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.functions import FunctionPlace, Published, client_variables
from stacks.logs import log_group
from stacks.network import NetworkStack
from stacks.records import ContactRecords
from stacks.rights import READ, RECORDS, SEAL, Rights, erasing_objects
from stacks.service import PORT, ServiceStack
from stacks.trail import ObjectTrail
from tags import tagged

from service.privacy.erasure.places import inventory

_FILES = Path(__file__).resolve().parents[2] / "connect"
_FLOWS = {"AGENT_WHISPER": "agent_whisper", "CUSTOMER_QUEUE": "customer_queue", "CONTACT_FLOW": "inbound"}


class AssistantStack(cdk.Stack):
    """Callers reach the assistant by telephone and chat."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        data: DataStack,
        network: NetworkStack,
        service: ServiceStack,
        **props: Any,
    ) -> None:
        """Make functions, bot and instance; the functions speak to ``service``."""
        super().__init__(scope, name, **props)
        self._context, self._data = context, data
        self._key = data.key_for(self)
        self._functions = FunctionPlace(self, context, network, self._key, {PORT: "the service"})
        self._functions.group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS")
        self._service_url = f"http://{service.balancer.load_balancer_dns_name}:{PORT}"
        self._turns = self._functions.publish(
            "Turns",
            "service.channels.amazon_lex.lex.lambda_handler",
            {"OMNI_LEX_URL": self._service_url, **client_variables(self, "lex", "OMNI_LEX")},
        )
        self._summary = self._functions.publish(
            "Summary",
            "service.channels.amazon_lex.contact_flow.lambda_handler",
            {"OMNI_FLOW_URL": self._service_url, **client_variables(self, "flow", "OMNI_FLOW")},
        )
        self._phone = self._phone_function()
        self._alias = self._bot()
        self._instance_calls = _read("contact_centre")
        records = ContactRecords(self, "Records", context=context, data=data, key=self._key)
        mine = [
            place.prefix for place in inventory().prefixes.values() if place.bucket == RECORDS and place.is_searched
        ]
        erasing = erasing_objects(records.bucket.bucket_arn, mine)
        iam.Policy(self, "ErasingRecords", roles=[service.erasure_role], statements=erasing)
        cdk.CfnOutput(self, "RecordsBucket", value=records.bucket.bucket_name)
        watched = {"records": records.bucket.bucket_arn}
        ObjectTrail(self, "Objects", watched, of="recordings", context=context, data=data, key=self._key)
        self._connect(records)

    def _phone_function(self) -> Published:
        tables, seals = self._data.tables, self._data.seals
        phone = self._functions.publish(
            "Phone",
            "service.channels.phone.entry.lambda_handler",
            {
                "OMNI_ENVIRONMENT": "aws",
                "OMNI_STAGE": self._context.stage,
                "OMNI_AWS_REGION": self.region,
                "OMNI_VOICEMAILS_TABLE": tables["voicemails_table"].ref,
                "OMNI_CALLBACKS_KMS_KEY": seals["callbacks_kms_key"].key_arn,
            },
        )
        may = Rights(self._data, "")
        phone.function.add_to_role_policy(may.table("voicemails_table", READ, ("dynamodb:PutItem",)))
        phone.function.add_to_role_policy(may.seal("callbacks_kms_key", SEAL))
        contacts = self.format_arn(service="connect", resource="instance", resource_name="*/contact/*")
        phone.function.add_to_role_policy(
            iam.PolicyStatement(actions=["connect:GetContactMetrics"], resources=[contacts])
        )
        return phone

    def _bot(self) -> str:
        """Make the bot with its locales, a version and an alias; return the alias's ARN."""
        calls = _read("bot")
        role = iam.Role(self, "BotRole", assumed_by=iam.ServicePrincipal("lexv2.amazonaws.com"))
        talk = log_group(self, "BotLog", "/aws/lex/omni-assistant", self._context, self._key)
        talk.grant_write(role)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["polly:SynthesizeSpeech"],
                resources=["*"],
                conditions={"StringEquals": {"aws:RequestedRegion": self.region}},
            )
        )
        (bot_call,) = calls["CreateBot"]
        bot = self._resource(
            "Bot",
            "AWS::Lex::Bot",
            {
                **{key: value for key, value in _as_properties(bot_call).items() if key not in ("BotName", "RoleArn")},
                "Name": f"{bot_call['botName']}-{self._context.stage}",
                "IdleSessionTTLInSeconds": bot_call["idleSessionTTLInSeconds"],
                "RoleArn": role.role_arn,
                "AutoBuildBotLocales": True,
                "BotLocales": [_locale(call, calls) for call in calls["CreateBotLocale"]],
            },
        )
        locales = [
            {"LocaleId": locale, "BotVersionLocaleDetails": {"SourceBotVersion": "DRAFT"}}
            for locale in calls["CreateBotVersion"][0]["botVersionLocaleSpecification"]
        ]
        version = cdk.CfnResource(
            self,
            "BotVersion",
            type="AWS::Lex::BotVersion",
            properties={"BotId": bot.ref, "BotVersionLocaleSpecification": locales},
        )
        return self._bot_alias(bot, version, calls["CreateBotAlias"][0], talk)

    def _bot_alias(
        self, bot: cdk.CfnResource, version: cdk.CfnResource, call: dict[str, Any], talk: logs.LogGroup
    ) -> str:
        hook = {"LambdaArn": self._turns.alias.function_arn, "CodeHookInterfaceVersion": "1.0"}
        setting = {"Enabled": True, "CodeHookSpecification": {"LambdaCodeHook": hook}}
        (text,) = call["conversationLogSettings"]["textLogSettings"]
        prefix = text["destination"]["cloudWatch"]["logPrefix"]
        destination = {"CloudWatch": {"CloudWatchLogGroupArn": talk.log_group_arn, "LogPrefix": prefix}}
        alias = self._resource(
            "BotAlias",
            "AWS::Lex::BotAlias",
            {
                "BotAliasName": self._context.stage,
                "BotId": bot.ref,
                "BotVersion": version.get_att("BotVersion"),
                "BotAliasLocaleSettings": [
                    {"LocaleId": locale, "BotAliasLocaleSetting": setting} for locale in call["botAliasLocaleSettings"]
                ],
                "ConversationLogSettings": {"TextLogSettings": [{"Enabled": True, "Destination": destination}]},
            },
        )
        arn = alias.get_att("Arn").to_string()
        self._turns.alias.add_permission("Lex", principal=iam.ServicePrincipal("lexv2.amazonaws.com"), source_arn=arn)
        return arn

    def _connect(self, records: ContactRecords) -> None:
        instance = self._resource(
            "Instance",
            "AWS::Connect::Instance",
            {
                "InstanceAlias": cdk.CfnParameter(
                    self, "InstanceAlias", default=f"omni-{self._context.stage}", description="unique in all of AWS"
                ).value_as_string,
                "IdentityManagementType": "CONNECT_MANAGED",
                "Attributes": {"InboundCalls": True, "OutboundCalls": True, "ContactflowLogs": True},
            },
        )
        self._instance = instance.get_att("Arn").to_string()
        for number, call in enumerate(self._instance_calls["AssociateInstanceStorageConfig"]):
            records.store(f"Stored{number}", self._instance, call)
        asked = {"Phone": self._phone.alias, "Summary": self._summary.alias}
        for alias in asked.values():
            alias.add_permission(
                "Connect", principal=iam.ServicePrincipal("connect.amazonaws.com"), source_arn=self._instance
            )
        for logical, kind, arn in (
            ("BotInConnect", "LEX_BOT", self._alias),
            *((f"{name}InConnect", "LAMBDA_FUNCTION", alias.function_arn) for name, alias in asked.items()),
        ):
            self._made(
                logical, "IntegrationAssociation", InstanceId=self._instance, IntegrationType=kind, IntegrationArn=arn
            )
        hours, number, queue = self._queue()
        self._flows({"HoursArn": hours, "QueueArn": queue})
        cdk.CfnOutput(self, "PhoneNumberArn", value=number)

    def _queue(self) -> tuple[str, str, str]:
        (opening,), (waiting,) = self._instance_calls["CreateHoursOfOperation"], self._instance_calls["CreateQueue"]
        closed = [
            {name: call[name] for name in ("EffectiveFrom", "EffectiveTill", "OverrideType")}
            | {"OverrideName": call["Name"], "OverrideConfig": call["Config"]}
            for call in self._instance_calls["CreateHoursOfOperationOverride"]
        ]
        plain = {name: opening[name] for name in ("Name", "Description", "TimeZone", "Config")}
        hours = self._made(
            "Hours", "HoursOfOperation", InstanceArn=self._instance, HoursOfOperationOverrides=closed, **plain
        )
        number = self._made(
            "PhoneNumber", "PhoneNumber", TargetArn=self._instance, Type="DID", CountryCode="GB",
            Description="the assistant",
        )  # fmt: skip
        arns = {one: made.get_att(f"{one}Arn").to_string() for one, made in (("HoursOfOperation", hours),)}
        address = number.get_att("PhoneNumberArn").to_string()
        queue = self._made(
            "Queue",
            "Queue",
            InstanceArn=self._instance,
            Name=waiting["Name"],
            Description=waiting["Description"],
            HoursOfOperationArn=arns["HoursOfOperation"],
            OutboundCallerConfig={
                "OutboundCallerIdName": waiting["OutboundCallerConfig"]["OutboundCallerIdName"],
                "OutboundCallerIdNumberArn": address,
            },
        )
        return arns["HoursOfOperation"], address, queue.get_att("QueueArn").to_string()

    def _flows(self, known: dict[str, str]) -> None:
        # Made here: a prompt belongs to an instance, and this stack's instance has none before it stands.
        uri = cdk.CfnParameter(self, "HoldMusicUri", description="s3:// address of a WAV file, half a minute long")
        prompt = self._made(
            "HoldMusic", "Prompt", InstanceArn=self._instance, Name="Hold music", S3Uri=uri.value_as_string
        )
        music = prompt.get_att("PromptArn").to_string()
        values = known | {
            "BotAliasArn": self._alias,
            "PhoneFunctionArn": self._phone.alias.function_arn,
            "SummaryFunctionArn": self._summary.alias.function_arn,
            "HoldMusicArn": music,
        }
        flows = {call["Type"]: call for call in self._instance_calls["CreateContactFlow"]}
        made_as = {
            "AGENT_WHISPER": "WhisperFlowArn",
            "CUSTOMER_QUEUE": "QueueFlowArn",
            "CONTACT_FLOW": "InboundFlowArn",
        }
        for kind, called in made_as.items():
            text = (_FILES / f"{_FLOWS[kind]}.json").read_text(encoding="utf-8")
            used = {name: value for name, value in values.items() if f"${{{name}}}" in text}
            flow = self._made(
                called.removesuffix("Arn"),
                "ContactFlow",
                InstanceArn=self._instance,
                Name=flows[kind]["Name"],
                Description=flows[kind]["Description"],
                Type=kind,
                Content=cdk.Fn.sub(json.dumps(json.loads(text)), used) if used else json.dumps(json.loads(text)),
            )
            values[called] = flow.get_att("ContactFlowArn").to_string()

    def _made(self, logical: str, kind: str, **properties: Any) -> cdk.CfnResource:
        return self._resource(logical, f"AWS::Connect::{kind}", properties)

    def _resource(self, logical: str, kind: str, properties: dict[str, Any]) -> cdk.CfnResource:
        return cdk.CfnResource(self, logical, type=kind, properties=tagged(kind, properties, self._context.stage))


def _read(name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((_FILES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _locale(call: dict[str, Any], calls: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    intents = [
        one for kind in ("CreateIntent", "UpdateIntent") for one in calls[kind] if one["localeId"] == call["localeId"]
    ]
    dropped = ("BotId", "BotVersion", "LocaleId", "IntentId", "IntentName")
    return {
        "LocaleId": call["localeId"],
        "NluConfidenceThreshold": call["nluIntentConfidenceThreshold"],
        "VoiceSettings": _as_properties(call["voiceSettings"]),
        "Intents": [
            {
                "Name": one["intentName"],
                **{key: value for key, value in _as_properties(one).items() if key not in dropped},
            }
            for one in intents
        ],
    }


def _as_properties(value: Any) -> Any:
    """The API's names as CloudFormation writes them."""
    if isinstance(value, list):
        return [_as_properties(item) for item in value]
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _as_properties(item) for key, item in value.items()}
    return value
