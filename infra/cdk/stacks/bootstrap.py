"""What an account needs before the other stacks: roles of workflows and people, images, templates, evidence, a signing key."""

from collections.abc import Iterable, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codeconnections as connections
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct
from environments import Environment
from stacks.models import model_arns
from stacks.naming import pascal
from stacks.rights import CHANGE, READ, SCAN

from service.kit.settings import setting_places

IMAGES = ("omni-service", "omni-workers", "omni-registry")
SIGNING_ALIAS = "alias/omni-releases"
_GITHUB = "token.actions.githubusercontent.com"
_QUEUES = ("events_queue", "calls_queue")
_TABLES = ("omni-", "cci-lite-", "SummaryCache")  # how the names of our tables begin
_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation")
# Every `aws` line of the runbooks is among these (tests/contract/test_runbooks.py).
_LOOKS = (
    *("cloudwatch:DescribeAlarms", "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks", "ecs:ListTasks"),
    *("health:DescribeEvents", "kms:DescribeKey", "logs:FilterLogEvents", "logs:GetQueryResults", "logs:StartQuery"),
    *("logs:DescribeLogGroups", "rds:DescribeDBInstances", "servicequotas:ListServiceQuotas", "sqs:ListQueues"),
    *("dynamodb:DescribeTable", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeBackup", "sqs:GetQueueAttributes"),
    *("dynamodb:DescribeContributorInsights", "dynamodb:DescribeTimeToLive", "sqs:GetQueueUrl"),
    # What `omni doctor` asks of a bucket: that it is there and shut, the names of its objects, none of their contents.
    *("s3:ListBucket", "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration", "s3:GetBucketNotification"),
    *("cloudwatch:GetInsightRuleReport", "acm:ListCertificates", "tag:GetResources"),
)  # fmt: skip
_MENDS = (
    *("application-autoscaling:RegisterScalableTarget", "ecs:UpdateService", "ecs:RunTask", "ecs:TagResource"),
    *("kms:CancelKeyDeletion", "kms:EnableKey", "sqs:StartMessageMoveTask", "rds:AddTagsToResource"),
    *("dynamodb:CreateBackup", "dynamodb:DeleteTable", "dynamodb:UpdateTable", "dynamodb:RestoreTableToPointInTime"),
    *("dynamodb:RestoreTableFromBackup", "rds:ModifyDBInstance", "rds:RestoreDBInstanceToPointInTime"),
    # A restored table is written by whoever restores it.
    *(READ + CHANGE + SCAN),
)


def templates_bucket(stage: str) -> str:
    """Return the bucket's name: another account, region or environment has none of that name, so nothing is deployed there."""
    return f"omni-{stage}-templates-${{AWS::AccountId}}-${{AWS::Region}}"


class BootstrapStack(cdk.Stack):
    """Deployed before all others, by somebody who administers the account; ``connection`` is the ARN of the one to GitHub."""

    def __init__(self, scope: Construct, name: str, context: Environment, **props: Any) -> None:
        """``context`` says what the account is for."""
        super().__init__(scope, name, **props)
        self._stage = context.stage
        self._removal = cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY
        self.repository = cdk.CfnParameter(
            self,
            "Repository",
            allowed_pattern=r"[\w.-]+/[\w.-]+",
            description="the repository on GitHub whose workflows may take roles here, as in owner/name",
        ).value_as_string
        given = cdk.CfnParameter(
            self,
            "GitHubProvider",
            default="",
            description="ARN of GitHub's OIDC provider, if the account has it already",
        ).value_as_string
        provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{_GITHUB}", client_id_list=["sts.amazonaws.com"])
        provider.cfn_options.condition = cdk.CfnCondition(
            self, "MakesProvider", expression=cdk.Fn.condition_equals(given, "")
        )
        self._provider = cdk.Fn.condition_if("MakesProvider", provider.attr_arn, given).to_string()
        for image in IMAGES:
            ecr.Repository(
                self,
                pascal(image),
                repository_name=image,
                image_tag_mutability=ecr.TagMutability.IMMUTABLE,
                image_scan_on_push=True,
                removal_policy=self._removal,
            )
        self.templates = self._bucket("Templates", cdk.Fn.sub(templates_bucket(self._stage)))
        self.evidence = self._bucket("Evidence", None)
        self._deployer = iam.Role(
            self,
            "Deployer",
            role_name="omni-deployer",
            description="CloudFormation makes the stacks with it; nobody else may take it",
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("AdministratorAccess")],
        )
        # The runner inside the network fetches the repository with it, once somebody has confirmed it in the console.
        self.connection = connections.CfnConnection(
            self, "Connection", connection_name="omni-github", provider_type="GitHub"
        ).attr_connection_arn
        workflows = {
            environment: self._workflow(environment) for environment in ("image", "evaluation", "production", "on-call")
        }
        self._images(workflows["image"])
        self._evaluation(workflows["evaluation"])
        self._production(workflows["production"])
        self._release(workflows["on-call"])
        self._key = self._signing_key(workflows["production"], workflows["on-call"])
        people = {name: self._person(name) for name in ("operator", "on-call")}
        self._operator(people["operator"])
        self._on_call(people["on-call"])
        self._outputs(workflows)

    def _workflow(self, environment: str) -> iam.Role:
        subject = cdk.Fn.join("", ["repo:", self.repository, f":environment:{environment}"])
        trusted = {f"{_GITHUB}:aud": "sts.amazonaws.com", f"{_GITHUB}:sub": subject}
        return iam.Role(
            self,
            f"Github{pascal(environment)}",
            role_name=f"omni-github-{environment}",
            description=f"of the workflows in GitHub's environment {environment}, which decides who may start them",
            assumed_by=iam.FederatedPrincipal(
                self._provider, {"StringEquals": trusted}, "sts:AssumeRoleWithWebIdentity"
            ),
            max_session_duration=cdk.Duration.hours(2),
        )

    def _person(self, name: str) -> iam.Role:
        return iam.Role(
            self,
            pascal(name),
            role_name=f"omni-{name}",
            description="of people, for an hour and with a second factor",
            assumed_by=iam.AccountRootPrincipal().with_conditions({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
            max_session_duration=cdk.Duration.hours(1),
        )

    def _images(self, role: iam.Role) -> None:
        _allow(
            role,
            (
                *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:PutImage"),
                *("ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"),
            ),
            [_arn("ecr", f"repository/{image}") for image in IMAGES],
        )
        _allow(role, ("ecr:GetAuthorizationToken",), ["*"])

    def _evaluation(self, role: iam.Role) -> None:
        """A branch's own code runs with it: it may ask models, and nothing else."""
        _allow(role, ("bedrock:InvokeModel",), model_arns(self.partition, self.region, self.account))

    def _production(self, role: iam.Role) -> None:
        self._evaluation(role)
        self._release(role)
        self._deploy(role)
        _allow(role, ("secretsmanager:GetSecretValue",), [_arn("secretsmanager", "secret:omni-smoke-client-*")])

    def _release(self, role: iam.Role) -> None:
        """What a release or a return writes beside the registry: the lock, rollouts, evidence, and a copy for the warehouse."""
        table = _arn("dynamodb", f"table/{_default('shared_table')}")
        keys = [f"{self._stage}/{subject}" for subject in ("changes", "production-change", "release/*", "rollout/*")]
        _allow(role, READ, [table])
        _allow(role, CHANGE, [table], {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}})
        _allow(role, _OBJECTS, [self.evidence.bucket_arn, f"{self.evidence.bucket_arn}/*"])
        told = f"{_default('archive_bucket')}*/omni-channel/releases/*"
        _allow(role, ("s3:PutObject",), [_arn("s3", told, region="", account="")])
        self._open_data(role)

    def _deploy(self, role: iam.Role) -> None:
        """Stacks are made by the deployer's role, which CloudFormation keeps with a stack."""
        stacks = _arn("cloudformation", "stack/omni-*/*")
        _allow(
            role,
            [
                f"cloudformation:{action}"
                for action in (
                    *("CreateChangeSet", "DeleteChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DescribeEvents"),
                    *("DescribeStackEvents", "DescribeStacks", "GetTemplate", "UpdateTerminationProtection"),
                )
            ],
            [stacks],
        )
        _allow(role, ("cloudformation:GetTemplateSummary",), ["*"])
        _allow(role, _OBJECTS, [self.templates.bucket_arn, f"{self.templates.bucket_arn}/*"])
        _allow(
            role,
            ("iam:PassRole",),
            [self._deployer.role_arn],
            {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
        )

    def _operator(self, role: iam.Role) -> None:
        """Deploys, and lets clients and people in."""
        self._deploy(role)
        self._open_data(role)
        table = _arn("dynamodb", f"table/{_default('shared_table')}")
        keys = [f"{self._stage}/{subject}" for subject in ("access", "changes", "tenant-ledger")]
        _allow(role, READ, [table])
        _allow(role, CHANGE, [table], {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}})
        self._of_key(role, ("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"), _default("access_kms_key"))
        _allow(
            role,
            ("secretsmanager:CreateSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
            [_arn("secretsmanager", "secret:omni-*-client-*")],
        )
        # GitHub gets it from whoever runs tools/github.sh.
        _allow(role, ("secretsmanager:GetSecretValue",), [_arn("secretsmanager", "secret:omni-registry-writer-??????")])
        parameter = _arn("ssm", "parameter/omni/trusted-keys")
        _allow(role, ("ssm:GetParameter", "ssm:PutParameter"), [parameter])
        _allow(role, ("kms:GetPublicKey", "kms:DescribeKey"), [self._key.key_arn])
        gateway = [
            _arn("apigateway", path, account="")
            for path in ("/apikeys", "/apikeys/*", "/usageplans", "/usageplans/*/keys")
        ]
        _allow(role, ("apigateway:GET", "apigateway:POST"), gateway)
        _allow(role, ("ecs:DescribeTaskDefinition", "servicequotas:GetServiceQuota"), ["*"])

    def _on_call(self, role: iam.Role) -> None:
        """Looks and mends as the runbooks say: whoever restores a table may read and write it, and opens no number."""
        self._open_data(role)
        # The private keys that sign tokens are sealed with the same key as clients are; the context tells them apart.
        access, of_clients = _default("access_kms_key"), {"kms:EncryptionContext:omni-token-key": "client/*"}
        self._of_key(role, ("kms:DescribeKey",), access)
        self._of_key(role, ("kms:Decrypt",), access, {"StringLike": of_clients})
        _allow(role, _LOOKS, ["*"])
        _allow(
            role,
            _MENDS,
            [
                *(_arn("dynamodb", f"table/{begins}*") for begins in _TABLES),
                *(
                    _arn("ecs", name)
                    for name in ("service/omni*/omni-*", "task-definition/omni-schedule:*", "task/omni/*")
                ),
                *(_arn("rds", name) for name in ("db:omni-*", "subgrp:omni-*", "og:*", "pg:*")),
                *(_arn("sqs", f"{_default(queue)}-aside") for queue in _QUEUES),
                _arn("application-autoscaling", "scalable-target/*"),
                _arn("kms", "key/*"),
            ],
        )
        _allow(role, ("secretsmanager:GetSecretValue",), [_arn("secretsmanager", "secret:LogKey*")])
        _allow(
            role,
            ("iam:PassRole",),
            # Whoever runs a task may name its role, and that of the callbacks worker opens numbers.
            [_arn("iam", "role/omni-service-ScheduleWorkload*", region="")],
            {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )

    def _signing_key(self, *signers: iam.Role) -> kms.Key:
        key = kms.Key(
            self,
            "Signing",
            alias=SIGNING_ALIAS,
            description="signs evidence and releases",
            key_spec=kms.KeySpec.ECC_NIST_EDWARDS25519,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=self._removal,
        )
        for role in signers:
            _allow(role, ("kms:Sign", "kms:GetPublicKey", "kms:DescribeKey"), [key.key_arn])
        # Whoever administers the account may hand out rights to its keys; to sign, only these two roles.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["kms:Sign"],
                resources=["*"],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": [role.role_arn for role in signers]}},
            )
        )
        return key

    def _bucket(self, logical: str, name: str | None) -> s3.Bucket:
        return s3.Bucket(
            self,
            logical,
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._removal,
        )

    def _outputs(self, workflows: Mapping[str, iam.Role]) -> None:
        """For each of GitHub's environments its variables, as ``gh variable set --env-file`` takes them."""
        common = {"OMNI_AWS_REGION": self.region}
        signs = {"OMNI_SIGNING_KMS_KEY": self._key.key_arn, "OMNI_EVIDENCE_BUCKET": self.evidence.bucket_name}
        repository = f"{self.account}.dkr.ecr.{self.region}.{self.url_suffix}/omni"
        own = {
            "image": {"OMNI_IMAGE_REPOSITORY": repository},
            "evaluation": {},
            "production": signs
            | {"OMNI_IMAGE_REPOSITORY": repository, "OMNI_TEMPLATE_BUCKET": self.templates.bucket_name},
            "on-call": signs,
        }
        for environment, role in workflows.items():
            variables = {"OMNI_AWS_ROLE": role.role_arn} | common | own[environment]
            lines = "\n".join(f"{name}={value}" for name, value in variables.items())
            cdk.CfnOutput(self, f"{pascal(environment)}Variables", value=lines)
        cdk.CfnOutput(self, "DeployerRole", value=self._deployer.role_arn)
        cdk.CfnOutput(self, "ConnectionToConfirm", value=self.connection)

    def _open_data(self, role: iam.Role) -> None:
        self._of_key(role, ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"), "alias/omni-data")

    def _of_key(
        self, role: iam.Role, actions: Iterable[str], alias: str, conditions: Mapping[str, Any] | None = None
    ) -> None:
        """By its alias: the stack that holds the key comes later."""
        keys, by_alias = _arn("kms", "key/*"), {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}}
        _allow(role, actions, [keys], by_alias | dict(conditions or {}))


def _arn(service: str, name: str, *, region: str = "${AWS::Region}", account: str = "${AWS::AccountId}") -> str:
    """As one text, since CloudFormation takes a template of at most 51,200 bytes without a bucket."""
    return cdk.Fn.sub(f"arn:${{AWS::Partition}}:{service}:{region}:{account}:{name}")


def _default(setting: str) -> str:
    return str(setting_places()[setting][2].default)


def _allow(
    role: iam.Role, actions: Iterable[str], resources: Iterable[str], conditions: dict[str, Any] | None = None
) -> None:
    role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions))
