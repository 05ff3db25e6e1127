"""Plants one fault at a time in prod's templates: the promise that it breaks must say so."""

import copy

import pytest
import test_promises as promises


def first(kind):
    """The first resource of a type in prod."""

    def find(templates):
        return next(
            resource
            for template in templates["prod"].values()
            for resource in template["Resources"].values()
            if resource["Type"] == kind
        )

    return find


def container(templates):
    return first("AWS::ECS::TaskDefinition")(templates)["Properties"]["ContainerDefinitions"][0]


def rights(templates):
    """The statements of the service's role."""
    return next(
        resource["Properties"]["PolicyDocument"]["Statement"]
        for logical, resource in templates["prod"]["omni-service"]["Resources"].items()
        if resource["Type"] == "AWS::IAM::Policy" and logical.startswith("ServiceWorkloadTaskTaskRole")
    )


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


NUMBERS_KEY = {"Fn::ImportValue": "omni-data:CallbacksKmsKey"}
FAULTS = {
    "a table without recovery": (
        lambda made: first(promises.TABLE)(made)["Properties"].pop("PointInTimeRecoverySpecification"),
        promises.test_every_table_can_be_restored_and_is_encrypted_with_our_key,
    ),
    "a table with a key of AWS's": (
        lambda made: first(promises.TABLE)(made)["Properties"]["SSESpecification"].pop("KMSMasterKeyId"),
        promises.test_every_table_can_be_restored_and_is_encrypted_with_our_key,
    ),
    "a bucket that may become public": (
        lambda made: first(promises.BUCKET)(made)["Properties"]["PublicAccessBlockConfiguration"].update(
            BlockPublicPolicy=False
        ),
        promises.test_no_bucket_is_public_and_each_is_encrypted_and_reached_by_tls_only,
    ),
    "a bucket reached without TLS": (
        lambda made: first("AWS::S3::BucketPolicy")(made)["Properties"]["PolicyDocument"]["Statement"].pop(0),
        promises.test_no_bucket_is_public_and_each_is_encrypted_and_reached_by_tls_only,
    ),
    "a queue that is not encrypted": (
        lambda made: first(promises.QUEUE)(made)["Properties"].pop("KmsMasterKeyId"),
        promises.test_every_queue_is_encrypted_and_has_a_dead_letter_queue,
    ),
    "a database that goes with its stack": (
        lambda made: first("AWS::RDS::DBInstance")(made).update(DeletionPolicy="Delete"),
        promises.test_what_holds_data_outlives_its_stack_outside_dev,
    ),
    "a role that may call any model": (
        lambda made: rights(made).append(allow("bedrock:InvokeModel")),
        promises.test_no_role_may_call_a_model_that_no_card_names,
    ),
    "a role with all of S3": (
        lambda made: rights(made).append(allow("s3:*")),
        promises.test_no_role_has_every_action_of_a_service,
    ),
    "a service that opens numbers": (
        lambda made: rights(made).append(allow("kms:Decrypt", NUMBERS_KEY)),
        promises.test_only_the_worker_that_rings_and_whoever_erases_may_open_telephone_numbers,
    ),
    "a service that deletes old versions": (
        lambda made: rights(made).append(allow("s3:DeleteObjectVersion", NUMBERS_KEY)),
        promises.test_old_versions_of_objects_are_deleted_by_nobody_else,
    ),
    "an operator without a second factor": (
        lambda made: next(
            one
            for logical, one in made["prod"]["omni-service"]["Resources"].items()
            if logical.startswith("Erasure") and one["Type"] == "AWS::IAM::Role"
        )["Properties"]["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"),
        promises.test_a_customer_is_erased_by_a_person_with_a_second_factor_for_an_hour,
    ),
    "a container that may write its root": (
        lambda made: container(made).update(ReadonlyRootFilesystem=False),
        promises.test_every_container_is_read_only_no_root_and_logs,
    ),
    "a container of root": (
        lambda made: container(made).update(User="0"),
        promises.test_every_container_is_read_only_no_root_and_logs,
    ),
    "a password in a variable": (
        lambda made: container(made).update(Environment=[{"Name": "DB_PASSWORD", "Value": "x"}]),
        promises.test_no_secret_stands_in_a_variable,
    ),
    "a log that is kept for ever": (
        lambda made: first("AWS::Logs::LogGroup")(made)["Properties"].update(RetentionInDays=3653),
        promises.test_log_groups_are_encrypted_and_expire,
    ),
    "a balancer on the internet": (
        lambda made: first("AWS::ElasticLoadBalancingV2::LoadBalancer")(made)["Properties"].update(
            Scheme="internet-facing"
        ),
        promises.test_nothing_is_open_to_the_internet,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.acceptance("operation-24")
def test_a_planted_fault_breaks_its_promise(templates, fault):
    plant, promise = FAULTS[fault]
    made = copy.deepcopy(templates)

    def resources(kind):
        return [
            (stage, name, logical, resource)
            for stage, stacks in made.items()
            for name, template in stacks.items()
            for logical, resource in template["Resources"].items()
            if resource["Type"] == kind
        ]

    promise(resources)
    plant(made)
    with pytest.raises((AssertionError, KeyError)):
        promise(resources)
