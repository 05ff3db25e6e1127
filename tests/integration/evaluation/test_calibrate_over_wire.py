"""``omni calibrate`` with a scripted fact checker over OpenAI's wire: licences for three tasks, and clear errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.spine.judge_spec import HARM_CLASSES
from service.local.process import LocalChatServer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
MODEL = "openai/bespoke-minicheck"


@pytest.fixture
def calibrated(tmp_path):
    """Run ``omni calibrate`` on the reader against a server with this script, and return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "OPENAI_"))}
    own = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMNI_STATE_DIR": str(tmp_path / "state")}

    def run(*words, task, url, key="sk-right"):
        return subprocess.run(
            [sys.executable, "-m", "omni", "calibrate", "--task", task, "--judge", "reader", "--model", MODEL,
             "--api-base", f"{url}/v1", "--sets", "contrasts", "--concurrency", "8", *words],
            cwd=ROOT, env=kept | own | {"OPENAI_API_KEY": key}, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip

    run.state = tmp_path / "state"
    return run


@pytest.fixture
def server(monkeypatch):
    """Start the stand-in with a function of ``fact_checker``."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")

    def start(script="reader", *words, recall="0.95", alarms="0"):
        monkeypatch.setenv("CHECKER_RECALL", recall)
        monkeypatch.setenv("CHECKER_ALARMS", alarms)
        return LocalChatServer(("--script", f"fact_checker:{script}", "--name", "", "--key", "sk-right", *words))

    return start


def test_a_good_reader_earns_its_licence_once_for_three_tasks(calibrated, server):
    with server() as model:
        first = calibrated(task="summarize", url=model.url)
        others = [calibrated(task=task, url=model.url) for task in ("assistant", "scorecard")]
    assert first.returncode == 0, first.stdout + first.stderr
    asked, measured = first.stdout.index("judge reader on openai/bespoke-minicheck: at most"), first.stdout.index("| |")
    assert asked < measured
    assert "questions, a model without a price, about" in first.stdout
    for done in (first, *others):
        assert done.returncode == 0, done.stdout + done.stderr
        (licensed,) = [line for line in done.stdout.splitlines() if line.startswith("  licensed, given what each run")]
        assert all(f"{name} 0.9" in licensed for name in HARM_CLASSES)
    assert len(list((calibrated.state / "calibration").glob("*.json"))) == 1


def test_a_poor_reader_ends_the_command_with_1_and_hears_how_near_it_was(calibrated, server):
    with server(recall="0.5") as model:
        done = calibrated(task="scorecard", url=model.url)
    assert done.returncode == 1
    assert "points of recall too few (on" in done.stdout
    assert (
        "no judge measured here is licensed for: reason_unfounded, summary_unfaithful, action_item_invented"
        in done.stdout
    )


@pytest.mark.parametrize("script", ["cannot_tell", "broken"])
def test_a_reader_that_never_decides_has_no_licence(calibrated, server, script):
    with server(script) as model:
        done = calibrated("--dev-cases", "1", "--gate-cases", "0", task="assistant", url=model.url)
    assert done.returncode == 1
    assert "the reader said neither yes nor no" in done.stdout
    assert "no licence, shown only: it decides only 0.00" in done.stdout


@pytest.mark.parametrize(
    ("words", "key", "says"),
    [
        ((), "sk-wrong", "refuses the key (401)"),
        (("--trouble", "unknown_model"), "sk-right", "has no such model or no such path"),
        (("--trouble", "error_body"), "sk-right", "nobody answered"),
    ],
)
def test_a_reader_that_cannot_answer_is_one_clear_error(calibrated, server, words, key, says):
    with server("reader", *words) as model:
        done = calibrated("--dev-cases", "1", "--gate-cases", "0", task="assistant", url=model.url, key=key)
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert says in error
    assert not (calibrated.state / "calibration").exists()


def test_an_address_where_nothing_listens_is_said_and_nothing_recorded(calibrated):
    done = calibrated("--dev-cases", "1", "--gate-cases", "0", task="assistant", url="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "nobody answered" in done.stderr
    assert "so nothing was recorded" in done.stderr
    assert not (calibrated.state / "calibration").exists()
