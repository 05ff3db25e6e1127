"""``omni optimize`` over OpenAI's wire: known landscapes, kills, budgets, planted orders, and the way to a release."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
import yaml

from eval.evaluation.evaluate import DEFAULT_CONCURRENCY
from eval.instruments.optimize.halves import load_halves
from eval.suites import load_suite
from service.core.run.task import load_task
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
ASKED, WORDS = "openai/gpt-4.1-mini", "openai/gpt-4o-mini"
HELPFUL = ("Tell the open items too.", "Tell every promise with its date.", "Tell who acts next.")
IDLE = ("Be polite.", "Write for a busy reader.")
RULES = HELPFUL + IDLE
NOTHING = "none"
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]

Share = Callable[[str, dict], float]  # of a case's good answer that is given, from the instructions


def true_gain(told: str, case: dict) -> float:
    return 0.25 + 0.25 * sum(rule in told for rule in HELPFUL)


def no_gain(told: str, case: dict) -> float:
    return 0.5


def overfits_to(own: set[str]) -> Share:
    def share(told: str, case: dict) -> float:
        rules = sum(rule in told for rule in RULES)
        return 0.5 + (0.25 * rules if case["id"] in own else -0.12 * rules)

    return share


def told_in(prompt: str) -> str:
    """Return the instructions that a model is asked to reword."""
    return re.search(r"```\n(.*?)\n```", prompt, re.DOTALL)[1]


def with_next_rule(prompt: str) -> str:
    """Word new instructions: one more rule, the one that the prompt's own length draws."""
    told = told_in(prompt)
    left = [rule for rule in RULES if rule not in told]
    return told if not left else f"{told}\n{left[len(prompt) % len(left)]}"


class Model:
    """The books of a server of OpenAI's wire with two models: one that answers cases and one that words instructions."""

    def __init__(self, share: Share, words: Callable[[str], str], takes_s: float, digest: bool) -> None:
        self.share, self.words, self.takes_s, self.digest = share, words, takes_s, digest
        self.lock = threading.Lock()
        self.answered = self.worded = 0
        self.prompts: list[str] = []
        self.cases = [
            json.loads(line)
            for name in ("dev", "gate")
            for line in (ROOT / "datasets" / "summarize" / f"{name}.jsonl").read_text().splitlines()
        ]

    def reply(self, body: dict) -> str:
        told, said = body["messages"][0]["content"], body["messages"][-1]["content"]
        time.sleep(self.takes_s)
        if body["model"] == WORDS.partition("/")[2]:
            with self.lock:
                self.worded += 1
                self.prompts.append(f"{told}\n{said}")
            return f"Here they are:\n```\n{self.words(said)}\n```"
        with self.lock:
            self.answered += 1
        case = max(self.cases, key=lambda case: sum(len(text) for text in _texts(case) if text[:60] in said))
        good = case["expectations"]["references"][0] if not self.digest else _digest(case)
        sentences = re.split(r"(?<=[.!?]) ", good)
        share = min(max(self.share(told, case), 0.0), 1.0)
        return " ".join(sentences[: max(round(share * len(sentences)), 1)])


def _texts(case: dict) -> list[str]:
    return [item["text"] for item in case["inputs"]["interactions"]]


def _digest(case: dict) -> str:
    """Return the answer of the task's own code, which passes the gate."""
    return extractive_digest(SummarizeInputs.model_validate(case["inputs"]).visible())


