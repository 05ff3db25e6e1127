"""The system under load: the real service as a process, the model's stand-in, a local AWS, a registry with a signed release."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.kit.aws.endpoint import with_endpoint
from service.kit.settings import REPO_ROOT, Settings
from service.local import aws
from service.local.process import LocalBedrock
from service.local.samples import sample_histories

PRIMARY = "amazon.nova-lite-v1:0"
# What R-MODELS expects of the primary: half of the answers within 1.2 s, 95% within 2.6 s.
LATENCY = "lognormal:p50=1200,p95=2600"
ACCOUNTS = 300
_READY_S, _STOP_S = 120.0, 15.0  # a busy machine starts slowly


def cpu_s(pid):
    """Seconds of CPU of a process so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def on_processors_s(pid):
    """Seconds that a process's threads have run, and that they have waited for a processor; 0 where the kernel does not say."""
    try:
        turns = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return 0.0, 0.0
    return sum(int(turn[0]) for turn in turns) / 1e9, sum(int(turn[1]) for turn in turns) / 1e9


def share_served(before, after):
    """Return the share of the time with work to do in which there was a processor for it; 1 where nobody can tell."""
    ran, waited = (max(now - then, 0.0) for then, now in zip(before, after, strict=True))
    return ran / (ran + waited) if ran + waited else 1.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Rig:
    """What all scenarios of one run share; each of them starts its own service with ``service``."""

    def __init__(self, folder, latency=LATENCY, stores="ministack"):
        """Take the model's latency, and ``stores``: ``ministack`` or ``memory`` (tests/load/memstore.py)."""
        self.folder, self.latency, self.stores = folder, latency, stores
        self.settings = Settings(
            state_dir=folder / "state",
            registry_uri=f"sqlite:///{folder}/mlflow.db",
            local_aws_port=free_port(),
            local_bedrock_port=free_port(),
        )
        self._stack = ExitStack()
        self._memory = None

    def __enter__(self):
        both = ",".join(the_pair(self.settings).models)  # a backup that the stand-in does not know rescues nobody
        if self.stores == "ministack":
            self._stack.callback(aws.ministack(self.settings).stop)
        self.bedrock = self._stack.enter_context(
            LocalBedrock(
                ("--models", both, "--echo-models", both, "--echo-latency", self.latency, "--echo-words", "60"),
                log=self.folder / "bedrock.log",
            )
        )
        if self.stores == "ministack":
            aws.start(self.settings)
        else:
            self._start_memory()
        self.aws_endpoint = aws.endpoint(self.settings)
        self._load_customers()
        self.releases = Releases(self.settings)
        self.releases.publish(the_pair(self.settings))
        return self

    def __exit__(self, *raised):
        return self._stack.__exit__(*(raised or (None, None, None)))

    def fault(self, **rule):
        _post(f"{self.bedrock.url}/_local/faults", rule)

    def no_faults(self):
        request = urllib.request.Request(f"{self.bedrock.url}/_local/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()

    def cpu_s(self):
        """Seconds of CPU so far of what stands in for the model and for AWS, ministack's left out: it has workers."""
        return cpu_s(self.bedrock.pid) + (cpu_s(self._memory.pid) if self._memory else 0.0)

    def on_processors_s(self):
        """Seconds that the stand-ins of model and stores have run, and have waited for a processor; ministack's left out."""
        pids = [self.bedrock.pid, *([self._memory.pid] if self._memory else [])]
        return tuple(map(sum, zip(*map(on_processors_s, pids), strict=True)))

    def headers(self):
        """What a client sends along: a token of the local client, once this build asks for tokens."""
        if importlib.util.find_spec("service.access") is None:
            return {}
        from service.access.control import local_token

        return {"Authorization": f"Bearer {local_token(with_endpoint(self.settings)).text}"}

    def environment(self, **changes):
        given = {
            "OMNI_STATE_DIR": str(self.settings.state_dir),
            "OMNI_REGISTRY_URI": self.settings.registry.uri,
            "OMNI_BEDROCK_ENDPOINT": self.bedrock.url,
            "OMNI_BEDROCK_STAND_IN": "echo",
            "OMNI_AWS_ENDPOINT": self.aws_endpoint,
            "PYTHONPATH": str(REPO_ROOT),
        }
        return os.environ | given | changes

    def _start_memory(self):
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("memstore.py")), "--port", str(self.settings.local.aws_port)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPO_ROOT)},
        )
        self._memory = child
        self._stack.push(self._end_memory)
        if child.stdout.readline().strip() != b"ready":
            raise SystemExit("error: the stores in memory did not start")

    def _end_memory(self, kind, *_):
        self._memory.terminate()
        self._memory.stdout.close()
        if self._memory.wait() and kind is None:
            raise SystemExit("error: the stores in memory met a fault of their own; what was measured does not count")

    def stores_client(self, name):
        """A boto3 client of the stand-in's store."""
        from service.kit.aws.clients import client

        return client(name, self.settings.model_copy(update={"aws_endpoint": self.aws_endpoint}))

    def _load_customers(self):
        from service.interactions.table import InteractionTable
        from service.kit.aws.clients import client

        settings = self.settings.model_copy(update={"aws_endpoint": self.aws_endpoint})
        dynamodb = client("dynamodb", settings)
        store = InteractionTable(dynamodb, settings.stores.interactions_table)
        # Back from yesterday, so that a clock that is an hour wrong still sees them all.
        histories = [rows for rows in sample_histories((datetime.now(UTC) - timedelta(days=1)).date()).values() if rows]
        for number in range(ACCOUNTS):
            # Every customer's words are his own: what the service keeps of texts that it has read must not flatter the figures.
            rows = [
                row.model_copy(update={"text": f"{row.text} Desk {number}."})
                for row in histories[number % len(histories)]
            ]
            store.put_many(f"{9_000_000_000 + number}", rows)
        dynamodb.close()


