"""Deploys stacks with the CDK: ``python tools/cdk.py STAGE deploy STACK... [--parameters STACK:NAME=VALUE]``.

Everything after the stage goes to ``cdk`` (https://docs.aws.amazon.com/cdk/v2/guide/cli.html). A stack takes along those that it
depends on, and leaves alone what has not changed: after an interruption the same command goes on.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[1]
CDK = "aws-cdk@2.1148.1"  # its dependencies are in its package
STAGES = ("dev", "test", "prod")
_MAKE = frozenset({"deploy", "destroy", "rollback"})


class NotReady(Exception):
    """One line: what is missing, and what to do."""


def account_of(stage: str) -> str:
    """Return the account's number, if credentials and region are those of the stage.

    Raises:
        NotReady: no region, no or expired credentials, or another account or region than that of the stage's ``omni-bootstrap``.
    """
    region = boto3.session.Session().region_name
    if not region:
        raise NotReady("no region: set AWS_REGION")
    try:
        account = str(boto3.client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as err:
        problem = err.response["Error"]["Code"] if isinstance(err, ClientError) else type(err).__name__
        raise NotReady(f"AWS does not take your credentials ({problem}): sign in again") from err
    bucket = f"omni-{stage}-templates-{account}-{region}"
    try:
        boto3.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except (BotoCoreError, ClientError) as err:
        raise NotReady(
            f"account {account} has no bucket {bucket} that you may use: another account or region than that of {stage}, "
            "or omni-bootstrap is not deployed yet"
        ) from err
    return account


def main(given: list[str]) -> int:
    """Run ``cdk`` and return its exit code, or 2 before anything was done."""
    if len(given) < 2 or given[0] not in STAGES:
        sys.stderr.write(f"error: name a stage ({', '.join(STAGES)}) and what cdk is to do\n")
        return 2
    stage, command, *rest = given
    try:
        account = account_of(stage)
    except NotReady as err:
        sys.stderr.write(f"error: {err}\n")
        return 2
    subprocess.run([ROOT / "tools" / "setup.sh", "infra"], check=True)
    made = ["--role-arn", f"arn:aws:iam::{account}:role/omni-deployer"] if command in _MAKE else []
    app = f"{ROOT / '.venv-infra' / 'bin' / 'python'} {ROOT / 'infra' / 'cdk' / 'app.py'} --stage {stage}"
    with tempfile.TemporaryDirectory() as folder:
        line = ["npx", "--yes", CDK, command, "--app", app, "--output", folder, *made, *rest]
        path = os.pathsep.join((str(ROOT / ".venv" / "bin"), os.environ.get("PATH", os.defpath)))  # setup.sh's Node.js
        return subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
