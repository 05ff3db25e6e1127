"""The second task once round the loop, as its users go: evaluate, gate, release, then calls scored by what was released."""

import csv
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.core.tasks.scorecard import TASK
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
TENANTS = ("acme", "brand")
TURNS = [
    {"speaker": "agent", "start_s": 0.0, "text": "Good morning, you are through to Sam at Acme, how can I help you today?"},
    {"speaker": "customer", "start_s": 5.0, "text": "Hello, my bill is wrong."},
    {"speaker": "agent", "start_s": 12.0, "text": "I am sorry to hear that, I have corrected the bill for you."},
]  # fmt: skip
CRITERIA = [
    {"id": "greet", "question": "Did the agent say good morning and help?", "weight": 1, "required": True},
    {"id": "notice", "question": "Did the agent announce the recording purposes?", "weight": 1},
]


@pytest.fixture
def root(tmp_path):
    """A root of its own with the pairs, the gate set and calls of two tenants; whatever it starts, it stops."""
    for folder in ("prompts/scorecard", "datasets/scorecard", "calls"):
        (tmp_path / folder).mkdir(parents=True)
    for pair in ("keywords", "smollm2-lines", "nova-lite"):
        shutil.copy(ROOT / "prompts" / "scorecard" / f"{pair}.prompty", tmp_path / "prompts" / "scorecard")
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    shutil.copy(ROOT / "datasets" / "scorecard" / "gate.jsonl", tmp_path / "datasets" / "scorecard")
    for tenant in TENANTS:
        form = {"form_id": "support", "tenant": tenant, "name": "Support", "version": 1, "pass_threshold": 0.5}
        form["sections"] = [{"id": "all", "title": "All", "criteria": CRITERIA}]
        _write(tmp_path / "calls" / tenant / "forms" / "support.json", form)
        _write(tmp_path / "calls" / tenant / "support" / "one.json", {"turns": TURNS})
    _write(tmp_path / "calls" / "brand" / "support" / "two.json", {"turns": TURNS[:2]})
    yield tmp_path
    _run(tmp_path, "down")


def _write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _run(root, *arguments, **environment):
    fixed = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
        "OMNI_STORE_TIMEOUT_S": "20",
    }
    return subprocess.run(
        [sys.executable, "-m", "omni", *arguments],
        env=dict(os.environ) | fixed | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.acceptance("score-04", "call-gate-01", "call-gate-02")
def test_evaluated_gated_released_and_then_scoring_calls_of_two_tenants(root, port):
    local = {"OMNI_LOCAL_AWS_PORT": str(port)}
    calls = ("calls", "run", str(root / "calls"))

    early = _run(root, *calls, **local)
    assert early.returncode == 2, early.stdout
    assert "omni promote PAIR --task scorecard --why" in early.stderr

    unproven = _run(root, "promote", "keywords", "--task", "scorecard", "--why", "the floor")
    assert unproven.returncode == 2
    assert "run `omni eval` first" in unproven.stderr

    # A task without behaviour is judged by its evaluation alone.
    judged = _run(root, "gate", "keywords", "--task", "scorecard")
    assert "declares no behaviour" in judged.stderr
    assert judged.returncode == 0, judged.stdout + judged.stderr
    unseen = "reason_unfounded, summary_unfaithful, action_item_invented"
    said = " ".join(judged.stdout.split())
    assert "keywords passes the gate; 2 of 1,348 sentences read by nobody;" in said
    assert f"; no judge model looked at {unseen}." in said

    released = _run(root, "promote", "keywords", "--task", "scorecard", "--why", "the floor")
    assert released.returncode == 0, released.stderr
    assert released.stdout.startswith("release 1: scorecard now serves keywords")
    verified = _run(root, "verify", "--task", "scorecard")
    assert (verified.returncode, "0 broken" in verified.stdout) == (0, True), verified.stdout
    assert "the floor" in _run(root, "history", "--task", "scorecard").stdout

    # Nobody names a pair any more. A changed file changes nothing: what was released scores.
    path = root / "prompts" / "scorecard" / "keywords.prompty"
    settings = Settings(root=root)
    from service.core.unit.cards import ModelCards

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    digest = load_pair(path, cards=cards, task_variables=TASK.variables).digest
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1.0.0", "version: 9.0.0"), encoding="utf-8")
    scored = _run(root, *calls, **local)
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert "acme: balanced" in scored.stdout
    rows = _rows(
        root, "SELECT tenant_id, pair, pair_digest, registry_version FROM omni_calls ORDER BY tenant_id, call_id"
    )
    assert [tuple(row.values()) for row in rows] == [
        (tenant, "keywords", digest, "1") for tenant in ("acme", "brand", "brand")
    ]
    board = scored.stdout.partition("acme: criteria that fail most")[2]
    assert board.index("notice") < board.index("greet")

    # An equal pair may take its place: the gate has to be one that somebody can pass.
    again = _run(root, "eval", "--task", "scorecard", "--pairs", "keywords")
    assert again.returncode == 0, again.stdout

    # Before it does, the worker follows its rollout as the service does: to the candidate, and back.
    begun = _run(root, "rollout", "keywords", "--task", "scorecard", "--why", "a try", "--steps", "100")
    assert begun.returncode == 0, begun.stdout + begun.stderr
    candidate = load_pair(path, cards=cards, task_variables=TASK.variables).digest
    assert candidate != digest
    _write(root / "calls" / "acme" / "support" / "three.json", {"turns": TURNS[:1] + TURNS[2:] + TURNS[1:2]})
    assert _run(root, *calls, **local).returncode == 0
    ended = _run(root, "rollout-end", "--task", "scorecard", "--why", "tried")
    assert ended.returncode == 0, ended.stderr
    _write(root / "calls" / "acme" / "support" / "four.json", {"turns": TURNS[:2] + TURNS[:2]})
    assert _run(root, *calls, **local).returncode == 0
    rows = _rows(root, "SELECT pair_digest FROM omni_calls ORDER BY scored_at")
    assert [row["pair_digest"] for row in rows[3:]] == [candidate, digest]

    second = _run(root, "promote", "keywords", "--task", "scorecard", "--why", "equal")
    assert second.stdout.startswith("release 2: scorecard now serves keywords"), second.stderr
    back = _run(root, "rollback", "--task", "scorecard", "--why", "as it was")
    assert back.stdout.startswith("release 3: scorecard serves keywords"), back.stderr
    assert _run(root, "verify", "--task", "scorecard").returncode == 0


def _rows(root, sql):
    done = _run(root, "sql", sql, "--csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.acceptance("call-gate-10")
def test_a_providers_pair_without_keys_is_one_line_and_nothing_is_scored(root, port):
    calls = ("calls", "run", str(root / "calls"), "--pair", "nova-lite")
    refused = _run(root, *calls, OMNI_LOCAL_AWS_PORT=str(port))
    assert refused.returncode == 2, refused.stdout
    assert "amazon.nova-lite-v1:0" in refused.stderr
    assert "OMNI_ENVIRONMENT=aws" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1

    nobody = {
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    keyless = {name: "" for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"}
    evaluated = _run(
        root, "eval", "--task", "scorecard", "--pairs", "nova-lite", OMNI_ENVIRONMENT="aws", **keyless | nobody
    )
    assert evaluated.returncode == 2, evaluated.stdout
    assert "no AWS credentials to ask the models of nova-lite with" in evaluated.stderr
