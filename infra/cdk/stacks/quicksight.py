"""QuickSight: a data source over the warehouse, and the dashboards of ``service/dashboards`` with the walls between tenants."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct
from environments import Environment
from stacks.naming import pascal
from stacks.network import NetworkStack
from stacks.warehouse import PORT, WarehouseStack
from tags import tagged

from service.dashboards.definitions import CALLS, load_calls_dashboard, load_dashboards
from service.dashboards.quicksight import export
from service.dashboards.readers import CallReader
from service.kit.settings import RedshiftSettings

# The wall stands, and opens for nobody: readers are people, whose names belong into no repository.
NOBODY = (CallReader(user="nobody", tenant="nobody"),)
_READS = ("quicksight:DescribeDashboard", "quicksight:ListDashboardVersions", "quicksight:QueryDashboard")


class QuickSightStack(cdk.Stack):
    """Nobody is given a data set or the data source: their owners would see the rows of all tenants."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        network: NetworkStack,
        warehouse: WarehouseStack,
        readers: Sequence[CallReader],
        **props: Any,
    ) -> None:
        """Make connection, data source, data sets and dashboards; ``readers`` are who may see whose calls."""
        super().__init__(scope, name, **props)
        self._stage, self._network, self._warehouse = context.stage, network, warehouse
        source = self._data_source(self._connection())
        groups = {
            kind: cdk.CfnParameter(self, f"{kind}Group", description=f"group of QuickSight that reads {what}")
            for kind, what in (
                ("Operators", "the dashboards of the service"),
                ("CallReaders", "the dashboard of calls"),
            )
        }
        boards = [*load_dashboards().values(), load_calls_dashboard()]
        calls = export(
            boards,
            account=self.account,
            region=self.region,
            data_source_arn=source.get_att("Arn").to_string(),
            readers=readers,
        )
        sets = [self._made("DataSet", request, source) for request in calls["CreateDataSet"]]
        for one in sets[1:]:
            one.add_dependency(sets[0])  # the rules, which others refer to by name
        for request in calls["CreateDashboard"]:
            group = groups["CallReaders" if request["DashboardId"] == f"omni-{CALLS}" else "Operators"]
            board = self._made("Dashboard", request | {"Permissions": [self._may_read(group.value_as_string)]})
            for one in sets:
                board.add_dependency(one)

    def _connection(self) -> cdk.CfnResource:
        """A way into the private network, which leads to the warehouse alone."""
        group = ec2.SecurityGroup(
            self, "QuickSight", vpc=self._network.vpc, description="QuickSight", allow_all_outbound=False
        )
        group.add_egress_rule(self._warehouse.group, ec2.Port.tcp(PORT), "the warehouse")
        # The rules of this group are not stateful: answers need one of their own (QuickSight User Guide, "Security groups").
        group.add_ingress_rule(self._warehouse.group, ec2.Port.all_tcp(), "answers of the warehouse")
        ec2.CfnSecurityGroupIngress(
            self,
            "IntoWarehouse",
            group_id=self._warehouse.group.security_group_id,
            source_security_group_id=group.security_group_id,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            description="QuickSight",
        )
        role = iam.Role(self, "Network", assumed_by=iam.ServicePrincipal("quicksight.amazonaws.com"))
        actions = ("CreateNetworkInterface", "ModifyNetworkInterfaceAttribute", "DeleteNetworkInterface")
        looks = ("DescribeSubnets", "DescribeSecurityGroups")
        role.add_to_policy(iam.PolicyStatement(actions=[f"ec2:{one}" for one in (*actions, *looks)], resources=["*"]))
        connection = self._resource(
            "Connection",
            "VPCConnection",
            {
                "AwsAccountId": self.account,
                "VPCConnectionId": f"omni-{self._stage}",
                "Name": f"omni-{self._stage}",
                "RoleArn": role.role_arn,
                "SecurityGroupIds": [group.security_group_id],
                "SubnetIds": self._network.vpc.select_subnets(subnet_group_name="stores").subnet_ids,
            },
        )
        connection.node.add_dependency(role)
        return connection

    def _data_source(self, connection: cdk.CfnResource) -> cdk.CfnResource:
        secret = cdk.CfnParameter(
            self,
            "WarehouseLogin",
            description="ARN of the secret with username and password of a user who reads the warehouse",
        )
        database = {"Database": RedshiftSettings().database, "Host": self._warehouse.host, "Port": PORT}
        return self._resource(
            "Warehouse",
            "DataSource",
            {
                "AwsAccountId": self.account,
                "DataSourceId": "omni-redshift",
                "Name": "Omni Insights",
                "Type": "REDSHIFT",
                "DataSourceParameters": {"RedshiftParameters": database},
                "Credentials": {"SecretArn": secret.value_as_string},
                "VpcConnectionProperties": {"VpcConnectionArn": connection.get_att("Arn").to_string()},
                "SslProperties": {"DisableSsl": False},
            },
        )

    def _made(self, kind: str, request: dict[str, Any], *after: cdk.CfnResource) -> cdk.CfnResource:
        """Make what a request of QuickSight's API asks for: CloudFormation has the same names."""
        name = pascal(request[f"{kind}Id"].removeprefix("omni-"))
        made = self._resource(f"{name}{kind}", kind, request)
        for one in after:
            made.add_dependency(one)
        return made

    def _resource(self, logical: str, kind: str, properties: dict[str, Any]) -> cdk.CfnResource:
        kind = f"AWS::QuickSight::{kind}"
        return cdk.CfnResource(self, logical, type=kind, properties=tagged(kind, properties, self._stage))

    def _may_read(self, group: str) -> dict[str, Any]:
        arn = self.format_arn(service="quicksight", resource="group", resource_name=f"default/{group}")
        return {"Principal": arn, "Actions": list(_READS)}
