"""The generated clients, installed as an integrator installs them, against the running service; and the SDK that we ship."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from assistant_service import assistant_runtime
from desk_page import PIECES, RestartableService, ToldModel, kept_feedback, told_runtime

from service.access.control import local_token, open_access
from service.answers_kept.store import Summaries
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")


def run(*command, cwd=REPO_ROOT):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder with both clients, as `tools/clients.sh` writes it."""
    folder = tmp_path_factory.mktemp("generated") / "clients"
    run(REPO_ROOT / "tools" / "clients.sh", folder)
    return folder


@pytest.fixture
def served(api_runtime, monkeypatch, tmp_path):
    """Addresses of the summaries and of the assistant, a token, and the feedback that was kept."""
    settings = Settings(state_dir=tmp_path / "state")
    access, store = open_access(settings), kept_feedback()
    summaries, assistant = RestartableService(), RestartableService()
    summaries.start(
        told_runtime(api_runtime, ToldModel(), settings=settings, access=access, summaries=Summaries(feedback=store))
    )
    assistant.start(assistant_runtime(api_runtime, monkeypatch, settings=settings, access=access))
    yield f"http://{summaries.address}", f"http://{assistant.address}", local_token(settings).text, store
    summaries.stop()
    assistant.stop()


def check(told, store):
    reply = told.pop("reply")
    assert "account" in reply.lower()
    assert told == {
        "summary": "".join(PIECES),
        "interactions": 2,
        "feedback": "not_helpful",
        "invalid": [422, "INVALID_REQUEST", "account_number"],
        "expired": "UNAUTHORIZED",
        "state": "open",
        "said": ["assistant", "customer", "assistant"],
        "missing": "CONVERSATION_NOT_FOUND",
    }
    assert [(said.rating, said.comment, said.edited) for said in store.kept] == [
        ("not_helpful", "The refund is missing.", "A refund was promised.")
    ]


@pytest.mark.acceptance("operation-15")
def test_the_python_client_asks_rates_converses_and_reads_errors(generated, served, tmp_path):
    *arguments, store = served
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, generated / "python")
    check(json.loads(run(python, HERE / "calls.py", *arguments, cwd=tmp_path)), store)


@pytest.mark.acceptance("operation-15")
def test_the_javascript_client_asks_rates_converses_and_reads_errors(generated, served, tmp_path):
    *arguments, store = served
    run("npm", "install", "--no-audit", "--no-fund", "--silent", generated / "javascript", cwd=tmp_path)
    shutil.copy(HERE / "calls.mjs", tmp_path)
    check(json.loads(run("node", "calls.mjs", *arguments, cwd=tmp_path)), store)


def test_the_document_beside_the_clients_is_the_one_that_is_served(generated):
    document = json.loads((generated / "openapi.json").read_text(encoding="utf-8"))
    assert document["openapi"].startswith("3.1")
    assert "/omni-channel-insights" in document["paths"]
    assert (generated / "javascript" / "lib" / "index.d.ts").is_file()


def test_amazon_connects_sdk_is_what_the_locked_packages_give(tmp_path):
    run(REPO_ROOT / "tools" / "connect_sdk.sh", tmp_path / "connect-sdk.js")
    shipped = REPO_ROOT / "service" / "api" / "pages" / "connect-sdk.js"
    assert (tmp_path / "connect-sdk.js").read_bytes() == shipped.read_bytes()
