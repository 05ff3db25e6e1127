"""`omni` as its users meet it: whole processes, a real store, the echo and the bundled model, and what goes wrong."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import warm

from eval.instruments.bench.run import ECHO_PAIR
from service.local.process import LocalBedrock

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
PASSED = r"extractive +PASS +(\d+) of \1 +for form and figures; 3% of sentences read by nobody;"


@pytest.fixture
def root(tmp_path):
    """A root of its own with the cards, the pairs extractive and echo, and the 40 dev cases in the gate set's place."""
    (tmp_path / "prompts" / "summarize").mkdir(parents=True)
    (tmp_path / "datasets" / "summarize").mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", tmp_path / "prompts" / "summarize")
    (tmp_path / "prompts" / "summarize" / "echo.prompty").write_text(ECHO_PAIR, encoding="utf-8")
    shutil.copy(ROOT / "datasets" / "summarize" / "dev.jsonl", tmp_path / "datasets" / "summarize" / "gate.jsonl")
    return tmp_path


@pytest.fixture(scope="module")
def default_run(tmp_path_factory):
    """A root with every shipped pair, the echo as a demo, and the whole gate set, and what `omni eval` said there."""
    root = tmp_path_factory.mktemp("default")
    shutil.copytree(ROOT / "prompts" / "summarize", root / "prompts" / "summarize")
    shutil.copy(ROOT / "prompts" / "models.yaml", root / "prompts")
    make_demo(root)
    (root / "datasets" / "summarize").mkdir(parents=True)
    # The bounds of a first release cannot be shown to hold on 40 cases.
    shutil.copy(ROOT / "datasets" / "summarize" / "gate.jsonl", root / "datasets" / "summarize")
    return root, run(root, "eval")


@pytest.fixture
def evaluated(default_run, tmp_path):
    """A copy of the root that `omni eval` left; artifacts stay where the run says they are."""
    return shutil.copytree(default_run[0], tmp_path / "evaluated")


def command(root, *arguments, **environment):
    fixed = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
    }
    return [sys.executable, "-m", "omni", *arguments], dict(os.environ) | fixed | environment


def run(root, *arguments, **environment):
    line, env = command(root, *arguments, **environment)
    return subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)


def start(root, *arguments, **environment):
    line, env = command(root, *arguments, **environment)
    return subprocess.Popen(
        line,
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell has Ctrl-C switched off, and hands that down.
        preexec_fn=warm.interruptible,
    )


def result_of(done):
    path = next(line for line in done.stdout.splitlines() if line.startswith("Report: ")).removeprefix("Report: ")
    return json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))


def failures(cases):
    # This case's customer quotes template text: an echo of it is rightly rejected, whatever else happens.
    return [row for row in cases if row["failure"] and row["case_id"] != "dev-digital-01"]


def add_fault(url, **rule):
    request = urllib.request.Request(
        f"{url}/_local/faults", data=json.dumps(rule).encode(), headers={"content-type": "application/json"}
    )
    urllib.request.urlopen(request).close()


def requests_seen(url):
    with urllib.request.urlopen(f"{url}/_local/faults") as answer:
        (rule,) = json.load(answer)["rules"]
    return rule["fired"]


def answers_kept(root):
    lines = [line for path in (root / "state" / "calls").glob("*.jsonl") for line in path.read_text().splitlines()]
    return sum(line.startswith('{"key"') for line in lines)


