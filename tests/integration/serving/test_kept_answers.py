"""Real services under load on one local AWS: what an answer's ``kept`` promises, when a task and its disk or a store is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from load.awsproxy import AwsProxy
from load.rig import Rig, Service

from service.answers_kept.store import build_table_and_archive
from service.answers_kept.writer import open_outbox
from service.kit.aws.clients import client
from service.kit.settings import REPO_ROOT
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ALWAYS = ("2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z")
PATIENT = {"OMNI_KEEP_WAIT_MS": "4000"}  # a busy machine is slow, and that is not the test's subject


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with Rig(tmp_path_factory.mktemp("rig"), latency="0") as made:
        yield made


class Task:
    """One task of the service: a process with a disk of its own."""

    def __init__(self, rig, folder, endpoint=None, python=sys.executable, **environment):
        self.rig, self.disk, self.log = rig, folder / "disk", folder / "service.log"
        folder.mkdir()
        trusted = {"OMNI_STATE_DIR": str(self.disk), "OMNI_TRUSTED_KEYS": str(rig.settings.trusted_keys_file)}
        if endpoint is not None:
            trusted["OMNI_AWS_ENDPOINT"] = endpoint
        self.service = Service(rig, self.log, python=python, **trusted, **PATIENT, **environment)
        self.headers = {"content-type": "application/json", **rig.headers()}

    def ask(self):
        body = {"account_number": str(9_000_000_000 + uuid.uuid4().int % 300), "contact_id": uuid.uuid4().hex}
        url = f"{self.service.url}/omni-channel-insights"
        request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=self.headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def load(self, answers, count, at_once=6):
        """Ask ``count`` times, ``at_once`` at the same time; append each answer as it comes. A request without one is dropped."""

        def one(_):
            try:
                answers.append(self.ask())
            except OSError:
                return

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, range(count)))

    def children(self):
        lists = Path(f"/proc/{self.service.process.pid}/task").glob("*/children")
        return [int(child) for each in lists for child in each.read_text().split()]

    def events(self, name):
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [entry for entry in map(json.loads, lines) if entry.get("event") == name]

    def lose(self, writers):
        """Lose the machine: its processes at once, then its disk."""
        self.service.kill()
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.disk)


class Stores:
    """What both stores and the outbox hold of the given answers."""

    def __init__(self, rig, answers):
        settings = rig.settings.model_copy(update={"aws_endpoint": rig.aws_endpoint})
        self.dynamodb, self.s3 = client("dynamodb", settings), client("s3", settings)
        self.table, self.archive = build_table_and_archive(settings, dynamodb=self.dynamodb, s3=self.s3)
        self.outbox = open_outbox(settings, self.dynamodb)
        self.wanted = sorted(answer["request_id"] for answer in answers)

    def in_table(self):
        return sorted(set(self.wanted) & set(self.table.request_ids(*ALWAYS)))

    def in_outbox(self):
        return sorted(set(self.wanted) & self.outbox.ids()[0])

    def in_archive(self):
        hour = 3600
        now = time.time()
        since, until = (time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now + add)) for add in (-2 * hour, hour))
        found = self.archive.request_ids(since, until)
        assert len(found) == len(set(found))
        return sorted(set(self.wanted) & set(found))

    def arrive(self):
        until(lambda: self.in_table() == self.in_archive() == self.wanted and self.in_outbox() == [])


def until(condition, within_s=120.0):
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "did not happen"
        time.sleep(0.2)


@contextmanager
def serving(*tasks):
    try:
        for task in tasks:
            task.service.start()
            until(lambda task=task: task.children() != [])
        yield
    finally:
        for task in tasks:
            task.service.stop()


def test_a_lost_machine_loses_no_answer_that_was_kept(rig, tmp_path):
    one, other = Task(rig, tmp_path / "one"), Task(rig, tmp_path / "other")
    answers = []
    with serving(one, other):
        one.load([], 4)
        writers = one.children()
        for pid in writers:  # nothing reaches the two stores any more: what is lost would be lost for good
            os.kill(pid, signal.SIGSTOP)
        loading = threading.Thread(target=one.load, args=(answers, 400))
        loading.start()
        until(lambda: len(answers) >= 100)
        one.lose(writers)
        loading.join()
        kept = [answer for answer in answers if answer["kept"]]
        assert len(kept) >= 100
        stores = Stores(rig, kept)
        assert stores.in_archive() == []
        assert stores.in_outbox() == stores.wanted
        stores.arrive()  # by the other task
        assert {entry["request_id"] for entry in other.events("SUMMARY_REPLAYED")} >= set(stores.wanted)
    warehouse = tmp_path / "omni.duckdb"
    subprocess.run(
        [sys.executable, "-m", "service", "load-events"],
        env=rig.environment(OMNI_STATE_DIR=str(other.disk), OMNI_WAREHOUSE_PATH=str(warehouse)),
        cwd=REPO_ROOT,
        check=True,
        capture_output=True,
    )
    loaded = DuckWarehouse(warehouse, wait_s=10).query("SELECT request_id FROM omni_summaries")["request_id"].tolist()
    assert len(loaded) == len(set(loaded))
    assert set(stores.wanted) <= set(loaded)


def test_while_dynamodb_takes_no_writes_answers_go_out_unkept_and_are_written_later(rig, tmp_path):
    with AwsProxy(rig.aws_endpoint) as proxy:
        task = Task(rig, tmp_path / "one", endpoint=proxy.url)
        before, during, after = [], [], []
        with serving(task):
            task.load(before, 10)
            proxy.rules = {"writes": ("down", 1.0)}
            task.load(during, 60)
            proxy.rules = {}
            until(lambda: task.ask()["kept"])  # the waiting begins again by itself
            task.load(after, 10)
            assert {answer["kept"] for answer in before + after} == {True}
            assert ({answer["kept"] for answer in during}, len(during)) == ({False}, 60)
            said = {entry["request_id"] for entry in task.events("SUMMARY_UNKEPT")}
            assert said >= {answer["request_id"] for answer in during}
            request = urllib.request.Request(f"{task.service.url}/metrics", headers=task.headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                counted = next(
                    line for line in answer.read().decode().splitlines() if line.startswith("omni_unkept_total")
                )
            assert float(counted.split()[1]) == len(task.events("SUMMARY_UNKEPT"))
            Stores(rig, before + during + after).arrive()


def on_a_full_disk(folder):
    """Return a command that runs Python with a spool on a full disk of its own, and that spool; or one that takes no file."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=16k,mode=0700 tmpfs {folder} && head -c 64k /dev/zero > {folder}/full 2>/dev/null"
    small = f'{mount}; exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs tmpfs {folder}"], capture_output=True, check=False
    )
    if done.returncode:
        return sys.executable, "/dev/full/spool"
    return ("unshare", "-rm", "sh", "-c", small, sys.executable), str(folder)


def test_with_a_full_disk_and_no_store_answers_still_go_out_and_the_log_says_so(rig, tmp_path):
    python, spool = on_a_full_disk(tmp_path / "spool")
    with AwsProxy(rig.aws_endpoint) as proxy:
        task = Task(rig, tmp_path / "one", endpoint=proxy.url, python=python, OMNI_SPOOL_DIR=spool)
        answers = []
        with serving(task):
            task.load([], 4)
            proxy.rules = {"writes": ("down", 1.0), "s3": ("down", 1.0)}
            task.load(answers, 30)
            proxy.rules = {}
            assert ({answer["kept"] for answer in answers}, len(answers)) == ({False}, 30)
            ids = {answer["request_id"] for answer in answers}
            for event in ("SUMMARY_UNKEPT", "SUMMARY_SPOOL_FAILURE"):
                until(lambda event=event: ids <= {entry.get("request_id") for entry in task.events(event)}, within_s=20)
            Stores(rig, answers).arrive()  # out of memory, which was all that held them
        assert task.events("SUMMARY_LOST") == []
