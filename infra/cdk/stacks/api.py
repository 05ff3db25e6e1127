"""The API: a REST API from the service's own OpenAPI document, a private link to the balancer, usage plans, and a firewall."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as gateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as event_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_wafv2 as waf
from constructs import Construct
from environments import Environment
from openapi import with_integrations
from stacks.bootstrap import SIGNING_ALIAS
from stacks.data import DataStack
from stacks.functions import FunctionPlace, client_variables
from stacks.logs import log_group
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.rights import Rights, canary_rights
from stacks.service import PORT, ServiceStack

# AWS's rules on what nobody sends by accident. The body rule on size is ours to set: the service takes 256 KiB.
_MANAGED = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
)
_PER_ADDRESS = 2_000  # requests in five minutes: agents of one site share an address


class ApiStack(cdk.Stack):
    """``api`` is the REST API; its stage is called after the environment."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        data: DataStack,
        network: NetworkStack,
        service: ServiceStack,
        watched: ObservabilityStack,
        **props: Any,
    ) -> None:
        """Make the API in front of ``service``, and the function that asks through it each minute."""
        super().__init__(scope, name, **props)
        key = data.key_for(self)
        link = gateway.VpcLink(self, "Link", targets=[service.balancer], description="to the service's balancer")
        log = log_group(self, "Log", "/omni/api", context, key)
        limits = context.api  # of one key; the stage takes twice as much from all together
        self.api = gateway.SpecRestApi(
            self,
            "Api",
            rest_api_name=f"omni-{context.stage}",
            api_definition=gateway.ApiDefinition.from_inline(
                with_integrations(link.vpc_link_id, f"{service.balancer.load_balancer_dns_name}:{PORT}")
            ),
            endpoint_types=[gateway.EndpointType.REGIONAL],
            disable_execute_api_endpoint=context.domain is not None,  # one address, or callers keep the other
            cloud_watch_role=True,
            deploy_options=gateway.StageOptions(
                stage_name=context.stage,
                access_log_destination=gateway.LogGroupLogDestination(log),
                access_log_format=gateway.AccessLogFormat.json_with_standard_fields(
                    caller=False,
                    http_method=True,
                    ip=False,
                    protocol=True,
                    request_time=True,
                    resource_path=True,
                    response_length=True,
                    status=True,
                    user=False,
                ),
                logging_level=gateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # bodies hold customers' words
                metrics_enabled=True,
                tracing_enabled=True,
                throttling_rate_limit=limits.rate_per_s * 2,
                throttling_burst_limit=limits.burst * 2,
            ),
        )
        address = self._address(context, watched)
        place = FunctionPlace(self, context, network, key, {})
        self._canary(self._plan(context), address, data=data, service=service, place=place)
        self._firewall(context)

    def _canary(
        self, plan: gateway.UsagePlan, address: str, *, data: DataStack, service: ServiceStack, place: FunctionPlace
    ) -> None:
        """Ask each minute as a customer does; ``canary-silent`` is the alarm on its figure."""
        key = secrets.Secret(
            self,
            "CanaryKey",
            description="the canary's key of the gateway",
            encryption_key=place.key,
            generate_secret_string=secrets.SecretStringGenerator(password_length=40, exclude_punctuation=True),
        ).secret_value.unsafe_unwrap()  # a reference that CloudFormation fills in
        plan.add_api_key(gateway.ApiKey(self, "CanaryApiKey", description="the canary's", value=key))
        place.group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "the gateway, AWS")
        arns = [data.key.key_arn, *(seal.key_arn for seal in data.seals.values())]
        canary = place.publish(
            "Canary",
            "service.operate.deployment.hook.canary_handler",
            {
                "OMNI_SMOKE_URL": address,
                "OMNI_SMOKE_KEY": key,
                "OMNI_SMOKE_ACCOUNT": service.canary_account,
                "OMNI_SMOKE_TABLE": str(data.tables["interactions_table"].table_name),
                "OMNI_SMOKE_KEYS": self.to_json_string([*arns, SIGNING_ALIAS]),
                **client_variables(self, "smoke", "OMNI_SMOKE"),
            },
            timeout_s=45,
        )
        for right in canary_rights(Rights(data, ""), service.canary_account):
            canary.function.add_to_role_policy(right)
        keys = self.format_arn(service="kms", resource="key", resource_name="*")
        of_releases = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [SIGNING_ALIAS]}}
        for resources, conditions in ((arns, None), ([keys], of_releases)):
            canary.function.add_to_role_policy(
                iam.PolicyStatement(actions=["kms:DescribeKey"], resources=resources, conditions=conditions)
            )
        minute = events.Schedule.rate(cdk.Duration.minutes(1))
        events.Rule(self, "EachMinute", schedule=minute, targets=[event_targets.LambdaFunction(canary.alias)])

    def _address(self, context: Environment, watched: ObservabilityStack) -> str:
        """Give the API its own domain with a certificate that renews itself, or say that it has none."""
        if context.domain is None:
            cdk.CfnOutput(
                self, "Address", value=self.api.url, description="no domain of our own: the gateway's address"
            )
            return self.api.url
        name = context.domain.name
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=context.domain.zone_id, zone_name=context.domain.zone
        )
        certificate = acm.Certificate(
            self, "Certificate", domain_name=name, validation=acm.CertificateValidation.from_dns(zone)
        )
        domain = gateway.DomainName(
            self,
            "Domain",
            domain_name=name,
            certificate=certificate,
            endpoint_type=gateway.EndpointType.REGIONAL,
            security_policy=gateway.SecurityPolicy.TLS_1_2,
        )
        domain.add_base_path_mapping(self.api, stage=self.api.deployment_stage)
        watched.watch(self, "certificate-expiry", [{"CertificateArn": certificate.certificate_arn}])
        target = route53.RecordTarget.from_alias(targets.ApiGatewayDomain(domain))
        route53.ARecord(self, "Record", zone=zone, record_name=f"{name}.", target=target)
        cdk.CfnOutput(self, "Address", value=f"https://{name}/", description="the API's own domain")
        return f"https://{name}/"

    def _plan(self, context: Environment) -> gateway.UsagePlan:
        limits = context.api
        return gateway.UsagePlan(
            self,
            "Plan",
            name=f"omni-{context.stage}",
            description="one key for each client; tokens say who may do what, keys how much",
            api_stages=[gateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
            throttle=gateway.ThrottleSettings(rate_limit=limits.rate_per_s, burst_limit=limits.burst),
            quota=gateway.QuotaSettings(limit=limits.quota_per_day, period=gateway.Period.DAY),
        )

    def _firewall(self, context: Environment) -> None:
        rules = [
            _rule(name, number, {"managedRuleGroupStatement": _managed(name)}, managed=True)
            for number, name in enumerate(_MANAGED)
        ]
        rate = {"rateBasedStatement": {"limit": _PER_ADDRESS, "aggregateKeyType": "IP"}}
        rules.append(_rule("PerAddress", len(rules), rate, managed=False))
        acl = waf.CfnWebACL(
            self,
            "Firewall",
            name=f"omni-{context.stage}",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=_visible("Firewall"),
            rules=rules,
        )
        waf.CfnWebACLAssociation(
            self, "FirewallOnApi", resource_arn=self.api.deployment_stage.stage_arn, web_acl_arn=acl.attr_arn
        )


def _managed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"vendorName": "AWS", "name": name}
    if name == "AWSManagedRulesCommonRuleSet":
        # Bodies up to 256 KiB are ours to check, and histories hold what looks like markup: the service refuses neither blindly.
        counted = ("SizeRestrictions_BODY", "CrossSiteScripting_BODY")
        found["ruleActionOverrides"] = [{"name": rule, "actionToUse": {"count": {}}} for rule in counted]
    return found


def _rule(name: str, priority: int, statement: dict[str, Any], *, managed: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "name": name,
        "priority": priority,
        "statement": statement,
        "visibilityConfig": _visible(name),
    }
    return rule | ({"overrideAction": {"none": {}}} if managed else {"action": {"block": {}}})


def _visible(name: str) -> dict[str, Any]:
    return {"cloudWatchMetricsEnabled": True, "sampledRequestsEnabled": True, "metricName": name}
