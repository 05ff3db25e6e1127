"""The warehouse: Redshift Serverless in the private network, and the role with which COPY reads the staging prefix."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_redshiftserverless as redshift
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.network import NetworkStack

from service.kit.settings import RedshiftSettings

PORT = 5439


class WarehouseStack(cdk.Stack):
    """``workgroup`` is asked through the Data API, ``host`` through connections, which ``group`` admits."""

    def __init__(
        self, scope: Construct, name: str, context: Environment, *, data: DataStack, network: NetworkStack, **props: Any
    ) -> None:
        """Make namespace and workgroup."""
        super().__init__(scope, name, **props)
        settings = RedshiftSettings()
        self.workgroup = f"omni-{context.stage}"
        bucket = data.buckets["archive_bucket"].attr_arn
        self.copy_role = iam.Role(self, "Copy", assumed_by=iam.ServicePrincipal("redshift.amazonaws.com"))
        self.copy_role.add_to_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{bucket}/{settings.staging_prefix}*"])
        )
        self.copy_role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket],
                conditions={"StringLike": {"s3:prefix": [f"{settings.staging_prefix}*"]}},
            )
        )
        self.copy_role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[data.key.key_arn]))
        namespace = redshift.CfnNamespace(
            self,
            "Namespace",
            namespace_name=self.workgroup,
            db_name=settings.database,
            kms_key_id=data.key.key_arn,
            manage_admin_password=True,
            admin_password_secret_kms_key_id=data.key.key_arn,
            iam_roles=[self.copy_role.role_arn],
            log_exports=["userlog", "connectionlog", "useractivitylog"],
        )
        namespace.apply_removal_policy(cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY)
        self.group = ec2.SecurityGroup(
            self, "Warehouse", vpc=network.vpc, description="the service asks by the Data API, QuickSight connects"
        )
        made = redshift.CfnWorkgroup(
            self,
            "Workgroup",
            workgroup_name=self.workgroup,
            namespace_name=namespace.namespace_name,
            base_capacity=context.warehouse_rpus,
            enhanced_vpc_routing=True,
            publicly_accessible=False,
            security_group_ids=[self.group.security_group_id],
            subnet_ids=network.vpc.select_subnets(subnet_group_name="stores").subnet_ids,
        )
        made.add_resource_dependency(namespace)
        self.host = made.attr_workgroup_endpoint_address
        self.workgroup_arn = made.attr_workgroup_workgroup_arn