@contextmanager
def served(
    share: Share, words: Callable[[str], str] = with_next_rule, takes_s: float = 0.0, digest: bool = False
) -> Iterator[tuple[str, Model]]:
    model = Model(share, words, takes_s, digest)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = model.reply(body)
            read = sum(len(message["content"]) for message in body["messages"]) // 4
            answer = {
                "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": read, "completion_tokens": len(text) // 4, "total_tokens": read + len(text) // 4},
            }  # fmt: skip
            payload = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A killed caller resets its connection."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Place:
    """A folder with a pair of OpenAI's wire, the cases for tuning, and a part of the gate's."""

    def __init__(self, folder: Path, gate_cases: int = 24) -> None:
        self.root = folder / "root"
        self.state = folder / "state"
        pairs, cases = self.root / "prompts" / "summarize", self.root / "datasets" / "summarize"
        for made in (pairs, cases):
            made.mkdir(parents=True)
        for name in ("models.yaml", "judges"):
            (self.root / "prompts" / name).symlink_to(ROOT / "prompts" / name)
        text = (ROOT / "prompts" / "summarize" / "smollm2-short.prompty").read_text()
        text = text.replace("name: smollm2-short", "name: short").replace("role: demo\n", "")
        text = text.replace("local.smollm2-135m-instruct-q4", ASKED).replace("temperature: 0.4", "temperature: 0")
        text = re.sub(r"backup:\n  id: .*\n", "", text).replace('    stopSequences: ["\\n\\n", "<"]\n', "")
        (pairs / "short.prompty").write_text(text)
        (pairs / "digest_weights.json").symlink_to(
            ROOT / "service" / "core" / "tasks" / "summarize" / "digest_weights.json"
        )
        source = ROOT / "datasets" / "summarize"
        (cases / "dev.jsonl").write_text((source / "dev.jsonl").read_text())
        gate = (source / "gate.jsonl").read_text().splitlines(keepends=True)
        (cases / "gate.jsonl").write_text("".join(gate[:gate_cases]))

    def own(self, seed: int) -> set[str]:
        settings = Settings(root=self.root)
        halves = load_halves(load_suite("summarize"), load_task("summarize"), settings, seed=seed)
        return {case.id for case in halves.own}

    def start(self, url: str, *words: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "OPENAI_"))}
        own = {
            "OMNI_STATE_DIR": str(self.state),
            "OMNI_REGISTRY_URI": f"sqlite:///{self.state.parent / 'mlflow.db'}",
            "OMNI_ROOT": str(self.root),
            "OMNI_MODEL_ENDPOINTS": json.dumps({ASKED: url, WORDS: url}),
            "OPENAI_API_KEY": NOTHING,  # litellm asks for one; the server reads none
        }
        return subprocess.Popen(
            [sys.executable, "-m", "omni", *words],
            cwd=self.root,
            env=kept | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def omni(self, url: str, *words: str) -> tuple[int, str, str]:
        process = self.start(url, *words)
        out, err = process.communicate(timeout=1_500)
        return process.returncode, out, err

    def optimize(self, url: str, *words: str) -> tuple[int, str, str]:
        return self.omni(url, "optimize", "--pair", "short", "--model", WORDS, *words)

    @property
    def folder(self) -> Path:
        (found,) = (self.root / "reports" / "out" / "optimize").glob("*")
        return found

    def report(self) -> dict:
        return json.loads((self.folder / "optimize.json").read_text())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def one_rule(told: str, case: dict) -> float:
    return 1.0 if HELPFUL[0] in told else 0.4


def statements(place: Place) -> dict[str, dict]:
    """Return what was signed about each pair, by name."""
    found = {}
    for path in (place.root / "reports" / "out" / "eval").glob("*/*.attestation.json"):
        payload = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
        found[path.name.removesuffix(".attestation.json")] = payload["predicate"]
    return found


@pytest.mark.acceptance("optimize-01", "optimize-02")
def test_a_true_gain_shows_on_both_halves_and_at_the_gate_and_is_offered_as_a_pair_file(place: Place) -> None:
    with served(true_gain) as (url, model):
        code, out, err = place.optimize(url, "--budget", "5", "--rounds", "12")
    assert code == 0, err
    report = place.report()
    best = report["finalists"][0]
    assert report["offered"] == best["name"]
    for name in ("own", "other", "gate"):
        assert best["gain"][name]["low"] > 0, name
    assert best["overfit"]["low"] < 0 < best["overfit"]["high"]
    path = place.root / "prompts" / "summarize" / f"{best['name']}.prompty"
    assert path.read_text() == (place.folder / f"{best['name']}.prompty").read_text()
    cards = ModelCards.load(place.root / "prompts" / "models.yaml")
    pair = load_pair(path, cards=cards, task_variables=load_task("summarize").variables)
    assert pair.lineage is not None
    assert (pair.lineage.tried, pair.lineage.looks, pair.lineage.writers) == (report["tried"], 1, (WORDS,))
    signed = statements(place)
    assert (signed[best["name"]]["candidates_tried"], signed[best["name"]]["search_looks"]) == (report["tried"], 1)
    for row in report["finalists"][1:]:
        assert signed[row["name"]]["search_looks"] == report["tried"]
    assert "candidates_tried" not in signed["short"]
    assert "In the search code alone scored, and no judge" in out
    # The books: what the run counted is what the server was asked.
    assert report["cost"]["calls"] <= model.answered + model.worded
    assert 0 < float(report["cost"]["spent_usd"]) < 5


@pytest.mark.acceptance("optimize-02")
def test_a_gain_that_overfits_is_named_and_nothing_is_offered(place: Place) -> None:
    with served(overfits_to(place.own(seed=0))) as (url, _):
        code, out, err = place.optimize(url, "--budget", "5", "--rounds", "8")
    assert code == 1, err
    assert "No gain is shown on cases that the search never saw: keep short" in out
    report = place.report()
    assert report["offered"] is None
    best = report["finalists"][0]
    assert best["gain"]["own"]["low"] > 0
    assert best["gain"]["other"]["value"] < 0
    assert best["overfit"]["low"] > 0
    assert best["gain"]["gate"]["value"] < 0
    assert [path.stem for path in (place.root / "prompts" / "summarize").glob("*.prompty")] == ["short"]


@pytest.mark.acceptance("optimize-02")
def test_without_a_gain_there_is_nothing_to_measure(place: Place) -> None:
    with served(no_gain) as (url, _):
        code, out, _ = place.optimize(url, "--budget", "5", "--rounds", "12")
    assert code == 1
    report = place.report()
    assert report["finalists"] == []
    assert report["tried"] == len(report["candidates"]) - 1 > 1
    assert f"None of {report['tried']} candidates was better than short" in out


@pytest.mark.acceptance("optimize-03")
def test_a_search_killed_in_the_middle_goes_on_to_an_equal_result(place: Place, tmp_path: Path) -> None:
    words = ("optimize", "--pair", "short", "--model", WORDS, "--budget", "5", "--rounds", "6", "--no-gate")
    whole = Place(tmp_path / "whole")
    with served(true_gain) as (url, model):
        assert whole.omni(url, *words)[0] == 0
        asked = model.answered
    with served(true_gain, takes_s=0.05) as (url, model):
        process = place.start(url, *words)
        while model.answered < asked // 2:
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        before = model.answered
        code, _, err = place.omni(url, *words)
        assert (code, "resuming search" in err) == (0, True), err
        # Those in flight when it was killed are asked again, and no others.
        assert model.answered <= asked + DEFAULT_CONCURRENCY["aws"], (before, model.answered)
    one, other = whole.report(), place.report()
    for report in (one, other):
        for row in report["finalists"]:
            row["figures"].pop("ms")  # a time is no result
            row["name"] = ""
        report["run"] = report["offered"] = ""
        report["cost"].pop("lost_calls")
    assert one == other


@pytest.mark.acceptance("optimize-04")
def test_no_order_of_a_customer_enters_a_prompt(place: Place) -> None:
    attacks = [row["text"] for row in yaml.safe_load((ROOT / "datasets" / "summarize" / "attacks.yaml").read_text())]
    dev = place.root / "datasets" / "summarize" / "dev.jsonl"
    plant = load_suite("summarize").behaviour.plant
    cases = [json.loads(line) for line in dev.read_text().splitlines()]
    for number, case in enumerate(cases):
        if SummarizeInputs.model_validate(case["inputs"]).visible():
            case["inputs"] = plant(case["inputs"], attacks[number % len(attacks)].replace("{word}", f"zorblax{number}"))
    dev.write_text("".join(json.dumps(case) + "\n" for case in cases))

    def obeys(prompt: str) -> str:
        """Put all that the report says into the instructions, as a model that obeys whatever it reads would."""
        told = told_in(prompt)
        return f"{told}\n{prompt.partition('<report>')[2].partition('</report>')[0]}"

    with served(true_gain, words=obeys) as (url, model):
        code, _, err = place.optimize(url, "--budget", "5", "--rounds", "4", "--no-gate")
    assert code == 1, err
    assert model.worded >= 4
    assert not [prompt for prompt in model.prompts if "zorblax" in prompt or attacks[0][:40] in prompt]
    report = place.report()
    refused = [one for one in report["candidates"] if one["status"] == "refused"]
    assert len(refused) == model.worded
    assert all(one["why"] for one in refused)


@pytest.mark.acceptance("optimize-03")
def test_the_cost_stays_within_the_budget_and_wrong_words_end_before_a_call(place: Place) -> None:
    numbers = count(1)

    def more(prompt: str) -> str:
        """Never run out of words that change nothing."""
        return f"{told_in(prompt)} Rule {next(numbers)}."

    with served(no_gain, words=more) as (url, model):
        code, _, err = place.optimize(url, "--budget", "0.04", "--rounds", "200", "--no-gate")
        assert code == 1, err
        report = place.report()
        assert report["ended"].endswith(" of $0.02")  # half of the budget is the search's
        assert 0.015 < float(report["cost"]["spent_usd"]) <= 0.02
        answered = model.answered
        for words, said in (
            (("--budget", "5", "--quality", "latency_p50"), "use one of: rouge_l, grounded"),
            (("--budget", "5", "--calls", "50"), "--calls 50 is too few"),
            (("--budget", "5", "--temperatures", "warm"), "is no temperature"),
            (("--budget", "5", "--models", "gpt"), "litellm does not know it"),
            (("--budget", "5", "--task", "assistant"), "no pair 'short'|are conversations"),
        ):
            code, _, err = place.optimize(url, *words)
            assert code == 2, (words, err)
            assert re.search(said, err), (words, err)
        assert model.answered == answered


@pytest.mark.acceptance("optimize-05")
def test_an_offered_candidate_goes_through_pull_request_gate_rollout_and_release(tmp_path: Path) -> None:
    place = Place(tmp_path, gate_cases=200)
    pairs = place.root / "prompts" / "summarize"
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", pairs)
    git = partial(subprocess.run, cwd=place.root, check=True)
    with served(one_rule, takes_s=0.5, digest=True) as (url, _):

        def omni(*words: str) -> str:
            code, out, err = place.omni(url, *words)
            assert code == 0, (words, out[-3_000:], err[-3_000:])
            return out

        omni("eval", "--pairs", "extractive")
        omni("promote", "extractive", "--why", "the floor")
        (place.root / ".gitignore").write_text("reports/\n")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one"), ("checkout", "-qb", "b")):
            git([*GIT, *words])
        omni(
            "optimize", "--pair", "short", "--model", WORDS, "--budget", "5", "--rounds", "8", "--concurrency", "8"
        )  # fmt: skip
        name = place.report()["offered"]
        for words in (("add", "-A"), ("commit", "-qm", "A better prompt")):
            git([*GIT, *words])
        omni("pr-gate", "--base", "main", "--comment", str(tmp_path / "comment.md"))
        assert f"{name} passes the gate" in (tmp_path / "comment.md").read_text()
        assert "answers 10% of the customers" in omni("rollout", name, "--why", "searched", "--steps", "10,100")
        assert f"serves {name}" in omni("promote", name, "--why", "searched")
        assert "0 broken" in omni("verify")
