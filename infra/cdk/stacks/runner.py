"""A runner of GitHub's workflows inside the network: CodeBuild starts one for each job that asks for it, and keeps nothing."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct
from environments import Environment
from stacks.bootstrap import BootstrapStack
from stacks.data import DataStack
from stacks.logs import log_group
from stacks.network import RANGE, NetworkStack
from stacks.service import PORT

_PROJECT = "omni"  # workflows name it: the variable OMNI_CODEBUILD
_IMAGE = "aws/codebuild/standard:7.0"  # Ubuntu 22.04 with Python 3.11


class RunnerStack(cdk.Stack):
    """Its own role can do nothing in the account: each job takes the role of its GitHub environment."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        bootstrap: BootstrapStack,
        data: DataStack,
        network: NetworkStack,
        **props: Any,
    ) -> None:
        """Somebody has confirmed the connection of ``bootstrap`` in the console before: AWS makes no web hook without it."""
        super().__init__(scope, name, **props)
        group = ec2.SecurityGroup(
            self, "Runner", vpc=network.vpc, description="runner of workflows", allow_all_outbound=False
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "GitHub, packages, AWS, models")
        group.add_egress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(5000), "the registry")
        group.add_egress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(PORT), "the balancer, for the smoke test")
        log = log_group(self, "Log", "/omni/runner", context, data.key_for(self))
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        log.grant_write(role)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    f"codeconnections:{action}" for action in ("GetConnection", "GetConnectionToken", "UseConnection")
                ],
                resources=[bootstrap.connection],
            )
        )
        subnets = network.vpc.select_subnets(subnet_group_name="tasks").subnet_ids
        interfaces = ("CreateNetworkInterface", "DeleteNetworkInterface")
        looks = ("NetworkInterfaces", "Subnets", "SecurityGroups", "DhcpOptions", "Vpcs")
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[*(f"ec2:{action}" for action in interfaces), *(f"ec2:Describe{kind}" for kind in looks)],
                resources=["*"],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ec2:CreateNetworkInterfacePermission"],
                resources=[self.format_arn(service="ec2", resource="network-interface", resource_name="*")],
                conditions={"StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"}},
            )
        )
        project = codebuild.CfnProject(
            self,
            "Project",
            name=_PROJECT,
            description="runs jobs of GitHub's workflows, one machine each",
            service_role=role.role_arn,
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_MEDIUM", "image": _IMAGE},
            source={
                "type": "GITHUB",
                "location": cdk.Fn.join("", ["https://github.com/", bootstrap.repository, ".git"]),
                "auth": {"type": "CODECONNECTIONS", "resource": bootstrap.connection},
            },
            triggers={"webhook": True, "filterGroups": [[{"type": "EVENT", "pattern": "WORKFLOW_JOB_QUEUED"}]]},
            vpc_config={
                "vpcId": network.vpc.vpc_id,
                "subnets": subnets,
                "securityGroupIds": [group.security_group_id],
            },
            logs_config={"cloudWatchLogs": {"status": "ENABLED", "groupName": log.log_group_name}},
            encryption_key=data.key.key_arn,
            timeout_in_minutes=120,
        )
        project.node.add_dependency(role)
