"""How many calls do two workers score, and what do a flood, a death, a throttled table and a model that is down do to them?

``python tests/load/calls.py [CALLS]`` starts the local AWS and two workers. One tenant uploads nine calls of ten at once, the
other its tenth evenly until the first has been served; every call is a transcript of twelve minutes. The model answers by rules
after 0.8 s. When 30% of the calls have ended, one worker is killed and started again; at 50% half of the table's writes are
throttled for 30 s, at 70% the model is down for 30 s. What is lost or double is counted in the stores.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from awsproxy import AwsProxy
from call_place import add_tenant, make_form
from conversations import free_port

from service.calls.worker.build import build_worker
from service.calls.worker.replay import count_calls
from service.calls.worker.turns import CallTurns
from service.kit.aws.clients import client
from service.kit.frame.errors import QuotaExceeded
from service.kit.settings import REPO_ROOT, Settings
from service.local import aws
from service.local.stores.deploy import deploy_stores
from service.warehouse.duck import DuckWarehouse

FLOOD, SMALL = "flood", "small"
MODEL_S, CALL_S, FAULT_S = 0.8, 720, 30
MARKS = {0.3: "kill", 0.5: "throttle", 0.7: "down"}


class ScriptedModel:
    """Answers by rules after a time, or not at all while a file exists."""

    def __init__(self, real, down):
        self._real, self._down = real, down

    async def complete(self, call):
        await asyncio.sleep(MODEL_S)
        if self._down.exists():
            raise QuotaExceeded("the model is down")
        return await self._real.complete(call)


def work(settings, down):
    worker = build_worker(settings, pair="keywords")
    scorer = replace(worker.scorer, gateway=ScriptedModel(worker.scorer.gateway, down))
    asyncio.run(CallTurns(worker=replace(worker, scorer=scorer)).follow(lambda tally: None, wait_s=1))


def transcripts():
    """Return turns of twelve minutes, made by joining dev cases, whose words the form's rules understand."""
    lines = (REPO_ROOT / "datasets" / "scorecard" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line)["inputs"]["turns"] for line in lines]
    made = []
    for first in range(len(cases)):
        turns, number = [], first
        while not turns or turns[-1]["start_s"] < CALL_S:
            begin = turns[-1]["start_s"] + 5 if turns else 0
            turns += [{**turn, "start_s": begin + turn["start_s"]} for turn in cases[number % len(cases)]]
            number += 1
        made.append([turn for turn in turns if turn["start_s"] <= CALL_S])
    return made


@dataclass
class Load:
    """One run: what was uploaded when, and the processes that work on it."""

    settings: Settings
    proxy: AwsProxy
    folder: Path
    count: int
    uploaded: dict = field(default_factory=dict)
    processes: list = field(default_factory=list)
    faults: list = field(default_factory=list)

    def start(self):
        config = {**os.environ, "OMNI_LOAD": json.dumps({"url": self.proxy.url, "folder": str(self.folder)})}
        line = [sys.executable, __file__, "worker"]
        self.processes.append(subprocess.Popen(line, env=config, stdout=self.log(), stderr=subprocess.STDOUT))

    def log(self):
        return (self.folder / f"worker-{len(self.processes)}.log").open("w")

    def put(self, s3, tenant, number, turns):
        body = json.dumps({"turns": turns, "agent_id": f"a-{number % 20}", "queue": str(number)}).encode()
        key = f"{tenant}/calls/{number}.json"
        self.uploaded[key] = time.time()
        s3.put_object(Bucket=self.settings.calls.bucket, Key=key, Body=body)

    def ended(self):
        """Return {object key: (tenant, state, when it ended)} of all calls, from the table."""
        found = {}
        pages = client("dynamodb", self.settings).get_paginator("scan").paginate(TableName=self.settings.calls.table)
        for page in pages:
            for item in page["Items"]:
                found[item["object_key"]["S"]] = (item["state"]["S"], item["updated_at"]["S"])
        return found

    def fault(self, kind):
        down = self.folder / "down"
        self.faults.append(f"{kind} at {time.strftime('%H:%M:%S')}")
        if kind == "kill":
            self.processes[0].send_signal(signal.SIGKILL)
            self.processes[0].wait()
            self.start()
        elif kind == "throttle":
            self.proxy.rules = {"writes": ("throttle", 0.5)}
            time.sleep(FAULT_S)
            self.proxy.rules = {}
        else:
            down.touch()
            time.sleep(FAULT_S)
            down.unlink()


