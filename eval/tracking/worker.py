"""Runs the tracking store in a child process, so that mlflow is imported and migrated while the models are answering."""

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from eval.tracking.best_of_year import leads_of_year
from eval.tracking.store import Production, RunLog, Tracking
from figures.metric import Lead
from service.core.release.release import Release
from service.core.unit.pair import Pair
from service.core.unit.pair_file.artifacts import open_artifacts
from service.kit.frame.errors import RegistryError
from service.kit.frame.process.gc_pause import paused_gc

_UNUSED = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy", "sklearn")


class TrackingWorker:
    """A child that holds the store open. Its requests and answers are JSON lines over its standard input and output."""

    def __init__(
        self,
        uri: str,
        *,
        log: Path,
        trusted_keys: Path | None = None,
        artifacts: Path | None = None,
        prompts: Path,
    ) -> None:
        """Start the child; it begins to import mlflow at once.

        What mlflow prints goes to ``log``, what it keeps to ``artifacts``. ``prompts`` is the folder of the tasks' pairs.
        """
        self._prompts = prompts
        command = [sys.executable, "-m", "eval.tracking.worker", uri, str(artifacts or ""), str(trusted_keys or "")]
        # A session of its own: Ctrl-C in the terminal must not stop it between two writes.
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )

    def __enter__(self) -> "TrackingWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child; every request is answered, or the caller is leaving with an error."""
        assert self._child.stdin is not None
        # Kill it: mlflow's own shutdown takes half a second, and nothing is left to write.
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def production(self, task: str, now: datetime | None = None) -> Production | None:
        """See ``Tracking.production``; the pair's artifacts are verified, so that it answers as it was released.

        With ``now`` the year's leads over it are there, too (``leads_of_year``).

        Raises:
            PairError: one is not here.
        """
        found = self._ask("production", {"task": task})
        if found is None:
            return None
        pair = open_artifacts(Pair.from_content(found["pair"]), self._prompts / task)
        leads = {} if now is None else self._ask("leads", {"task": task, "now": now.isoformat()})
        return Production(
            pair=pair,
            release=Release(**found["release"]),
            leads={name: Lead(**lead) for name, lead in leads.items()},
        )

    def log_run(self, task: str, log: RunLog) -> str:
        """See ``Tracking.log_run``."""
        return str(self._ask("log_run", {"task": task, "log": asdict(log)}))

    def _ask(self, method: str, arguments: dict[str, Any]) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RegistryError(
                f"the tracking process ended (exit code {self._child.poll()}) before it could {method}; see {self._log}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise RegistryError(answer["error"])
        return answer["result"]


def _serve(uri: str, artifacts: str, trusted_keys: str) -> None:
    # mlflow works without these, as its small edition mlflow-skinny does, and imports in half the time.
    # None is how Python marks a module that may not be imported.
    sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]  # typeshed knows modules only
    _skip_gateway()
    os.nice(5)  # the calls' own process comes first: its delays would be counted as the model's
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever mlflow prints must not get between our lines
    tracking: Tracking | None = None
    failure = ""
    try:
        with paused_gc():
            tracking = Tracking(
                uri,
                artifacts=Path(artifacts) if artifacts else None,
                trusted_keys=Path(trusted_keys) if trusted_keys else None,
            )
    except RegistryError as err:
        failure = str(err)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            if tracking is None:
                raise RegistryError(failure)
            answer = {"result": _dispatch(tracking, request["method"], request["arguments"])}
        except RegistryError as err:
            answer = {"error": str(err)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _skip_gateway() -> None:
    """Let mlflow find the modules of its gateway without running the package, which imports FastAPI (0.25 s of CPU)."""
    mlflow = importlib.util.find_spec("mlflow")
    if mlflow is not None and mlflow.submodule_search_locations:
        package = ModuleType("mlflow.gateway")
        package.__path__ = [str(Path(mlflow.submodule_search_locations[0]) / "gateway")]
        sys.modules["mlflow.gateway"] = package


def _dispatch(tracking: Tracking, method: str, arguments: dict[str, Any]) -> Any:
    if method == "production":
        found = tracking.production(arguments["task"])
        return None if found is None else {"pair": found.pair.content(), "release": asdict(found.release)}
    if method == "leads":
        now = datetime.fromisoformat(arguments["now"])
        leads = leads_of_year(arguments["task"], tracking, tracking.keys, now)
        return {name: asdict(lead) for name, lead in leads.items()}
    if method == "log_run":
        return tracking.log_run(arguments["task"], RunLog(**arguments["log"]))
    raise RegistryError(f"the tracking process knows no method {method!r}")


if __name__ == "__main__":
    _serve(*sys.argv[1:4])
