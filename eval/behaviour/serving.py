"""The two servers for promptfoo: the real service with one pair from its file, and the endpoint that scores answers."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict

from eval.behaviour.marks import BehaviourCase, grade
from eval.run.progress import count_lines
from eval.spine.errors import HarnessError
from service.answers_kept.store import Summaries
from service.app import create_app
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.settings import Settings
from service.local.process import LocalBedrock
from service.runtime import Runtime, Shared, build_runtime

_START_S = 30.0


@dataclass(frozen=True, slots=True)
class FilePairSource:
    """Serves one pair from its file, released or not. Only the harness can build one, not the service itself."""

    pair: Pair

    def current(self) -> ServedPair:
        """See ``PairSource.current``."""
        return ServedPair(
            pair=self.pair, registry_version=0, sequence=0, released_at="", released_by="harness", source="file"
        )

    def status(self) -> PairSourceStatus:
        """See ``PairSource.status``."""
        return PairSourceStatus(served=self.current(), last_refresh_at=None, last_error=None, age_s=None)

    def start(self) -> None:
        """Do nothing: a file needs no refresh."""

    def stop(self) -> None:
        """Do nothing: no refresh is running."""


@contextmanager
def serve_pair(pair: Pair, settings: Settings, *, change: Callable[[Runtime], Runtime] | None = None) -> Iterator[str]:
    """Serve ``pair`` by the whole service on a free port of this machine; yield the address.

    Its log goes to ``.omni/logs/behaviour-service.log``. Starts the bundled model if the pair needs it and no endpoint
    is set. Tests replace the gateway with ``change``.
    """
    log = settings.state_dir / "logs" / "behaviour-service.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cards = ModelCards.load(settings.prompts_dir / "models.yaml")
        if (
            settings.environment == "local"
            and settings.bedrock.endpoint is None
            and any(cards.get(model).wire == "bedrock" for model in pair.models)
        ):
            bedrock = stack.enter_context(LocalBedrock(("--preload",), log=log.with_name("bedrock.log")))
            settings = settings.model_copy(update={"bedrock_endpoint": bedrock.url})
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(stack.enter_context(log.open("a"))))
        stack.callback(structlog.reset_defaults)
        runtime = build_runtime(settings, guarded=False)
        answering = replace(
            runtime.answering,
            # Other tasks' sources would query the registry for pairs that this run does not need.
            tasks={pair.task: runtime.answering.tasks[pair.task]},
            pair_sources={pair.task: FilePairSource(pair)},
            # Only this pair answers, and its answers are not stored for customers.
            rollouts={},
            shadow=None,
        )
        # An answer to a test case is not a customer's summary: do not store it, and do not reuse it for another case.
        runtime = replace(runtime, answering=answering, shared=Shared(), summaries=Summaries())
        yield stack.enter_context(running(create_app(settings, change(runtime) if change else runtime)))


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Run an ASGI application in a thread on a free port of this machine; yield its address, stop it at the end."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, name="behaviour-server", daemon=True)
    thread.start()
    until = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise HarnessError("the service did not start; see .omni/logs/behaviour-service.log")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


class _Vars(BaseModel):
    case_id: str


class _Context(BaseModel):
    model_config = ConfigDict(extra="ignore")
    vars: _Vars


class _ServedAnswer(BaseModel):
    """The request body of promptfoo's assertion type ``webhook``."""

    model_config = ConfigDict(extra="ignore")
    output: str
    context: _Context


@dataclass(slots=True)
class WebhookScorer:
    """Scores answers for promptfoo's ``webhook`` assertions, by the same code as the rest of the harness."""

    cases: Mapping[str, BehaviourCase]
    progress: Callable[[int], None]
    findings: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def app(self) -> FastAPI:
        """Return the application with its one endpoint, ``POST /<mark>``."""
        app = FastAPI(openapi_url=None)
        app.add_api_route("/{mark}", self._score, methods=["POST"])
        return app

    async def _score(self, mark: str, answer: _ServedAnswer) -> dict[str, object]:
        case = self.cases.get(answer.context.vars.case_id)
        if case is None or mark not in case.marks:
            raise HTTPException(status_code=404, detail=f"no case {answer.context.vars.case_id!r} held to {mark!r}")
        score = grade(case, mark, answer.output)
        self.findings[case.id, mark] = score.findings
        if case.id not in self._seen:
            self._seen.add(case.id)
            self.progress(len(self._seen))
        return {"pass": score.value == 1.0, "score": score.value, "reason": "; ".join(score.findings) or "kept"}


def print_progress(total: int, label: str) -> Callable[[int], None]:
    """Return a callback that prints now and then how many of ``total`` answers are scored, on standard error."""
    line = count_lines(f"{label}, answers scored", total)

    def show(done: int) -> None:
        line("")

    return show


def log_tail(path: Path, lines: int = 5) -> str:
    """Return the last lines of a log, for an error message."""
    try:
        return " | ".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