async def prepare(settings):
    worker = build_worker(settings, pair="keywords")
    for tenant in (FLOOD, SMALL):
        await add_tenant(worker, tenant, make_form(tenant))


def drive(load):
    """Upload, break things, and return when every call has ended."""
    s3, made = client("s3", load.settings), transcripts()
    many, few = load.count - load.count // 10, load.count // 10
    for number in range(many):
        load.put(s3, FLOOD, number, made[number % len(made)])
    print(f"{many} calls of one tenant uploaded", flush=True)
    begun, marks, sent = time.time(), dict(MARKS), 0
    load.start()
    load.start()
    while True:
        done = sum(state in ("done", "needs_review", "failed") for state, _ in load.ended().values())
        share = done / load.count
        while sent < few and sent / few <= min(1.0, share * 1.1 + 0.01):
            load.put(s3, SMALL, sent, made[sent % len(made)])
            sent += 1
        print(
            f"{time.time() - begun:5.0f} s: {done} of {load.count} ended, {sent} of the small tenant sent", flush=True
        )
        for mark in [mark for mark in marks if share >= mark]:
            load.fault(marks.pop(mark))
        if done == load.count:
            return begun
        time.sleep(2)


def told(load, begun):
    """Print the figures, and return whether nothing was lost or double."""
    from datetime import datetime

    ended = {key: datetime.fromisoformat(at).timestamp() for key, (_, at) in load.ended().items()}
    states = Counter(state for state, _ in load.ended().values())
    took = max(ended.values()) - begun
    rate = load.count * 60 / took
    print(f"{load.count} calls of {CALL_S // 60} minutes in {took:.0f} s: {rate:.0f} a minute, {dict(states)}")
    for tenant in (FLOOD, SMALL):
        waits = sorted(ended[key] - at for key, at in load.uploaded.items() if key.startswith(f"{tenant}/"))
        half, p95, most = (waits[int(share * (len(waits) - 1))] for share in (0.5, 0.95, 1))
        print(f"{tenant}: n={len(waits)}, upload to result p50 {half:.1f} s, p95 {p95:.1f} s, most {most:.1f} s")
    worker = build_worker(load.settings, pair="keywords")
    balanced = [count_calls(worker, tenant) for tenant in (FLOOD, SMALL)]
    with closing(DuckWarehouse(load.settings.warehouse_file, wait_s=60)) as warehouse:
        rows = warehouse.query("SELECT count(*) AS n, count(DISTINCT call_id) AS calls FROM omni_calls").iloc[0]
        criteria = warehouse.query("SELECT count(*) AS n FROM omni_call_criteria").iloc[0]
    lost = load.count - len(ended) + load.count - int(rows["calls"])
    double = int(rows["n"]) - int(rows["calls"])
    print(f"lost {lost}, double {double}, rows of criteria {criteria['n']} (3 a call); {', '.join(load.faults)}")
    print("\n".join(line for one in balanced for line in one.lines()))
    return lost == 0 and double == 0 and int(criteria["n"]) == 3 * load.count and all(one.balanced for one in balanced)


def place(folder, endpoint=None, port=None):
    fields = {
        "state_dir": folder,
        "warehouse_path": folder / "w.duckdb",
        "store_timeout_s": 30.0,
        "redactor": "patterns",
    }
    settings = Settings(**fields, **({} if port is None else {"local_aws_port": port}))
    return settings.model_copy(update={"aws_endpoint": endpoint or aws.endpoint(settings)})


def main(count):
    folder = Path(tempfile.mkdtemp(prefix="omni-calls-"))
    settings = place(folder, port=free_port())
    aws.start(settings)
    try:
        deploy_stores(settings)
        asyncio.run(prepare(settings))
        with AwsProxy(settings.aws.endpoint) as proxy:
            load = Load(settings=settings, proxy=proxy, folder=folder, count=count)
            try:
                good = told(load, drive(load))
            finally:
                for process in load.processes:
                    process.kill()
                    process.wait()
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"CPU of the workers {(used.ru_utime + used.ru_stime) / count:.2f} s a call, their starts included")
        return 0 if good else 1
    finally:
        aws.ministack(settings).stop()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        given = json.loads(os.environ["OMNI_LOAD"])
        work(place(Path(given["folder"]), given["url"]), Path(given["folder"]) / "down")
    else:
        sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 10_000))
