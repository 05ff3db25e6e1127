"""The tools that make an account ready, against the local AWS and a GitHub that only writes down what it is asked."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.kit.aws.clients import client
from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow
TEMPLATE = json.loads((REPO_ROOT / "infra/cdk/templates/prod/omni-bootstrap.json").read_text(encoding="utf-8"))
# What the local AWS has no resource for.
NOT_HERE = {"AWS::CodeConnections::Connection", "AWS::IAM::OIDCProvider"}
OF_MLFLOW = "made-up"
GH = """#!/usr/bin/env bash
case "$1 $2" in
  "api user") echo 7 ;;
  "api repos/"*) grep -qx "${2##*/}" "$MADE" ;;
  "api --method") { [ "$3" = POST ] || { basename "$4" >> "$MADE"; cat > "$MADE.$(basename "$4")"; }; } ;;
  "variable list") cat "$VARIABLES" ;;
  *" set") printf '%s\\n' "$3 $5 ${7:-} ${*: -1}" | head -1 >> "$ASKED" ;;
esac
"""


@pytest.fixture(scope="module")
def account(local_aws):
    """The environment of a shell whose account has ``omni-bootstrap``."""
    settings = local_aws(store_timeout_s=60.0)
    gone = {logical for logical, one in TEMPLATE["Resources"].items() if one["Type"] in NOT_HERE}
    text = json.dumps(TEMPLATE | {"Resources": {k: v for k, v in TEMPLATE["Resources"].items() if k not in gone}})
    for logical, attribute in (("GitHub", "Arn"), ("Connection", "ConnectionArn")):
        text = text.replace(json.dumps({"Fn::GetAtt": [logical, attribute]}), '"arn:aws:iam::000000000000:left-out"')
    stacks = client("cloudformation", settings)
    stacks.create_stack(
        StackName="omni-bootstrap",
        TemplateBody=text,
        Parameters=[{"ParameterKey": "Repository", "ParameterValue": "owner/name"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName="omni-bootstrap", WaiterConfig={"Delay": 1})
    return settings, {
        **os.environ,
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test"),
        **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), settings.aws.region),
        "AWS_ENDPOINT_URL": str(settings.aws.endpoint),
    }


def cdk(env, *words):
    return subprocess.run(
        [sys.executable, "tools/cdk.py", *words], cwd=REPO_ROOT, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("stage", "changes", "said"),
    [
        ("dev", {}, "has no bucket omni-dev-templates-000000000000-"),
        (
            "prod",
            {"AWS_REGION": "ap-south-1", "AWS_DEFAULT_REGION": "ap-south-1"},
            "another account or region than that of prod",
        ),
        (
            "prod",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
            "sign in again",
        ),
        ("prod", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "(EndpointConnectionError): sign in again"),
        ("staging", {}, "name a stage (dev, test, prod)"),
    ],
)
def test_the_wrong_place_is_refused_in_one_line_before_anything_is_done(account, stage, changes, said, tmp_path):
    done = cdk(
        account[1] | {"AWS_CONFIG_FILE": str(tmp_path / "none"), "HOME": str(tmp_path)} | changes,
        stage,
        "deploy",
        "omni-data",
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.fixture
def quotas():
    """Service Quotas, which the local AWS has not: set ``value`` to what it says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"Quota": {"Value": self.server.value}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.value = 0.0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("quota", "stack", "said"),
    [
        (0.0, "omni-api", "tasks of prod need 5.75 vCPUs on Fargate, and the account may run 0: ask for more"),
        (5.5, "--all", "may run 5.5"),
    ],
)
def test_a_quota_that_lets_no_task_start_is_told_before_anything_is_made(account, quotas, quota, stack, said):
    quotas.value = quota
    address = f"http://127.0.0.1:{quotas.server_port}"
    done = cdk(account[1] | {"AWS_ENDPOINT_URL_SERVICE_QUOTAS": address}, "prod", "deploy", stack)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_quota_for_the_old_tasks_beside_the_new_ones_is_enough(quotas, monkeypatch):
    quotas.value = 5.75
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", f"http://127.0.0.1:{quotas.server_port}")
    spec = importlib.util.spec_from_file_location("cdk_tool", REPO_ROOT / "tools" / "cdk.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.check_quota("prod")
    quotas.value = 5.74
    with pytest.raises(tool.NotReady, match=r"may run 5\.74"):
        tool.check_quota("prod")


@pytest.mark.skipif(shutil.which("aws") is None, reason="needs the AWS CLI, as the guide does")
def test_github_gets_what_the_stacks_know_and_keeps_what_people_set_up(account, tmp_path):
    settings, env = account
    (tmp_path / "gh").write_text(GH, encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "made").write_text("on-call\n", encoding="utf-8")  # somebody has set it up
    env = env | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "MADE": str(tmp_path / "made"),
        "ASKED": str(tmp_path / "asked"),
        "VARIABLES": str(tmp_path / "variables"),
    }
    (tmp_path / "variables").write_text("OMNI_SERVICE_URL\thttp://internal.example\t2026-11-24\n", encoding="utf-8")

    def run():
        (tmp_path / "asked").write_text("", encoding="utf-8")
        words = ["tools/github.sh", "owner/name"]
        said.append(subprocess.run(words, cwd=REPO_ROOT, env=env, check=True, capture_output=True, text=True).stdout)
        return (tmp_path / "asked").read_text(encoding="utf-8").splitlines()

    said: list[str] = []
    first = run()
    assert "gh variable set OMNI_CANARY_ACCOUNT --repo owner/name --env production" in said[0]
    assert "OMNI_SERVICE_URL" not in said[0]
    assert "run this again when omni-registry is deployed" in said[0]
    assert "OMNI_AWS_ROLE owner/name production arn:aws:iam::000000000000:role/omni-github-production" in first
    assert any(line.startswith("OMNI_SIGNING_KMS_KEY owner/name on-call arn:aws:kms:") for line in first)
    assert not any("PASSWORD" in line for line in first)
    assert not (tmp_path / "made.on-call").exists()
    production, evaluation = (
        json.loads((tmp_path / f"made.{name}").read_text()) for name in ("production", "evaluation")
    )
    assert production["reviewers"] == [{"type": "User", "id": 7}]
    assert production["deployment_branch_policy"]["custom_branch_policies"] is True
    assert evaluation["deployment_branch_policy"] is None
    trusted = client("ssm", settings).get_parameter(Name="/omni/trusted-keys")["Parameter"]["Value"]
    assert trusted.startswith("-----BEGIN PUBLIC KEY-----")
    client("secretsmanager", settings).create_secret(Name="omni-registry-writer", SecretString=OF_MLFLOW)
    second = run()
    assert f"OMNI_REGISTRY_PASSWORD owner/name production {OF_MLFLOW}" in second
    assert set(first) < set(second)


@pytest.mark.parametrize(
    ("error", "code"), [("ResourceNotFoundException", 0), ("AccessDeniedException", 1), ("ExpiredTokenException", 1)]
)
def test_github_is_told_that_there_is_no_registry_only_if_there_is_none(tmp_path, error, code):
    aws = f"""#!/usr/bin/env bash
[ "$1" != secretsmanager ] || {{ echo "An error occurred ({error})" >&2; exit 254; }}
[ "$1" != kms ] || openssl genpkey -algorithm ed25519 | openssl pkey -pubout -outform DER | base64 -w0
"""
    for name, text in (("aws", aws), ("gh", GH)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    for name in ("made", "asked", "variables"):
        (tmp_path / name).touch()
    env = os.environ | {name.upper(): str(tmp_path / name) for name in ("made", "asked", "variables")}
    env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["tools/github.sh", "owner/name"], cwd=REPO_ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert (error in done.stderr) == bool(code)
    assert ("know each other" in done.stdout) != bool(code)
