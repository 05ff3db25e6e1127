"""``omni deploy settings`` gives a person's shell the settings of the deployed service, and only what a shell can use."""

import subprocess

import boto3
import pytest
from botocore.stub import Stubber
from pydantic import ValidationError
from typer.testing import CliRunner

from omni.app import build_app
from service.kit.settings import Settings

VARIABLES = {
    "OMNI_ENVIRONMENT": "aws",
    "OMNI_ARCHIVE_BUCKET": "omni-channel-insights-prod",
    "OMNI_CALLS_TOPIC": "a'b $(touch /tmp/never)",
    "OMNI_TRUSTED_KEYS": "/var/lib/omni/trusted/trusted.pem",
    "OMNI_HOST": "0.0.0.0",
}


@pytest.fixture
def ecs(monkeypatch):
    made = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    monkeypatch.setattr("service.kit.aws.clients.client", lambda name, settings: made)
    with Stubber(made) as stubbed:
        yield stubbed


@pytest.mark.acceptance("operation-06")
def test_a_shell_takes_them_as_they_are(ecs):
    variables = [{"name": name, "value": value} for name, value in VARIABLES.items()]
    containers = [{"name": "trusted-keys"}, {"name": "service", "environment": variables}]
    ecs.add_response(
        "describe_task_definition",
        {"taskDefinition": {"containerDefinitions": containers}},
        {"taskDefinition": "omni-service"},
    )
    done = CliRunner().invoke(build_app(), ["deploy", "settings"])
    assert done.exit_code == 0, done.output
    script = f'{done.stdout}\nprintf "%s|%s|%s" "$OMNI_ARCHIVE_BUCKET" "$OMNI_CALLS_TOPIC" "$OMNI_TRUSTED_KEYS"'
    ran = subprocess.run(
        ["bash", "-euc", f"OMNI_TRUSTED_KEYS=mine; {script}"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"omni-channel-insights-prod|{VARIABLES['OMNI_CALLS_TOPIC']}|mine"
    assert "OMNI_HOST" not in done.stdout


def test_without_a_deployed_service_it_says_what_to_do(ecs):
    ecs.add_client_error("describe_task_definition", "ClientException", "Unable to describe task definition.")
    done = CliRunner().invoke(build_app(), ["deploy", "settings"])
    assert done.exit_code != 0
    assert "omni-service" in str(done.exception or done.output)
    # `eval "$(...)"` goes on after a failure: what it ran must not leave a shell that asks the local stack.
    ran = subprocess.run(
        ["bash", "-c", f'{done.stdout}\nprintf "%s" "$OMNI_ENVIRONMENT"'], capture_output=True, text=True, check=True
    )
    with pytest.raises(ValidationError):
        Settings(environment=ran.stdout)


def test_asking_again_with_the_right_credentials_finishes_it(ecs, monkeypatch):
    ecs.add_client_error("describe_task_definition", "ExpiredToken", "expired")
    failed = CliRunner().invoke(build_app(), ["deploy", "settings"])
    monkeypatch.setenv("OMNI_ENVIRONMENT", failed.stdout.strip().rpartition("=")[2])
    variables = [{"name": name, "value": value} for name, value in VARIABLES.items()]
    ecs.add_response(
        "describe_task_definition",
        {"taskDefinition": {"containerDefinitions": [{"name": "service", "environment": variables}]}},
        {"taskDefinition": "omni-service"},
    )
    assert "export OMNI_ENVIRONMENT=aws" in CliRunner().invoke(build_app(), ["deploy", "settings"]).stdout
