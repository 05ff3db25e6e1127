"""The registry as the stack starts it: command, variables, host name and passwords are those of the committed templates."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from omni.deploying.rehearsal.templates import containers, read_template
from service.kit.settings import REPO_ROOT

pytestmark = pytest.mark.slow

PASSWORDS = {"WRITER_PASSWORD": "w" * 40, "READER_PASSWORD": "r" * 40}
SEARCH = "/api/2.0/mlflow/registered-models/search?max_results=1"


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


class Registry:
    """Runs the container's command with packages from here: SQLite for PostgreSQL, a free port for 5000, a folder for /tmp."""

    def __init__(self, folder: Path):
        self.container = containers(read_template("omni-registry"))["registry"]
        self.service = containers(read_template("omni-service"))["service"]
        address = urlsplit(self.service.environment["OMNI_REGISTRY_URI"])
        (port,) = self.container.ports
        assert address.port == port
        self.port, self.host = free_port(), address.hostname
        self.work = folder / "root"
        self.work.mkdir()
        self._folder = folder
        ours = Path(REPO_ROOT / ".venv-registry" / "bin")
        database = re.search(r"postgresql[^\"]+", " ".join(self.container.command))[0]
        driver = re.match(r"postgresql\+(\w+)://", database)[1]
        subprocess.run([ours / "python", "-c", f"import {driver}"], check=True)
        self.command = [
            self._here(part).replace(database, f"sqlite:///{folder}/mlflow.db") for part in self.container.command
        ]
        self.environment = {
            "PATH": f"{ours}:{os.environ['PATH']}",
            **{name: self._here(value) for name, value in self.container.environment.items()},
            **PASSWORDS,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",  # pragma: allowlist secret
        }
        self.process = subprocess.Popen(self.command, cwd=self.work, env=self.environment, start_new_session=True)

    def _here(self, text):
        text = text.replace("/opt/registry/", f"{REPO_ROOT}/infra/image/registry_")
        return re.sub(r"^/tmp", str(self._folder), re.sub(r"\b5000\b", str(self.port), text))

    def healthy(self):
        """Whether the container's own health check passes."""
        line = [self._here(part) for part in self.container.health[1:]]
        return subprocess.run(line, env=self.environment, capture_output=True, check=False).returncode == 0

    def ask(self, path, *, host=None, login=None):
        header = {"Host": f"{host or self.host}:{self.port}"}
        return httpx2.get(f"http://127.0.0.1:{self.port}{path}", headers=header, auth=login, timeout=30)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    subprocess.run([REPO_ROOT / "tools" / "setup.sh", "registry"], check=True, capture_output=True)
    made = Registry(tmp_path_factory.mktemp("registry"))
    until = time.monotonic() + 180
    while not made.healthy():
        assert made.process.poll() is None, "the registry ended"
        assert time.monotonic() < until, "the registry is never healthy"
        time.sleep(0.5)
    yield made
    made.stop()


@pytest.mark.acceptance("operation-21")
def test_the_registry_answers_at_the_address_that_the_tasks_have(registry):
    reader = (registry.service.environment["MLFLOW_TRACKING_USERNAME"], PASSWORDS["READER_PASSWORD"])
    assert registry.ask(SEARCH, login=reader).status_code == 200
    assert registry.ask(SEARCH, host="localhost", login=reader).status_code == 200  # a person's tunnel
    assert registry.ask(SEARCH, host="evil.example", login=reader).status_code == 403


def test_nobody_reads_without_a_password_and_no_task_changes_a_release(registry, monkeypatch):
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    assert registry.ask(SEARCH).status_code == 401
    assert registry.ask(SEARCH, login=("omni", "another")).status_code == 401
    found = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: found("127.0.0.1" if host == registry.host else host, *rest, **more),
    )
    address = f"http://{registry.host}:{registry.port}"
    client = MlflowClient(address, address)  # other tests set MLflow's registry for the whole process

    def sign_in(name, password):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS[password])

    sign_in("omni", "WRITER_PASSWORD")
    client.create_prompt("summarize")
    client.create_prompt_version("summarize", "A template")
    client.set_prompt_alias("summarize", "production", 1)
    sign_in(registry.service.environment["MLFLOW_TRACKING_USERNAME"], "READER_PASSWORD")
    assert client.get_prompt_version_by_alias("summarize", "production").template == "A template"
    for change in (
        lambda: client.set_prompt_alias("summarize", "other", 1),
        lambda: client.set_prompt_version_tag("summarize", "1", "mlflow.prompt.text", "Another template"),
        lambda: client.create_prompt_version("summarize", "A version"),
        lambda: client.delete_prompt_alias("summarize", "production"),
    ):
        with pytest.raises(MlflowException, match=r"403|ermission"):
            change()


def test_the_registry_writes_nothing_outside_its_scratch_folder(registry):
    """Its root file system is read-only."""
    assert list(registry.work.iterdir()) == []
