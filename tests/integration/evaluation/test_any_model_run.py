"""``omni eval --model`` and ``omni models check`` over OpenAI's wire: verdicts, files, refusals, and keys that stand nowhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.local.process import LocalChatServer

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk-planted-0123456789-never-to-be-written"
MODEL = "openai/gpt-4o-mini"


@pytest.fixture
def omni(tmp_path):
    """Run ``omni`` with its own state and return what it printed; ``key`` None leaves the key out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "OPENAI_"))}
    own = {
        "PYTHONPATH": str(ROOT),
        "OMNI_STATE_DIR": str(tmp_path / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "OMNI_ROOT": str(tmp_path / "root"),
    }
    root = tmp_path / "root"
    root.mkdir()
    for folder in ("prompts", "datasets"):
        (root / folder).symlink_to(ROOT / folder)

    def run(*words, key=KEY):
        given = {} if key is None else {"OPENAI_API_KEY": key}
        return subprocess.run(
            [sys.executable, "-m", "omni", *words],
            cwd=root,
            env=kept | own | given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    run.folder = tmp_path
    return run


def evaluate(omni, server, *words, model=MODEL, **options):
    return omni(
        *("eval", "--pairs", "nova-lite", "--model", model, "--api-base", f"{server.url}/v1"),
        *("--dataset", "dev", "--cases", "6", *words),
        **options,
    )


def written(folder):
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.slow
def test_a_model_is_tried_with_a_prompt_and_its_key_stands_nowhere(omni):
    with LocalChatServer(("--script", "good", "--key", KEY, "--name", "")) as server:
        done = evaluate(omni, server, "--json")
    found = json.loads(done.stdout)
    (pair,) = found["pairs"]
    assert pair["pair_name"] == f"nova-lite@{MODEL}"
    assert pair["origins"] == ["endpoint"]
    assert pair["answered_by"] == ["gpt-4o-mini"]
    assert pair["metrics"]["answered"]["value"] == 1.0
    assert pair["metrics"]["cost_cold"]["value"] > 0
    assert "is no file and cannot be released" in done.stderr
    files = written(omni.folder)
    assert any(path.name == f"nova-lite@{MODEL.replace('/', '_')}.attestation.json" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            "bad_key",
            "refuses the key (401): it is wrong, has expired or may not use this model; set a new OPENAI_API_KEY",
        ),
        ("quota_spent", "the account's budget is spent"),
        ("other_model", "'another-model-7b' answered"),
        ("error_body", "answered 200 with an error (upstream_error) in place of an answer"),
        ("server_error", "5 calls, and none was answered"),
    ],
)
def test_a_model_that_cannot_be_used_ends_the_run_in_one_line_without_evidence(omni, trouble, words):
    with LocalChatServer(("--trouble", trouble)) as server:
        done = evaluate(omni, server)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "No evidence was written" in line
    names = {path.name for path in written(omni.folder)}
    assert not {name for name in names if "attestation" in name or name.startswith("report.")}
    assert [path for path in written(omni.folder) if KEY.encode() in path.read_bytes()] == []
    assert KEY not in done.stdout + done.stderr


@pytest.mark.slow
def test_wrong_words_are_refused_before_any_call(omni):
    with LocalChatServer() as server:
        missing = omni("eval", "--pairs", "nova-lite", "--model", MODEL, "--dataset", "dev", "--cases", "2", key=None)
        unknown = evaluate(omni, server, model="opnai/gpt-4o-mini")
        nameless = omni("eval", "--model", MODEL)
    wrong = omni("models", "check", "openai/some-model", "--api-base", "http://127.0.0.1:9/v1")
    assert "set OPENAI_API_KEY" in missing.stderr
    assert "did you mean 'openai/gpt-4o-mini'?" in unknown.stderr
    assert "name the prompt with --pairs" in nameless.stderr
    assert "no server answers at 127.0.0.1:9" in wrong.stderr
    assert [done.returncode for done in (missing, unknown, nameless, wrong)] == [2, 2, 2, 2]


@pytest.mark.slow
def test_models_check_says_what_a_model_is_and_can(omni):
    with LocalChatServer() as server:
        done = omni("models", "check", MODEL, "--api-base", f"{server.url}/v1", "--json")
    found = json.loads(done.stdout)
    assert (found["answered_by"], found["origin"]) == ("scripted", "stand-in")
    assert found["price"].startswith("$0.15")
    assert found["context"] == "128,000 tokens"
    assert found["streaming"].startswith("yes")
    assert found["structured_output"] == "no, it answered in prose"
