"""Evaluations of conversations as wholes: killed and taken up again, with a model that samples, and with one that breaks off."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from parcel_desk import desk
from throw_away import ThrowAway

from eval.dialogue.record import ConversationRecord
from eval.evaluation.evaluate import Options, evaluate
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]
IN_FLIGHT = 2


@pytest.fixture
def answer(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    (tmp_path / "prompts" / "models.yaml").unlink()
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    for path in (tmp_path / "prompts" / "parcels").iterdir():
        path.unlink()
    pair = task.parcel_pair("wired", "amazon.nova-lite-v1:0")
    (tmp_path / "prompts" / "parcels" / "wired.prompty").write_text(pair, encoding="utf-8")
    yield importlib.import_module("service.core.tasks.parcels").courteous
    task.remove()


def started(root, state, url):
    fixed = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / state),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/{state}.db",
        "OMNI_BEDROCK_ENDPOINT": url,
    }
    line = [sys.executable, str(ROOT / "tests" / "parcel_desk.py"), str(root)]
    line += ["eval", "--task", "parcels", "--pairs", "wired", "--cases", "16", "--concurrency", str(IN_FLIGHT)]
    environment = os.environ | fixed | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answers(root, state, process):
    """Return what a finished evaluation measured, times apart, with each model reply by its key, and what it printed."""
    out, errors = process.communicate(timeout=300)
    assert "Report: " in out, out + errors
    path = next(line for line in out.splitlines() if line.startswith("Report: ")).removeprefix("Report: ")
    (pair,) = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["pairs"]
    names = ("scores", "findings", "usage", "cost", "attempts", "failure")
    measured = {(item["case_id"], item["repeat"]): [item[name] for name in names] for item in pair["cases"]}
    kept = (line for file in (root / state / "calls").glob("*.jsonl") for line in file.read_text("utf-8").splitlines())
    replies = {
        row["key"]: (row["reply"]["text"], row["reply"]["uses"]) for row in map(json.loads, filter(_is_whole, kept))
    }
    return (measured, replies), out


def _is_whole(line):
    return line.startswith('{"key"') and line.endswith("}")


def test_a_killed_evaluation_of_conversations_goes_on(answer, tmp_path):
    with desk(answer, takes_s=0.0) as (url, arrived):
        whole, _ = answers(tmp_path, "whole", started(tmp_path, "whole", url))
        calls = Counter(arrived)
    with desk(answer, takes_s=0.02) as (url, arrived):
        killed = started(tmp_path, "killed", url)
        while len(arrived) < 100:
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert len(arrived) < calls.total() - IN_FLIGHT
        again, out = answers(tmp_path, "killed", started(tmp_path, "killed", url))
    assert "resuming run" in out
    assert again == whole
    twice = Counter(arrived) - calls
    assert twice.total() <= IN_FLIGHT  # those that the kill cut off
    assert not calls - Counter(arrived)


@pytest.fixture
def parcels(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    yield importlib.import_module("service.core.tasks.parcels")
    task.remove()


def evaluated(root, parcels, monkeypatch, model):
    monkeypatch.setitem(parcels.Parcels.in_process, "local.courteous-v1", model)
    settings = Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow/mlflow.db")
    (pair,) = evaluate(Options(task="parcels", pairs=("courteous",)), settings).evaluation.pairs
    return pair


def test_a_model_that_is_right_now_and_then_has_a_lower_pass_4_than_pass_1(tmp_path, parcels, monkeypatch):
    def sampling(so_far):
        drawn = zlib.crc32(so_far.inputs.conversation_id.encode()) % 5
        return parcels.courteous(so_far) if drawn else '{"reply": "I do not know.", "action": "answer"}'

    pair = evaluated(tmp_path, parcels, monkeypatch, sampling)
    right, pass_4 = pair.metrics["conversation_right"].value, pair.metrics["pass_4"].value
    by_case = {}
    for item in pair.cases:
        by_case.setdefault(item.case_id, []).append(item.scores["conversation_right"].value)
    assert pass_4 == pytest.approx(sum(min(values) for values in by_case.values()) / len(by_case))
    assert 0 < pass_4 < right - 0.2


def test_what_was_done_before_a_reply_that_is_no_json_is_judged(tmp_path, parcels, monkeypatch):
    def breaking_off(so_far):
        done = "redirect_parcel" in dict(so_far.outcomes)
        return '{"reply": "Done", "act' if done else parcels.hasty(so_far)

    pair = evaluated(tmp_path, parcels, monkeypatch, breaking_off)
    broken = [item for item in pair.cases if item.scores["ending_right"].value == 0]
    assert broken
    for item in broken:
        record = ConversationRecord.model_validate_json(item.result.output)
        assert (record.ended, record.unscored) == ("failed", "")
        assert record.changes
        assert record.turns[-1].rejected.startswith('{"reply": "Done"')
        assert item.scores["conversation_right"].value == 0
        # Nobody had said yes, and those who refuse had never wanted it.
        wrong = "permitted" if item.case_id.startswith("refusing") else "calls"
        assert item.scores[f"{wrong}_right"].value == 0