class Service:
    """One service process. ``log`` holds its JSON lines; a restart appends to it. ``python`` may be a command around it."""

    def __init__(self, rig, log, module=("service", "serve"), python=sys.executable, **environment):
        command = (python,) if isinstance(python, str) else tuple(python)
        self._rig, self._log, self._module, self._environment = rig, log, (*command, "-m", *module), environment
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.process = None
        self.ready_s = None

    def start(self):
        """Start and wait until ready; ``ready_s`` is how long that took from the process's start."""
        with self._log.open("ab") as out:
            started = time.perf_counter()
            self.process = subprocess.Popen(
                [*self._module, "--port", str(self._port)],
                stdout=out,
                stderr=out,
                cwd=REPO_ROOT,
                env=self._rig.environment(**self._environment),
            )
        while time.perf_counter() - started < _READY_S:
            if self.process.poll() is not None:
                break
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()
                self.ready_s = time.perf_counter() - started
                return self
            time.sleep(0.02)
        self.stop()
        raise SystemExit(f"error: the service did not become ready; see {self._log}")

    def ask(self):
        """Send one request and wait for its answer, whatever it is."""
        # A contact that nobody asked about yet: a stored summary would be answered without a model.
        body = json.dumps({"account_number": "9000000000", "contact_id": uuid.uuid4().hex}).encode()
        headers = {"content-type": "application/json", **self._rig.headers()}
        request = urllib.request.Request(f"{self.url}/omni-channel-insights", data=body, headers=headers)
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30).close()

    def readiness(self):
        """What it serves, by its own word."""
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
            return json.load(answer)["tasks"]["summarize"]

    def kill(self):
        """End it as a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # as Ctrl-C does; a profiler writes its file then
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def rss_mb(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def cpu_s(self):
        """Seconds of CPU so far, without its children's."""
        return cpu_s(self.process.pid)

    def children_cpu_s(self):
        """Seconds of CPU of the processes that it started and that still run: what writes its answers."""
        lists = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sum(cpu_s(child) for each in lists for child in each.read_text().split())

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class BareGateway:
    """A process of ``bare_gateway.py`` in front of the same stand-in, to compare the service with.

    It forwards a prompt of the size that the service sends: the stand-in has the same work with both.
    """

    def __init__(self, rig, log):
        self._log, port = log, free_port()
        script = str(Path(__file__).with_name("bare_gateway.py"))
        self._command = (sys.executable, script, rig.bedrock.url, PRIMARY, str(port))
        self._prompt = a_prompt(rig.settings)
        self.url = f"http://127.0.0.1:{port}"
        self._process = None

    def __enter__(self):
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=out, stderr=out, text=True)
        with self._process.stdin as pipe:
            pipe.write(self._prompt)
        started = time.perf_counter()
        while time.perf_counter() - started < _READY_S and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()
                return self
            time.sleep(0.02)
        self.__exit__()
        raise SystemExit(f"error: the bare gateway did not become ready; see {self._log}")

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(_STOP_S)


