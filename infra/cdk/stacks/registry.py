"""The registry: MLflow on Fargate with a database and a bucket, reached from the private network only."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.logs import log_group
from stacks.network import RANGE, NetworkStack
from stacks.workload import allow_pulling

_PORT, _HOST = 5000, "mlflow"
_DATABASE, _LOGS = "omni-registry", ("postgresql", "upgrade")
# The address is assembled in the container, because the password is a secret that the task definition must not show.
# Without the driver's name SQLAlchemy takes psycopg 3. MLflow refuses requests to a host that it is not told: localhost is for
# people's tunnels.
_COMMAND = (
    'export STORE_URI="postgresql+psycopg2://$DB_USER:$DB_PASSWORD@$DB_HOST:5432/mlflow?sslmode=require" '
    "MLFLOW_FLASK_SERVER_SECRET_KEY=\"$(od -An -N32 -tx1 /dev/urandom | tr -d ' \\n')\" && python /opt/registry/accounts.py && "
    "exec mlflow server --host 0.0.0.0 --port {port} --workers 2 --app-name basic-auth "
    "--allowed-hosts {host}:{port},localhost:{port} "
    '--artifacts-destination "s3://$BUCKET" --serve-artifacts --backend-store-uri "$STORE_URI"'
)
_HEALTHY = "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/health', timeout=4)"


class RegistryStack(cdk.Stack):
    """``address`` is the registry's URL inside the network; ``logins`` the passwords of who may write and who may only read."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        data: DataStack,
        network: NetworkStack,
        **props: Any,
    ) -> None:
        """Make database, bucket and server."""
        super().__init__(scope, name, **props)
        self._key = data.key_for(self)
        self._context, self._data, self._network = context, data, network
        self._removal = cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY
        self.server_group = ec2.SecurityGroup(
            self, "Server", vpc=network.vpc, description="MLflow", allow_all_outbound=False
        )
        self.server_group.add_ingress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(_PORT), "tasks")
        self.server_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS")
        self.database = self._database()
        self.bucket = self._bucket()
        self.logins = {name: self._login(name) for name in ("writer", "reader")}
        host = f"{_HOST}.{network.names.namespace_name}"
        self.address = f"http://{host}:{_PORT}"
        self._serve(host)

    def _database(self) -> rds.DatabaseInstance:
        size = self._context.registry
        # Made before the database, which would make logs that never expire. The runbooks name what has a name here.
        written = [
            log_group(
                self, f"{kind.capitalize()}Log", f"/aws/rds/instance/{_DATABASE}/{kind}", self._context, self._key
            )
            for kind in _LOGS
        ]
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17_6),
            instance_type=ec2.InstanceType(size.instance),
            allocated_storage=size.storage_gb,
            max_allocated_storage=size.storage_gb * 4,
            instance_identifier=_DATABASE,
            vpc=self._network.vpc,
            subnet_group=rds.SubnetGroup(
                self,
                "Subnets",
                vpc=self._network.vpc,
                vpc_subnets=ec2.SubnetSelection(subnet_group_name="stores"),
                subnet_group_name=_DATABASE,
                description="of MLflow's database",
                removal_policy=self._removal,
            ),
            multi_az=size.multi_az,
            database_name="mlflow",
            port=5432,
            credentials=rds.Credentials.from_generated_secret("mlflow", encryption_key=self._key),
            storage_encrypted=True,
            storage_encryption_key=self._key,
            backup_retention=cdk.Duration.days(size.backup_days),
            deletion_protection=self._context.keep_data,
            iam_authentication=True,
            cloudwatch_logs_exports=list(_LOGS),
            auto_minor_version_upgrade=True,
            removal_policy=self._removal,
        )
        database.node.add_dependency(*written)
        database.connections.allow_default_port_from(self.server_group, "MLflow")
        self.server_group.add_egress_rule(ec2.Peer.ipv4(RANGE), ec2.Port.tcp(5432), "the database")
        return database

    def _bucket(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "Artifacts",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self._key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=s3.Bucket.from_bucket_name(self, "AccessLogs", self._data.access_logs.ref),
            server_access_logs_prefix="registry/",
            removal_policy=self._removal,
        )

    def _login(self, name: str) -> secrets.Secret:
        return secrets.Secret(
            self,
            f"{name.capitalize()}Login",
            secret_name=f"omni-registry-{name}",
            description=f"MLflow's password of the {name}; a new task of the registry takes a new one over",
            encryption_key=self._key,
            generate_secret_string=secrets.SecretStringGenerator(password_length=40, exclude_punctuation=True),
        )

    def _serve(self, host: str) -> None:
        task = ecs.FargateTaskDefinition(self, "Task", family="omni-registry", cpu=512, memory_limit_mib=2048)
        task.add_volume(name="scratch")
        secret = self.database.secret
        assert secret is not None
        image = cdk.CfnParameter(self, "RegistryImage", description="image of MLflow, by digest").value_as_string
        server = task.add_container(
            "registry",
            image=ecs.ContainerImage.from_registry(image),
            entry_point=["/bin/sh", "-c"],
            command=[_COMMAND.format(host=host, port=_PORT)],
            readonly_root_filesystem=True,
            user="10001:10001",
            environment={
                "BUCKET": self.bucket.bucket_name,
                "DB_HOST": self.database.db_instance_endpoint_address,
                "HOME": "/tmp",  # noqa: S108
                "MLFLOW_AUTH_CONFIG_PATH": "/tmp/auth.ini",  # noqa: S108
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nothing here uses jobs, and their processes take 2 GB
            },
            secrets={
                "DB_USER": ecs.Secret.from_secrets_manager(secret, "username"),
                "DB_PASSWORD": ecs.Secret.from_secrets_manager(secret, "password"),
                **{
                    f"{name.upper()}_PASSWORD": ecs.Secret.from_secrets_manager(one)
                    for name, one in self.logins.items()
                },
            },
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "-c", _HEALTHY.format(port=_PORT)],
                interval=cdk.Duration.seconds(15),
                timeout=cdk.Duration.seconds(6),
                retries=3,
                start_period=cdk.Duration.seconds(180),  # the first start makes the tables
            ),
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix="registry",
                log_group=log_group(self, "Log", "/omni/registry", self._context, self._key),
            ),
            port_mappings=[ecs.PortMapping(container_port=_PORT)],
        )
        server.add_mount_points(ecs.MountPoint(container_path="/tmp", source_volume="scratch", read_only=False))  # noqa: S108
        self._rights(task)
        allow_pulling(task, "omni-registry")
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name="omni-registry",
            vpc=self._network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENHANCED,
        )
        ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            service_name="omni-registry",
            task_definition=task,
            desired_count=1,
            min_healthy_percent=0,  # services go by their last known good pair meanwhile
            max_healthy_percent=100,
            security_groups=[self.server_group],
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            cloud_map_options=ecs.CloudMapOptions(name=_HOST, cloud_map_namespace=self._network.names),
        )

    def _rights(self, task: ecs.FargateTaskDefinition) -> None:
        arn = self.bucket.bucket_arn
        objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        task.add_to_task_role_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[arn]))
        task.add_to_task_role_policy(iam.PolicyStatement(actions=objects, resources=[f"{arn}/*"]))
        key = ["kms:Decrypt", "kms:GenerateDataKey"]
        task.add_to_task_role_policy(iam.PolicyStatement(actions=key, resources=[self._key.key_arn]))
