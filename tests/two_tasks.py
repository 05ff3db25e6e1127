"""A deployment for tests: `omni serve` as often as wanted, each with its own disk, on one local AWS and one MLflow store."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notary import Notary

from eval.release.ledger import Ledger
from eval.release.rollout import copy_steps
from eval.release.services import tell_services
from eval.tracking.store import Tracking
from service.access.control import local_token
from service.core.release.release import attestation_tag
from service.core.release.release_copies import release_partition
from service.core.release.rollout import CANDIDATE_ALIAS, Rollout
from service.core.release.statements import envelope_digest
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.interactions.table import InteractionTable
from service.kit.aws.clients import client
from service.kit.settings import REPO_ROOT
from service.local.samples import sample_histories
from service.rollouts.step_state import rollout_partition

TASK = "summarize"
LONG_S = 120.0  # far longer than anything here takes
ACCOUNTS = [f"77{number:08d}" for number in range(200)]


def eventually(seen, what):
    """Return what ``seen`` returns once it is true, and the seconds that this took."""
    started = time.monotonic()
    while time.monotonic() - started < LONG_S:
        if found := seen():
            return found, time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"not within {LONG_S:.0f} s: {what}")


class Watched:
    """Notes when each task's ``seen`` became true, in the background, while a test goes on."""

    def __init__(self, tasks, seen):
        self._tasks, self._seen = tasks, seen
        self.moments = [None] * len(tasks)
        self._threads = [threading.Thread(target=self._watch, args=(number,)) for number in range(len(tasks))]

    def _watch(self, number):
        with suppress(AssertionError):
            eventually(lambda: self._seen(self._tasks[number]), "nothing seen")
            self.moments[number] = time.monotonic()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        for thread in self._threads:
            thread.join()