def wait_for_cached(root, count, process):
    deadline = time.monotonic() + 120
    while answers_kept(root) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_from_nothing_to_a_verdict_and_a_release(default_run, evaluated):
    _, done = default_run
    assert done.returncode == 0, done.stderr
    assert re.search(PASSED, done.stdout)
    assert done.stderr.count("extractive: 200/200") == 1
    result = result_of(done)
    assert [row["case_id"] for row in result["pairs"][0]["cases"]] == [
        json.loads(line)["id"]
        for line in (evaluated / "datasets/summarize/gate.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert json.loads(run(evaluated, "history", "--json").stdout) == []
    promoted = run(evaluated, "promote", "extractive", "--why", "the floor")
    assert (promoted.returncode, "release 1" in promoted.stdout) == (0, True), promoted.stderr
    nothing_before = run(evaluated, "rollback", "--why", "x")
    assert (nothing_before.returncode, "no earlier release" in nothing_before.stderr) == (1, True)
    history = run(evaluated, "history")
    assert "the floor" in history.stdout
    (release,) = json.loads(run(evaluated, "history", "--json").stdout)
    assert (release["release"]["why"], release["evidence"]["verdict"], release["verified"]) == (
        "the floor",
        "pass",
        True,
    )
    assert json.loads(run(evaluated, "verify", "--json").stdout)["broken"] == 0


@pytest.mark.cold
def test_json_stands_alone_on_standard_output(root):
    evaluated = run(root, "eval", "--pairs", "extractive", "--json")
    found = json.loads(evaluated.stdout)
    assert [(pair["pair_name"], pair["verdict"]) for pair in found["pairs"]] == [("extractive", "inconclusive")]
    assert evaluated.returncode == 1, evaluated.stderr
    assert Path(found["report"]).exists()
    assert re.search(r"extractive +INCONCLUSIVE", evaluated.stderr)


def make_demo(root):
    """Say of the echo's pair that it is a demo, which no run takes unless it is named."""
    text = ECHO_PAIR.replace("task: summarize", "task: summarize\nrole: demo")
    (root / "prompts" / "summarize" / "echo.prompty").write_text(text, encoding="utf-8")


def test_by_default_no_bundled_model_is_asked_and_the_output_says_so_and_what_to_type_next(default_run):
    root, done = default_run
    assert done.returncode == 0, done.stderr
    assert [pair["pair_name"] for pair in result_of(done)["pairs"]] == ["extractive"]
    assert ": 0 model calls" in done.stdout
    assert not (root / "state" / "logs" / "bedrock.log").exists()
    lines = done.stdout.splitlines()
    (bundled,) = [line for line in lines if line.startswith("Left out: echo, smollm2-short, smollm2-structured.")]
    assert "A demo never has to pass" in bundled
    assert "eval --pairs echo --cases" in bundled
    (provider,) = [line for line in lines if line.startswith("Left out: nova-lite, nova-micro-compressed, nova-micro.")]
    assert provider.endswith("omni eval")
    assert lines[-2].startswith("Next: judge its behaviour too, which this run did not measure: ")
    assert lines[-1].startswith("Then: release it: ")
    assert "omni promote extractive --why" in lines[-1]
    assert " 0 s left" not in done.stderr


def test_production_is_compared_although_nobody_names_it(evaluated):
    run(evaluated, "promote", "extractive", "--why", "the floor")
    path = evaluated / "prompts" / "summarize" / "extractive.prompty"
    text = (
        path.read_text(encoding="utf-8")
        .replace("name: extractive", "name: shorter")
        .replace("max_words: 130", "max_words: 120")
    )
    (path.parent / "shorter.prompty").write_text(text, encoding="utf-8")
    path.unlink()
    done = run(evaluated, "eval", "--cases", "12")
    pairs = {pair["pair_name"]: pair["is_production"] for pair in result_of(done)["pairs"]}
    assert pairs == {"shorter": False, "extractive": True}


def test_a_part_of_the_set_is_no_evidence_for_a_release(root):
    run(root, "eval", "--pairs", "extractive", "--cases", "39")
    refused = run(root, "promote", "extractive", "--why", "x")
    assert refused.returncode == 1
    assert "dataset 'gate' differs from the evaluated one" in refused.stderr


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_is_taken_up_with_no_case_twice_and_none_missing(root, kill):
    with LocalBedrock(("--echo-latency-ms", "300")) as server:
        add_fault(server.url, kind="delay", model="*", rate=1, delay_ms=1)
        arguments = ("eval", "--pairs", "echo", "--concurrency", "2")
        process = start(root, *arguments, OMNI_BEDROCK_ENDPOINT=server.url)
        wait_for_cached(root, 8, process)
        process.send_signal(kill)
        _, errors = process.communicate(timeout=60)
        if kill is signal.SIGINT:
            assert process.returncode == 2, errors
            assert "run the same command again" in errors
            assert "Traceback" not in errors
        done_before = answers_kept(root)
        asked_before = requests_seen(server.url)
        assert 8 <= done_before < 37
        again = run(root, *arguments, OMNI_BEDROCK_ENDPOINT=server.url)
        asked = requests_seen(server.url)
    assert again.returncode == 1, again.stderr  # an echo is no summary
    assert "resuming run" in again.stdout
    cases = result_of(again)["pairs"][0]["cases"]
    assert len(cases) == len({row["case_id"] for row in cases}) == 40
    # 3 of the 40 cases have no interactions and need no call; two calls may have been in flight at the kill.
    assert asked - asked_before == 37 - done_before
    assert asked <= 37 + 2


def test_an_identical_run_beside_a_running_one_is_refused_by_name_and_changes_nothing(root):
    with LocalBedrock(("--echo-latency-ms", "300")) as server:
        arguments = ("eval", "--pairs", "echo", "--concurrency", "2")
        first = start(root, *arguments, OMNI_BEDROCK_ENDPOINT=server.url)
        wait_for_cached(root, 4, first)
        (record,) = (root / "state" / "runs").glob("*.json")
        beside = run(root, *arguments, OMNI_BEDROCK_ENDPOINT=server.url)
        assert first.poll() is None, "the first run ended too early to be met"
        first.communicate(timeout=120)
    assert (beside.returncode, beside.stdout) == (2, ""), beside.stderr
    assert beside.stderr.startswith(
        f"error: run {record.stem} of task 'summarize' with these pairs and cases is at work"
    )
    assert f"(process {first.pid}, since " in beside.stderr
    assert first.returncode == 1, "an echo is no summary, and that is all that is wrong"
    assert len(list((root / "state" / "runs").glob("*.json"))) == 1


def test_a_second_run_is_answered_from_the_cache_and_says_so(root):
    with LocalBedrock() as server:
        run(root, "eval", "--pairs", "echo", OMNI_BEDROCK_ENDPOINT=server.url)
        second = run(root, "eval", "--pairs", "echo", OMNI_BEDROCK_ENDPOINT=server.url)
    assert "0 model calls, 37 answers from the cache" in second.stdout
    assert "leaked" not in second.stderr
    assert "measured in run" in second.stdout


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("empty", "OUTPUT_INVALID", "the answer is empty"),
        ("truncate", "OUTPUT_INVALID", "cut off at the pair's maxOutputTokens"),
        ("unavailable", "UPSTREAM_UNAVAILABLE", "failed"),
        ("internal", "UPSTREAM_UNAVAILABLE", "failed"),
    ],
)
def test_bad_answers_are_results_with_their_code(root, kind, code, message):
    with LocalBedrock() as server:
        add_fault(server.url, kind=kind, model="*", rate=0.3, key="body")
        done = run(root, "eval", "--pairs", "echo", OMNI_BEDROCK_ENDPOINT=server.url)
    assert done.returncode == 1
    cases = result_of(done)["pairs"][0]["cases"]
    failed = failures(cases)
    assert len(cases) == 40
    assert 0 < len(failed) < 37
    assert {row["failure"] for row in failed} == {code}
    assert message in done.stdout


