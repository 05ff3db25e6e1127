"""The workers' image holds what its commands import: each scheduled job, and what runbooks run there, asks AWS in vain."""

import os
import subprocess
import sys

import pytest
import yaml

from omni.deploying.rehearsal.tasks import Image
from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow
JOBS = yaml.safe_load((REPO_ROOT / "infra" / "schedule.yaml").read_text(encoding="utf-8"))["jobs"]


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return Image("workers").application(tmp_path_factory.mktemp("images"))


BY_HAND = [["history"], ["verify"], ["shadow", "report"], ["report"], ["doctor"]]  # docs/runbooks/README.md


@pytest.mark.parametrize("command", [*(job["command"] for job in JOBS), *BY_HAND], ids=" ".join)
def test_a_job_imports_nothing_that_the_image_lacks(command, application, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(application),
        "OMNI_ENVIRONMENT": "aws",
        "OMNI_STATE_DIR": str(tmp_path),
        "OMNI_REGISTRY_URI": "http://127.0.0.1:9",
        "OMNI_STORE_TIMEOUT_S": "1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_MAX_ATTEMPTS": "1",
        "OMNI_LOG_KEY": "0123456789abcdef" * 3,
        "OMNI_REDSHIFT_WORKGROUP": "omni-prod",
        "OMNI_REDSHIFT_COPY_ROLE": "arn:aws:iam::123456789012:role/copy",
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "omni", *command],
        cwd=application,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said  # a store does not answer, or something was found
    assert "unexpected" not in said, said
