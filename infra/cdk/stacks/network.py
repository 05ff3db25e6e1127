"""The network: private subnets, endpoints for every AWS service that the tasks call, and flow logs."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.logs import log_group
from stacks.naming import pascal

# Of the private network; another where it must be joined with a network that has the same.
RANGE = "10.0.0.0/16"
# A call through an endpoint never leaves AWS's network. Models of other providers and web hooks go through NAT.
ENDPOINTS = (
    *("bedrock-runtime", "comprehend", "ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "redshift-data"),
    *("secretsmanager", "sns", "sqs", "ssm", "sts", "transcribe"),
)


class NetworkStack(cdk.Stack):
    """``vpc`` with ``zones`` of public and private subnets; ``names`` is the private DNS zone."""

    def __init__(self, scope: Construct, name: str, context: Environment, data: DataStack, **props: Any) -> None:
        """``data`` holds the key that encrypts the flow logs."""
        super().__init__(scope, name, **props)
        key = data.key_for(self)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(RANGE),
            # Named, because a stack that may go to any region gets two zones, whatever it asks for.
            availability_zones=[cdk.Fn.select(number, cdk.Fn.get_azs()) for number in range(context.zones)],
            nat_gateways=context.nat_gateways,
            restrict_default_security_group=False,  # the custom resource for it would need a function with an asset
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="tasks", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
                ec2.SubnetConfiguration(name="stores", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
        )
        flow = log_group(self, "FlowLog", "/omni/network", context, key)
        self.vpc.add_flow_log("Flow", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow))
        objects = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        tables = self.vpc.add_gateway_endpoint("DynamoDb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        # Whoever gets hold of a task carries nothing to another account: not to its stores, and not with its credentials.
        for endpoint in (objects, tables):
            endpoint.add_to_policy(_allow("aws:ResourceAccount", self.account))
        # Images lie in a bucket of AWS's: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
        layers = f"arn:{self.partition}:s3:::prod-{self.region}-starport-layer-bucket/*"
        objects.add_to_policy(
            iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=["s3:GetObject"], resources=[layers])
        )
        if context.private_endpoints:
            self._reach_aws()
        self.names = discovery.PrivateDnsNamespace(self, "Names", name="omni.internal", vpc=self.vpc)

    def _reach_aws(self) -> None:
        inside = ec2.SecurityGroup(
            self, "Endpoints", vpc=self.vpc, description="AWS services", allow_all_outbound=False
        )
        inside.add_ingress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(443), "tasks")
        for service in ENDPOINTS:
            endpoint = self.vpc.add_interface_endpoint(
                pascal(service),
                service=ec2.InterfaceVpcEndpointAwsService(service),
                security_groups=[inside],
                open=False,
                subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            )
            endpoint.add_to_policy(_allow("aws:PrincipalAccount", self.account))
            if service == "sts":  # a workflow has no account yet when it takes its role
                roles = self.format_arn(service="iam", region="", resource="role", resource_name="*")
                endpoint.add_to_policy(
                    iam.PolicyStatement(
                        principals=[iam.AnyPrincipal()], actions=["sts:AssumeRoleWithWebIdentity"], resources=[roles]
                    )
                )


def _allow(whose: str, account: str) -> iam.PolicyStatement:
    """Allow everything to which a role has a right, where the condition key ``whose`` is this account."""
    return iam.PolicyStatement(
        principals=[iam.AnyPrincipal()], actions=["*"], resources=["*"], conditions={"StringEquals": {whose: account}}
    )
