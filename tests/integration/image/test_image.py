"""The image of the service, built from the Dockerfile's own lines in a root file system, answers a request and ends in order."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from service.kit.settings import REPO_ROOT

TOOL = REPO_ROOT / "tools" / "rehearse_image.py"
MB_AT_MOST = 720
CUSTOMER = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mmdebstrap") is None, reason="building an image needs root and mmdebstrap"
)


def rehearse(*arguments, **more):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], check=True, text=True, **more)


def omni(environment, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "omni", *arguments],
        env=environment,
        cwd=REPO_ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, f"omni {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asked(address, *, token=None, body=None, read=json.loads):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(address, headers=headers, data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, read(answer.read())


def awaited(address, process, **more):
    while True:
        assert process.poll() is None, f"the process ended with {process.returncode}"
        try:
            return asked(address, **more)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    into = tmp_path_factory.mktemp("images")
    rehearse("build", "service", "--into", into)
    yield into
    shutil.rmtree(into)


@pytest.fixture(scope="module")
def released(tmp_path_factory, own_aws):
    """A registry as an HTTP server with a released pair, a local AWS with sample customers, and the public keys."""
    settings = own_aws()
    folder = tmp_path_factory.mktemp("released")
    (folder / "store").mkdir()
    store = f"sqlite:///{folder}/store/mlflow.db"
    environment = os.environ | {
        "OMNI_STATE_DIR": str(folder / "state"), "OMNI_REGISTRY_URI": store, "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "PYTHONPATH": str(REPO_ROOT),
    }  # fmt: skip
    omni(environment, "eval", "--pairs", "extractive")
    omni(environment, "promote", "extractive", "--why", "to try the image")
    port = free_port()
    line = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--default-artifact-root"]
    line += [f"{folder}/store/artifacts", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(line, env=environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    try:
        awaited(f"http://127.0.0.1:{port}/version", server, read=bytes.decode)
        yield environment, port, folder / "state" / "keys" / "trusted.pem"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def running(images, released, tmp_path):
    environment, registry, keys = released
    volume = tmp_path / "volume"
    volume.mkdir()
    os.chown(volume, 10001, 10001)
    port = free_port()
    line = [
        sys.executable,
        TOOL,
        "run",
        "service",
        "--into",
        images,
        "--volume",
        volume,
        "--mount",
        f"{keys}:/mnt/trusted.pem",
    ]
    for name, value in {
        "OMNI_PORT": port, "OMNI_HOST": "127.0.0.1", "OMNI_AWS_ENDPOINT": environment["OMNI_AWS_ENDPOINT"],
        "OMNI_REGISTRY_URI": f"http://127.0.0.1:{registry}", "OMNI_TRUSTED_KEYS": "/mnt/trusted.pem",
    }.items():  # fmt: skip
        line += ["-e", f"{name}={value}"]
    process = subprocess.Popen([*map(str, line), "--", "serve", "--without-bedrock"], text=True)
    yield process, f"http://127.0.0.1:{port}", environment, volume, line
    if process.poll() is None:
        process.terminate()  # the tool passes it on; killed, it would leave the service running
        process.wait()


@pytest.mark.acceptance("operation-25")
def test_the_image_answers_a_request_and_ends_in_order(running):
    process, address, environment, volume, line = running
    awaited(f"{address}/readyz", process)  # 503 until the registry has answered
    token = omni(environment, "token").strip()
    status, answer = asked(f"{address}/omni-channel-insights", token=token, body=CUSTOMER)
    assert (status, answer["pair"]) == (200, "extractive")
    assert "$284.60" in answer["summary"]
    health = [*map(str, line)]
    health[health.index("run")] = "health"
    assert subprocess.run(health, check=False).returncode == 0
    assert {file.stat().st_uid for file in volume.rglob("*")} == {10001}
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert subprocess.run(health, check=False).returncode != 0, "the health check passes although nothing runs"


@pytest.mark.acceptance("operation-25")
def test_nothing_of_the_image_can_be_written(images):
    told = "import os; print(os.getuid(), [p for p in ('/', '/app', '/opt/omni', '/etc', '/usr') if os.access(p, os.W_OK)])"
    line = [sys.executable, TOOL, "run", "service", "--into", images]
    stage = Path(images, "service.json")
    kept = stage.read_text(encoding="utf-8")
    stage.write_text(json.dumps(json.loads(kept) | {"entrypoint": ["/opt/omni/bin/python"]}), encoding="utf-8")
    try:
        done = subprocess.run([*map(str, line), "--", "-c", told], capture_output=True, text=True, check=True)
    finally:
        stage.write_text(kept, encoding="utf-8")
    assert done.stdout.split(maxsplit=1) == ["10001", "[]\n"]


@pytest.mark.acceptance("operation-25")
def test_the_image_holds_the_service_alone_and_is_not_large(images):
    root = images / "service"
    assert {path.name for path in (root / "app").iterdir()} == {"prompts", "service"}
    assert not list((root / "opt/omni/lib/python3.11/site-packages").glob("pip*"))
    sources = list((root / "app").rglob("*.py"))
    assert all((file.parent / "__pycache__" / f"{file.stem}.cpython-311.pyc").exists() for file in sources)
    size = int(rehearse("size", "service", "--into", images, capture_output=True).stdout)
    assert size < MB_AT_MOST, f"the image has {size} MB"


def test_the_image_can_install_nothing_and_no_program_runs_with_anothers_rights(images):
    root = images / "service"
    assert not [name for name in ("apt", "apt-get", "pip") if (root / "usr" / "bin" / name).exists()]
    found = subprocess.run(
        ["find", root, "-xdev", "-type", "f", "-perm", "/6000"], capture_output=True, text=True, check=True
    )
    assert found.stdout == ""