class ServingTask:
    """One `omni serve`; ``disk`` is its state folder."""

    def __init__(self, deployment, disk):
        self.disk, self._deployment = disk, deployment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        disk.mkdir(exist_ok=True)
        self._log = (disk / f"serve-{self.port}.log").open("w")
        self._settings = deployment.settings.model_copy(update={"state_dir": disk})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "omni", "serve", "--port", str(self.port), "--without-bedrock"],
            cwd=REPO_ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("OMNI_")},
                **deployment.variables(),
                "OMNI_STATE_DIR": str(disk),
                "PYTHONPATH": str(REPO_ROOT),
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._token = None

    @property
    def pid(self):
        return self._process.pid

    def ready(self):
        """Wait until it serves a pair."""
        eventually(self._is_ready, f"{self.disk.name} is not ready: {self.disk}/serve-{self.port}.log")
        self._token = local_token(self._settings).text
        return self

    def _is_ready(self):
        assert self._process.poll() is None, (self.disk / f"serve-{self.port}.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return json.load(answer)["ready"]
        except (OSError, urllib.error.HTTPError):
            return False

    def pair(self):
        """What it says of the task: the pair in production, and the rollout."""
        (found,) = (pair for pair in self.call("/v1/pairs")["pairs"] if pair["task"] == self._deployment.task)
        return found

    def ask(self, account):
        """Return the answer to a request about a customer."""
        return self.call("/omni-channel-insights", {"account_number": account, "contact_id": "c"})

    def ask_all(self, accounts):
        """Return the answers to requests about many customers, eight at a time."""
        return self.at_once(self.ask, accounts)

    def at_once(self, ask, subjects):
        """Return what ``ask`` returns of each of ``subjects``, eight at a time."""
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(ask, subjects))

    def call(self, path, body=None):
        """Return the JSON answer of an operation; ``body`` None is a GET."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self._token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=LONG_S) as answer:
            return json.load(answer)

    def end(self):
        """Kill it, as a machine dies."""
        self._process.kill()
        self._process.wait()
        self._log.close()


class Deployment:
    """The stores, and what a release engineer does to them. The first release is made at once.

    ``pairs`` are those of ``task`` in ``root``: the one in production, and a candidate.
    """

    def __init__(self, settings, folder, *, task=TASK, pairs=("extractive", "nova-lite"), root=REPO_ROOT):
        self.notary, self.folder, self.task = Notary(), folder, task
        (folder / "trusted.pem").write_text(self.notary.public_pem(), encoding="utf-8")
        self.settings = settings.model_copy(
            update={
                "registry_uri": f"sqlite:///{folder}/mlflow.db",
                "trusted_keys": folder / "trusted.pem",
                "bedrock_endpoint": "http://127.0.0.1:1",  # every model call fails: a pair with a model only gives digests
                "root": root,
            }
        )
        cards, loaded = ModelCards.load(root / "prompts" / "models.yaml"), load_task(task)
        self._old, self._new = (
            load_pair(
                root / "prompts" / task / f"{name}.prompty",
                cards=cards,
                task_variables=loaded.variables,
                part_variables=loaded.part_variables,
            )
            for name in pairs
        )
        self._tracking = Tracking(self.settings.registry.uri, trusted_keys=folder / "trusted.pem")
        self._production, self._sequence, self._step = None, 0, 0
        history = InteractionTable(client("dynamodb", settings), settings.stores.interactions_table)
        sample = next(iter(sample_histories(datetime.now(UTC).date()).values()))
        for account in ACCOUNTS:
            history.put_many(account, sample)
        self.release()

    def variables(self):
        """The environment of a service."""
        return {
            "OMNI_REGISTRY_URI": self.settings.registry.uri,
            "OMNI_TRUSTED_KEYS": str(self.settings.trusted_keys_file),
            "OMNI_AWS_ENDPOINT": self.settings.aws.endpoint,
            "OMNI_BEDROCK_ENDPOINT": self.settings.bedrock.endpoint,
            "OMNI_ROOT": str(self.settings.root),
            "OMNI_REQUIRED_TASKS": json.dumps([self.task]),
            "OMNI_REUSE_WINDOW_S": "0",
            "OMNI_STORE_TIMEOUT_S": "10",
            "OMNI_CROWDED_FROM_S": "0",
        }

    def release(self):
        """Release the pair of production as a new version, and return the release."""
        pair = replace(self._old, version=f"1.0.{self._sequence}")
        ledger = Ledger(self.task, self._tracking, self.settings, self.notary.keys)
        made = ledger.publish(
            pair,
            self._tracking.register(pair),
            kind="promote",
            gate_run_id="0" * 32,
            attestation=self._evidence(pair),
            why="w",
            from_digest=None if self._production is None else self._production.digest,
            after=self._sequence,
            signer=self.notary.signer,
        )
        self._production, self._sequence = pair, made.sequence
        tell_services(release_partition(self.task), self.settings)
        return made

    def roll_out(self, percent=50, steps=None):
        """Show the candidate to a share of the customers, and return the number of the step."""
        pair, now, self._step = self._new, datetime.now(UTC), self._step + 1
        evidence = self._evidence(pair)
        step = Rollout(
            task=self.task,
            sequence=self._step,
            registry_version=self._tracking.register(pair),
            pair_name=pair.name,
            pair_digest=pair.digest,
            production_digest=self._production.digest,
            percent=percent,
            shadow_percent=0,
            steps=steps or (percent,),
            gate_run_id="0" * 32,
            attestation=envelope_digest(evidence, "it"),
            who="me",
            why="w",
            at=now.isoformat(timespec="seconds"),
            environment="local",
        )
        tags = {attestation_tag(step.attestation): evidence, step.tag: self.notary.sign(step)}
        self._tracking.place(self.task, step.registry_version, tags, alias=CANDIDATE_ALIAS)
        copy_steps(self.task, self._tracking, self.notary.keys, self.settings)
        tell_services(rollout_partition(self.task), self.settings)
        return self._step

    def _evidence(self, pair):
        now = datetime.now(UTC)
        return self.notary.sign(
            self.notary.attestation(
                pair,
                baseline_digest=None if self._production is None else self._production.digest,
                issued_at=now - timedelta(seconds=5),
                expires_at=now + timedelta(days=1),
            )
        )

    def hide_registry(self):
        """Take the registry away, as if it were down."""
        (self.folder / "mlflow.db").rename(self.folder / "mlflow.db.away")

    def bring_registry_back(self):
        """Undo ``hide_registry``."""
        (self.folder / "mlflow.db.away").rename(self.folder / "mlflow.db")