def test_throttles_are_waited_out(root):
    with LocalBedrock() as server:
        add_fault(server.url, kind="throttle", model="*", rate=1, count=10)
        done = run(root, "eval", "--pairs", "echo", OMNI_BEDROCK_ENDPOINT=server.url)
    assert failures(result_of(done)["pairs"][0]["cases"]) == []


def test_a_killed_model_server_is_one_message_and_nothing_is_lost(root):
    shutil.copy(ROOT / "prompts" / "summarize" / "smollm2-short.prompty", root / "prompts" / "summarize")
    arguments = ("eval", "--pairs", "smollm2-short", "--cases", "6")
    process = start(root, *arguments)
    wait_for_cached(root, 1, process)
    (server,) = [
        pid for pid in _children(process.pid) if b"service.local.bedrock" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(server, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "error: The local model server died" in errors
    assert "run the same command again to go on" in errors
    again = run(root, *arguments)
    assert "resuming run" in again.stdout
    assert len(result_of(again)["pairs"][0]["cases"]) == 12  # primary and backup


def _children(pid):
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def _plant(root, path, old, new):
    target = root / path
    text = target.read_text(encoding="utf-8")
    assert old in text
    target.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        ("prompts/summarize/extractive.prompty", "{{history}}", "{{hisotry}}", "extractive.prompty:30: unknown variable 'hisotry'"),
        ("prompts/summarize/extractive.prompty", "local.extractive", "local.extractiv", "extractive.prompty:8: model 'local.extractiv-digest-"),
        ("datasets/summarize/gate.jsonl", '{"id"', '{"id', "gate.jsonl:1: not JSON"),
        ("datasets/summarize/gate.jsonl", '"contact_id"', '"contact"', "gate.jsonl:1: field 'inputs.contact"),
        ("prompts/models.yaml", "short_name: nova-lite", "shortname: nova-lite", "models.yaml: wrong field"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(root, path, old, new, message):
    _plant(root, path, old, new)
    done = run(root, "eval", "--pairs", "extractive")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_what_does_not_exist_is_named_with_what_does(root):
    for arguments, message in [
        (("promote", "extractive", "--why", "x"), "does not exist: run `omni eval` first"),
        (("eval", "--task", "sumarize"), "no task 'sumarize'; tasks: assistant, route, scorecard, summarize"),
        (("eval", "--pairs", "nope"), "pairs there: echo, extractive"),
        (("eval", "--pairs", "extractive", "--dataset", "gat"), "datasets there: gate"),
    ]:
        done = run(root, *arguments)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_a_locked_store_is_one_line_and_the_answers_are_kept(root):
    line = ("eval", "--pairs", "echo", "--cases", "8")
    with LocalBedrock() as server:
        free = run(root, *line, OMNI_BEDROCK_ENDPOINT=server.url)
        holder = sqlite3.connect(root / "mlflow.db", isolation_level=None)
        holder.execute("begin exclusive")
        try:
            done = run(root, *line, "--fresh", OMNI_BEDROCK_ENDPOINT=server.url)
        finally:
            holder.rollback()
            holder.close()
        assert done.returncode == 2
        assert "another process holds it" in done.stderr
        assert "Traceback" not in done.stderr
        again = run(root, *line, OMNI_BEDROCK_ENDPOINT=server.url)
    assert again.returncode == free.returncode == 1, again.stderr  # an echo is no summary
    assert "interrupted earlier: its answers are kept" in again.stdout


def test_a_taken_port_is_one_line():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = [sys.executable, "-m", "omni", "serve", "--port", str(port), "--without-bedrock"]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
