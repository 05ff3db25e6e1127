"""``omni optimize`` over OpenAI's wire: landscapes whose optimum is known, kills, budgets, planted orders, and the way to a release."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eval.instruments.optimize.halves import load_halves
from eval.suites import load_suite
from service.core.run.task import load_task
from service.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
ASKED, WORDS = "openai/gpt-4.1-mini", "openai/gpt-4o-mini"
HELPFUL = ("Tell the open items too.", "Tell every promise with its date.", "Tell who acts next.")
IDLE = ("Be polite.", "Write for a busy reader.")
RULES = HELPFUL + IDLE
GATE_CASES = 48

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


def with_next_rule(prompt: str) -> str:
    """Word new instructions: one more rule, the one that the prompt's own length draws."""
    told = re.search(r"```\n(.*?)\n```", prompt, re.DOTALL)[1]
    left = [rule for rule in RULES if rule not in told]
    return told if not left else f"{told}\n{left[len(prompt) % len(left)]}"


class Model:
    """The books of a server of OpenAI's wire with two models: one that answers cases and one that words instructions."""

    def __init__(self, share: Share, words: Callable[[str], str], takes_s: float) -> None:
        self.share, self.words, self.takes_s = share, words, takes_s
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
        sentences = re.split(r"(?<=[.!?]) ", case["expectations"]["references"][0])
        share = min(max(self.share(told, case), 0.0), 1.0)
        return " ".join(sentences[: max(round(share * len(sentences)), 1)])


def _texts(case: dict) -> list[str]:
    return [item["text"] for item in case["inputs"]["interactions"]]


@contextmanager
def served(
    share: Share, words: Callable[[str], str] = with_next_rule, takes_s: float = 0.0
) -> Iterator[tuple[str, Model]]:
    model = Model(share, words, takes_s)

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

    def __init__(self, folder: Path) -> None:
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
        (cases / "gate.jsonl").write_text("".join(gate[:GATE_CASES]))

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
            "OPENAI_API_KEY": "sk-none",
        }
        asked = ("optimize", "--pair", "short", "--model", WORDS, *words)
        return subprocess.Popen(
            [sys.executable, "-m", "omni", *asked],
            cwd=self.root,
            env=kept | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, url: str, *words: str) -> tuple[int, str, str]:
        process = self.start(url, *words)
        out, err = process.communicate(timeout=500)
        return process.returncode, out, err

    def report(self) -> dict:
        (path,) = (self.root / "reports" / "out" / "optimize").glob("*/optimize.json")
        return json.loads(path.read_text())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
