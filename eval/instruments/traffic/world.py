"""The processes of a traffic simulation: local AWS, the model's stand-in and the service, all using the clock in a file."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from eval.instruments.traffic.plan import CLIENTS
from eval.instruments.traffic.releases import FIRST, TASK, stand_in_arguments, write_root
from eval.spine.errors import TrafficError
from service.access.control import open_changes
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.aws.endpoint import with_endpoint
from service.kit.frame.clock import set_clock
from service.kit.settings import REPO_ROOT, Settings
from service.local import aws
from service.local.loopback import HOST, get_json
from service.local.process import LocalBedrock

_READY_S = 60.0
_STOP_S = 15.0


class World:
    """The running processes; ``secrets`` holds the secret of each client."""

    def __init__(self, settings: Settings, folder: Path, stack: ExitStack) -> None:
        self.settings, self.folder = settings, folder
        self._stack = stack
        self._clock_file = folder / "clock"
        write_root(folder / "root", settings)
        cards = ModelCards.load(settings.prompts_dir / "models.yaml")
        self.model = load_pair(
            folder / "root" / "prompts" / TASK / f"{FIRST}.prompty",
            cards=cards,
            task_variables=load_task(TASK).variables,
        ).model
        self.bedrock = stack.enter_context(LocalBedrock(stand_in_arguments(self.model), log=folder / "bedrock.log"))
        aws.start(settings)
        changes = open_changes(with_endpoint(settings))
        self.secrets = {name: changes.add_client(name, ["summaries", "feedback"]) for name in CLIENTS}
        self.url = ""

    def set_clock(self, moment: datetime) -> None:
        """Set the simulated time of all processes to ``moment``."""
        set_clock(self._clock_file, moment)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of a child process that takes part in the simulation."""
        return {
            "OMNI_ROOT": str(self.folder / "root"),
            "OMNI_STATE_DIR": str(self.settings.state_dir),
            "OMNI_REGISTRY_URI": self.settings.registry.uri,
            "OMNI_AWS_ENDPOINT": aws.endpoint(self.settings),
            "OMNI_BEDROCK_ENDPOINT": self.bedrock.url,
            "OMNI_BEDROCK_STAND_IN": "digest",
            "OMNI_CLOCK_FILE": str(self._clock_file),
            "OMNI_REGISTRY_REFRESH_S": "0.5",
            # The local DynamoDB expires rows by the real clock, so the simulated weeks' rows need a longer life.
            "OMNI_SUMMARY_DAYS": "400",
            "OMNI_LOG_LEVEL": "WARNING",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(REPO_ROOT), os.environ.get("PYTHONPATH")])),
        }

    def serve(self) -> None:
        """Start the service and wait until it is ready.

        Raises:
            TrafficError: the service does not become ready; the log says why.
        """
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        log = self.folder / "service.log"
        with log.open("ab") as out:
            service = subprocess.Popen(
                [sys.executable, "-m", "omni", "serve", "--port", str(port)],
                env={**os.environ, **self.environment},
                cwd=REPO_ROOT,
                stdout=out,
                stderr=out,
            )
        self._stack.callback(_stop, service)
        self.url = f"http://{HOST}:{port}"
        self.wait_for(None)

    def wait_for(self, pair: str | None) -> None:
        """Wait until the service serves ``pair``, or any if None.

        Raises:
            TrafficError: the service does not serve it in time.
        """
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            ready = get_json(f"{self.url}/readyz")
            if ready and ready["ready"] and pair in (None, ready["tasks"][TASK]["pair"]):
                return
            time.sleep(0.1)
        raise TrafficError(f"the service does not serve {pair or 'anything'}; see the end of {self.folder}/service.log")


@contextmanager
def open_world(settings: Settings, folder: Path) -> Iterator[World]:
    """Start the processes other than the service. The local AWS keeps running afterwards, because the loader reads from it.

    Raises:
        TrafficError, ServiceError: a process does not start; the message says which and what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield World(settings, folder, stack)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