class Releases:
    """Moves production by real signed releases of a throw-away key: load is measured here, not quality."""

    def __init__(self, settings):
        from eval.release.ledger import Ledger
        from eval.release.signing import open_signer
        from eval.tracking.store import Tracking
        from service.core.release.statements import load_trusted_keys

        self._signer = open_signer(settings)
        self._tracking = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file)
        self._ledger = Ledger("summarize", self._tracking, settings, load_trusted_keys(settings.trusted_keys_file))

    def publish(self, pair, kind="promote"):
        """Release ``pair`` and return its registry version."""
        from eval.release.signing import sign_statement
        from service.core.release.attestation import GateAttestation

        releases = self._ledger.releases()
        before = releases[0].pair_digest if releases else None
        version = self._tracking.register(pair)
        now = datetime.now(UTC)
        attestation = GateAttestation(
            pair_name=pair.name,
            pair_digest=pair.digest,
            task=pair.task,
            scope="gate",
            dataset_name="none: load test",
            dataset_digest="0" * 64,
            case_count=0,
            suite_digest="0" * 64,
            judges=(),
            code_version="load",
            environment="local",
            answered_by=("echo",),
            baseline_digest=before,
            evaluation_id="load",
            verdict="pass",
            checks={"pass": 0, "fail": 0, "inconclusive": 0},
            figures_digest="0" * 64,
            cases_digest="0" * 64,
            issued_at=now,
            expires_at=now + timedelta(days=1),
        )
        self._ledger.publish(
            pair,
            version,
            kind=kind,
            gate_run_id="load",
            attestation=sign_statement(self._signer, attestation.statement()),
            why="load test",
            from_digest=before,
            after=releases[0].sequence if releases else 0,
            signer=self._signer,
        )
        return version

    def version_of(self, pair):
        """The registry version that holds ``pair``."""
        return next(
            release.registry_version for release in self._ledger.releases() if release.pair_digest == pair.digest
        )


def the_pair(settings, name="nova-lite"):
    """The pair as its file has it."""
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair_file import load_pair

    task = load_task("summarize")
    return load_pair(
        settings.prompts_dir / task.name / f"{name}.prompty",
        cards=ModelCards.load(settings.prompts_dir / "models.yaml"),
        task_variables=task.variables,
    )


def a_prompt(settings):
    """The text of one call of the pair's: its instructions and a sample customer's history of median length."""
    from service.core.run.task import load_task
    from service.core.tasks.summarize import SummarizeInputs

    now, pair = datetime.now(UTC), the_pair(settings)
    prompts = []
    for rows in sample_histories(now.date()).values():
        inputs = SummarizeInputs(as_of=now, account_number="9000000000", contact_id="bare", interactions=tuple(rows))
        messages = pair.render(load_task("summarize").values_for(inputs, pair))
        prompts.append("\n".join(message.content for message in messages))
    return sorted(prompts, key=len)[len(prompts) // 2]


def _post(url, body):
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()
