"""The service stack: the HTTP service behind a network load balancer, its workers, and the scheduled jobs, all on Fargate."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling_policies
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import cloudformation_include as include
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.functions import FunctionPlace, client_variables
from stacks.network import RANGE, NetworkStack
from stacks.observability import ObservabilityStack
from stacks.registry import RegistryStack
from stacks.rights import (
    Rights,
    callbacks_rights,
    calls_rights,
    canary_rights,
    erasure_rights,
    schedule_rights,
    service_rights,
)
from stacks.transcription import Transcription
from stacks.walls import tenant_readers
from stacks.warehouse import WarehouseStack
from stacks.workload import Workload, WorkloadPlan, in_the_warehouse

PORT, TEST_PORT = 80, 8443
CONTAINER_PORT = 8080
READER, WRITER = "omni_reader", "omni_writer"  # of the warehouse: infra/warehouse/roles.sql
_SCHEDULE = Path(__file__).resolve().parents[2] / "schedule" / "eventbridge.json"


class ServiceStack(cdk.Stack):
    """``balancer`` and ``listener`` are what the API reaches; ``workloads`` holds every task definition by name."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        data: DataStack,
        network: NetworkStack,
        registry: RegistryStack,
        warehouse: WarehouseStack,
        watched: ObservabilityStack,
        **props: Any,
    ) -> None:
        """Make the service over ``data``, in ``network``, with the releases of ``registry`` and the figures of ``warehouse``.

        Some alarms of ``watched`` end a deployment.
        """
        super().__init__(scope, name, **props)
        self._key = data.key_for(self)
        self._watched = watched
        self._context, self._data, self._network, self._warehouse = context, data, network, warehouse
        # Clusters and services have names of ours: runbooks name them.
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name="omni",
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENHANCED,
        )
        self._images = {
            kind: cdk.CfnParameter(
                self, f"{kind}Image", description=f"image of the {kind.lower()}, by digest"
            ).value_as_string
            for kind in ("Service", "Workers")
        }
        webhook = cdk.CfnParameter(
            self, "CallbackWebhook", description="https address of the telephone system, which rings the callbacks"
        ).value_as_string
        self._origins = cdk.CfnParameter(
            self,
            "EmbedOrigins",
            default="[]",
            description='origins of pages that may show the widget, as in ["https://desk.example.com"]',
        ).value_as_string
        self._environment = self._common_environment(registry)
        self._log_key = secrets.Secret(
            self,
            "LogKey",
            description="keys the hashes that stand for accounts in the log",
            encryption_key=self._key,
            generate_secret_string=secrets.SecretStringGenerator(password_length=64, exclude_punctuation=True),
        )
        # No task may change a release: releases come from whoever has the other password.
        self._hidden = {"OMNI_LOG_KEY": self._log_key, "MLFLOW_TRACKING_PASSWORD": registry.logins["reader"]}
        self.tasks_group = ec2.SecurityGroup(
            self, "Tasks", vpc=network.vpc, description="tasks of the service and its workers", allow_all_outbound=False
        )
        self.tasks_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS, models of other providers")
        self.tasks_group.add_egress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(5000), "the registry")
        self._transcription = Transcription(self, "Transcription", data=data, key=self._key)
        self.workloads = {plan.name: self._workload(plan) for plan in _plans(context, self._images, webhook)}
        self.service = self._serve(self.workloads["service"])
        self._work("calls")
        self._work("callbacks")
        self._schedule(self.workloads["schedule"])
        self._erasure_role()
        readers = tenant_readers(self, bucket=data.buckets["results_bucket"].attr_arn, key=data.key.key_arn)
        cdk.CfnOutput(self, "TenantReadersRole", value=readers.role_arn)

    def _common_environment(self, registry: RegistryStack) -> dict[str, str]:
        """Variables of every task; the service's ``Settings`` accept them (a test reads them back)."""
        names = {
            f"OMNI_{setting.upper()}": resource.ref
            for setting, resource in (self._data.tables | self._data.buckets).items()
            if setting != "interactions_table"
        }
        names["OMNI_INTERACTIONS_TABLE"] = str(self._data.tables["interactions_table"].table_name)
        names |= {f"OMNI_{setting.upper()}": queue.attr_queue_name for setting, queue in self._data.queues.items()}
        names |= {f"OMNI_{setting.upper()}": key.key_arn for setting, key in self._data.seals.items()}
        return names | {
            "OMNI_ENVIRONMENT": "aws",
            "OMNI_STAGE": self._context.stage,
            "OMNI_AWS_REGION": self.region,
            "OMNI_CALLS_KMS_KEY": self._key.key_arn,
            "OMNI_EMBED_ORIGINS": self._origins,
            "OMNI_REGISTRY_URI": registry.address,
            "MLFLOW_TRACKING_USERNAME": "reader",
            "OMNI_REDSHIFT_WORKGROUP": self._warehouse.workgroup,
            "OMNI_REDSHIFT_COPY_ROLE": self._warehouse.copy_role.role_arn,
            "OMNI_TRUSTED_KEYS": "/var/lib/omni/trusted/trusted.pem",
            "OMNI_HOST": "0.0.0.0",  # noqa: S104  the task's own network interface; its security group admits the balancer
        }

    def _erasure_role(self) -> None:
        """The role of the people who erase customers: for an hour, and with a second factor."""
        self.erasure_role = role = iam.Role(
            self,
            "Erasure",
            description="exports and deletes customers; no task has it",
            assumed_by=iam.AccountRootPrincipal().with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
            max_session_duration=cdk.Duration.hours(1),
        )
        for statement in erasure_rights(Rights(self._data, self._warehouse.workgroup_arn), self):
            role.add_to_policy(statement)
        in_the_warehouse(role, WRITER)
        self._log_key.grant_read(role)  # customers are known by hashes with this key
        cdk.CfnOutput(self, "ErasureRole", value=role.role_arn)
        cdk.CfnOutput(self, "LogKeySecret", value=self._log_key.secret_arn)

    def _workload(self, plan: WorkloadPlan) -> Workload:
        rights = plan.rights(Rights(self._data, self._warehouse.workgroup_arn), self)
        hears = plan.name == "calls"
        return Workload(
            self,
            f"{plan.name.capitalize()}Workload",
            plan,
            context=self._context,
            key=self._key,
            environment=self._environment | (self._transcription.environment if hears else {}),
            hidden=self._hidden,
            rights=[*rights, *(self._transcription.rights if hears else [])],
        )

    def _serve(self, workload: Workload) -> ecs.FargateService:
        service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            service_name="omni-service",
            task_definition=workload.definition,
            desired_count=self._context.tasks.least,
            min_healthy_percent=100,
            max_healthy_percent=200,
            security_groups=[self.tasks_group],
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,  # Fargate bills tasks, not services
            health_check_grace_period=cdk.Duration.seconds(60),
            deployment_strategy=ecs.DeploymentStrategy.BLUE_GREEN,
            bake_time=cdk.Duration.minutes(10),
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )
        service.enable_deployment_alarms(self._watched.rolls_back, behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM)
        self._balance(service)
        service.add_lifecycle_hook(self._smoke_test())
        self._scale(service)
        return service

    def _smoke_test(self) -> ecs.DeploymentLifecycleLambdaTarget:
        """ECS calls it while only the test listener leads to the new tasks, and goes back unless it answers SUCCEEDED."""
        self.canary_account = cdk.CfnParameter(
            self,
            "CanaryAccount",
            min_length=4,
            description="account number that no customer has; the smoke test asks about it, and writes its history",
        ).value_as_string
        place = FunctionPlace(self, self._context, self._network, self._key, {TEST_PORT: "the test listener"})
        smoke = place.publish(
            "Smoke",
            "service.operate.deployment.hook.lambda_handler",
            {
                "OMNI_SMOKE_URL": f"http://{self.balancer.load_balancer_dns_name}:{TEST_PORT}",
                "OMNI_SMOKE_ACCOUNT": self.canary_account,
                "OMNI_SMOKE_TABLE": str(self._data.tables["interactions_table"].table_name),
                **client_variables(self, "smoke", "OMNI_SMOKE"),
            },
            timeout_s=300,  # three attempts, each of three calls of at most 15 s, and two pauses
        )
        place.group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS")
        for right in canary_rights(Rights(self._data, ""), self.canary_account):
            smoke.function.add_to_role_policy(right)
        after = [ecs.DeploymentLifecycleStage.POST_TEST_TRAFFIC_SHIFT]
        # Made here, because a role that ECS's construct makes for itself has no tags.
        caller = iam.Role(self, "SmokeTestRole", assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"))
        smoke.alias.grant_invoke(caller)
        return ecs.DeploymentLifecycleLambdaTarget(smoke.alias, "SmokeTest", lifecycle_stages=after, role=caller)

    def _balance(self, service: ecs.FargateService) -> None:
        group = ec2.SecurityGroup(
            self, "Balancer", vpc=self._network.vpc, description="the balancer", allow_all_outbound=False
        )
        inside = ec2.Peer.ipv4(RANGE)
        for port in (PORT, TEST_PORT):
            group.add_ingress_rule(inside, ec2.Port.tcp(port), "the API's link")
        self.tasks_group.add_ingress_rule(group, ec2.Port.tcp(CONTAINER_PORT), "the balancer")
        group.add_egress_rule(self.tasks_group, ec2.Port.tcp(CONTAINER_PORT), "the service's tasks")
        self.balancer = balancing.NetworkLoadBalancer(
            self,
            "Nlb",
            vpc=self._network.vpc,
            internet_facing=False,
            cross_zone_enabled=True,
            deletion_protection=self._context.keep_data,
            security_groups=[group],
            # The API's private link comes from addresses of AWS's own, which no rule can name; who may link is checked by IAM.
            enforce_security_group_inbound_rules_on_private_link_traffic=False,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
        )
        blue, green = (self._targets(colour) for colour in ("Blue", "Green"))
        listeners = [self.balancer.add_listener(f"On{port}", port=port, default_target_groups=[one])
                     for port, one in ((PORT, blue), (TEST_PORT, green))]  # fmt: skip
        alternate = ecs.AlternateTarget(
            "Alternate",
            alternate_target_group=green,
            production_listener=ecs.ListenerRuleConfiguration.network_listener(listeners[0]),
            test_listener=ecs.ListenerRuleConfiguration.network_listener(listeners[1]),
        )
        target = service.load_balancer_target(
            container_name="service", container_port=CONTAINER_PORT, alternate_target=alternate
        )
        target.attach_to_network_target_group(blue)
        # Either colour may have the traffic.
        balancer = {"LoadBalancer": self.balancer.load_balancer_full_name}
        groups = [balancer | {"TargetGroup": group.target_group_full_name} for group in (blue, green)]
        self._watched.watch(self, "balancer-empty", groups)

    def _targets(self, colour: str) -> balancing.NetworkTargetGroup:
        return balancing.NetworkTargetGroup(
            self,
            colour,
            vpc=self._network.vpc,
            port=CONTAINER_PORT,
            protocol=balancing.Protocol.TCP,
            target_type=balancing.TargetType.IP,
            deregistration_delay=cdk.Duration.seconds(30),
            health_check=balancing.HealthCheck(
                protocol=balancing.Protocol.HTTP,
                path="/readyz",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _scale(self, service: ecs.FargateService) -> None:
        size = self._context.tasks
        scaling = service.auto_scale_task_count(min_capacity=size.least, max_capacity=size.most)
        scaling.scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=60, scale_in_cooldown=cdk.Duration.minutes(5)
        )
        in_flight = scaling_policies.CfnScalingPolicy(
            self,
            "RequestsInFlight",
            policy_name="requests-in-flight",
            policy_type="TargetTrackingScaling",
            resource_id=f"service/{self.cluster.cluster_name}/{service.service_name}",
            scalable_dimension="ecs:service:DesiredCount",
            service_namespace="ecs",
            target_tracking_scaling_policy_configuration={
                "targetValue": size.requests_in_flight,
                "scaleInCooldown": 300,
                "customizedMetricSpecification": {"metrics": self._requests_in_flight(service)},
            },
        )
        in_flight.node.add_dependency(scaling)

    def _requests_in_flight(self, service: ecs.FargateService) -> list[dict[str, Any]]:
        """Little's law over the service's own figures: requests a second times seconds each, for each task."""

        def figure(name: str, namespace: str, metric: str, statistic: str, **where: str) -> dict[str, Any]:
            named = [{"name": label, "value": value} for label, value in where.items()]
            measured = {"namespace": namespace, "metricName": metric, "dimensions": named}
            return {"id": name, "metricStat": {"metric": measured, "stat": statistic}, "returnData": False}

        tasks = {"ClusterName": self.cluster.cluster_name, "ServiceName": service.service_name}
        return [
            figure("requests", "OmniInsights", "Requests", "Sum", environment="aws"),
            figure("latency", "OmniInsights", "Latency", "Average", environment="aws"),
            figure("tasks", "ECS/ContainerInsights", "RunningTaskCount", "Average", **tasks),
            {"id": "inflight", "expression": "(requests / 60) * (latency / 1000) / tasks", "returnData": True},
        ]

    def _work(self, name: str) -> None:
        ecs.FargateService(
            self,
            f"{name.capitalize()}Worker",
            cluster=self.cluster,
            service_name=f"omni-{name}",
            task_definition=self.workloads[name].definition,
            desired_count=1,
            min_healthy_percent=0,  # a worker may pause: its queue waits
            max_healthy_percent=200,
            security_groups=[self.tasks_group],
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )

    def _schedule(self, workload: Workload) -> None:
        """Include the schedule as ``omni schedule export`` writes it, so that nothing is scheduled twice or by hand."""
        definition = workload.definition
        role = iam.Role(self, "Scheduler", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        family = self.format_arn(service="ecs", resource="task-definition", resource_name=f"{definition.family}:*")
        role.add_to_policy(iam.PolicyStatement(actions=["ecs:RunTask"], resources=[family],
                                               conditions={"ArnEquals": {"ecs:cluster": self.cluster.cluster_arn}}))  # fmt: skip
        tasks = self.format_arn(service="ecs", resource="task", resource_name=f"{self.cluster.cluster_name}/*")
        role.add_to_policy(  # a task gets its definition's tags
            iam.PolicyStatement(
                actions=["ecs:TagResource"],
                resources=[tasks],
                conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            )
        )
        assert definition.execution_role is not None
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[definition.task_role.role_arn, definition.execution_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            )
        )
        subnets = self._network.vpc.select_subnets(subnet_group_name="tasks").subnet_ids
        include.CfnInclude(
            self,
            "Schedule",
            template_file=str(_SCHEDULE),
            parameters={
                "Cluster": self.cluster.cluster_arn,
                "TaskDefinition": definition.task_definition_arn,
                "Container": "schedule",
                "SchedulerRole": role.role_arn,
                "Subnets": subnets,
                "SecurityGroups": [self.tasks_group.security_group_id],
                "Group": f"omni-{self._context.stage}",
            },
        )


def _plans(context: Environment, images: dict[str, str], webhook: str) -> list[WorkloadPlan]:
    size, service, workers = context.tasks, images["Service"], images["Workers"]
    return [
        WorkloadPlan(
            "service",
            service,
            ("serve",),
            size.cpu,
            size.memory_mb,
            service_rights,
            port=CONTAINER_PORT,
            warehouse=READER,
        ),
        WorkloadPlan("calls", workers, ("calls", "work", "--follow"), 1024, 2048, calls_rights, warehouse=WRITER),
        WorkloadPlan(
            "callbacks", workers, ("callbacks", "work", "--follow", "--webhook", webhook), 256, 512, callbacks_rights
        ),
        WorkloadPlan("schedule", workers, ("schedule", "run"), 1024, 4096, schedule_rights, warehouse=WRITER),
    ]
