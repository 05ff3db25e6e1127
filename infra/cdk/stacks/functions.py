"""Functions of the package in Lambda: in the network, each with a log, and called by an alias of one published version."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as functions
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct
from environments import Environment
from stacks.logs import log_group
from stacks.network import RANGE, NetworkStack

ALIAS = "live"


@dataclass(frozen=True)
class Published:
    """``alias`` is what others call: it can be turned back to an earlier version."""

    function: functions.Function
    alias: functions.Alias


class FunctionPlace:
    """What the functions of one stack share: code, network and what they may reach in it, and the ``key`` that encrypts."""

    def __init__(
        self, stack: cdk.Stack, context: Environment, network: NetworkStack, key: kms.IKey, reach: dict[int, str]
    ) -> None:
        """``reach`` holds the ports inside the network that the functions may call, with the reason for each."""
        self._stack, self._context, self._network, self.key = stack, context, network, key
        self._code_key = cdk.CfnParameter(
            stack,
            "FunctionsKey",
            description="key of the functions' code, named after its content: a new one is a new version",
        )
        self._code = functions.Code.from_cfn_parameters(
            bucket_name_param=cdk.CfnParameter(stack, "FunctionsBucket", description="bucket of the functions' code"),
            object_key_param=self._code_key,
        )
        self.group = ec2.SecurityGroup(
            stack, "Functions", vpc=network.vpc, description="functions", allow_all_outbound=False
        )
        for port, why in reach.items():
            self.group.add_egress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(port), why)

    def publish(self, name: str, handler: str, environment: dict[str, str], *, timeout_s: int = 28) -> Published:
        """Make a function, a version of it, and the alias. Lex waits for 30 seconds."""
        function = functions.Function(
            self._stack,
            f"{name}Function",
            runtime=functions.Runtime.PYTHON_3_14,
            handler=handler,
            code=self._code,
            memory_size=512,
            timeout=cdk.Duration.seconds(timeout_s),
            tracing=functions.Tracing.ACTIVE,
            vpc=self._network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            security_groups=[self.group],
            environment=environment,
            environment_encryption=self.key,
            log_group=log_group(self._stack, f"{name}Log", f"/omni/{name.lower()}", self._context, self.key),
            # A version is made anew when its description changes, and kept for a return.
            current_version_options=functions.VersionOptions(
                description=self._code_key.value_as_string, removal_policy=cdk.RemovalPolicy.RETAIN
            ),
        )
        alias = functions.Alias(self._stack, f"{name}Live", alias_name=ALIAS, version=function.current_version)
        return Published(function, alias)


def client_variables(scope: Construct, name: str, prefix: str) -> dict[str, str]:
    """Return the variables ``<prefix>_CLIENT_ID`` and ``<prefix>_CLIENT_SECRET``, from the secret ``omni-<name>-client``.

    It is made before the stack, because a function's variables are filled in once, when it is deployed.
    """
    client = secrets.Secret.from_secret_name_v2(scope, f"{name.capitalize()}Client", f"omni-{name}-client")
    return {
        f"{prefix}_CLIENT_ID": client.secret_value_from_json("id").unsafe_unwrap(),
        f"{prefix}_CLIENT_SECRET": client.secret_value_from_json("secret").unsafe_unwrap(),
    }
