"""``make load`` and ``make chaos``: runs every scenario against the real service, one table and one picture at the end.

Exit code 0 when every promise held, 1 when one was broken, 2 when it could not run, or the machine was too busy to judge it. The
logs are kept then, and with ``--keep``.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from attack import attack, attack_names
from awsproxy import AwsProxy
from meter import Meter
from mixture import mixtures, second_pair, stored_records
from picture import draw
from rig import ACCOUNTS, Rig, Service, free_port, share_served, the_pair
from scenarios import CHAOS, LOAD, judged, missing
from tally import Row, markdown, read_lines, tally

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "reports" / "out" / "load"
OUTAGE_S = 11.0  # longer than a request waits for its history
HEADINGS = {
    "load": "Load: {}, model p50 1.2 s and p95 2.6 s",
    "chaos": "Faults: {}, 20 agents, model p50 1.2 s and p95 2.6 s",
}


def main():
    parser = argparse.ArgumentParser(prog="tests/load/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("load", "chaos"))
    parser.add_argument("--only", default="", help="part of a scenario's name")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of table and picture")
    parser.add_argument(
        "--stores", choices=("memory", "ministack"), help="stands in for AWS: load memory, chaos ministack"
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="services side by side, as tasks behind a load balancer (load alone)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs and name their folder")
    options = parser.parse_args()
    if options.processes < 1 or (options.what == "chaos" and options.processes != 1):
        print("error: --processes is a number from 1 on, and 1 for chaos", file=sys.stderr)
        return 2
    every = LOAD if options.what == "load" else CHAOS
    chosen = [scenario for scenario in every if options.only in scenario.name]
    attacked = options.what == "chaos" and any(options.only in name for name in attack_names())
    if not chosen and not attacked:
        print(f"error: no scenario {options.only!r}; there are: {'; '.join(s.name for s in every)}", file=sys.stderr)
        return 2
    stores = options.stores or {"load": "memory", "chaos": "ministack"}[options.what]
    rows, attacks, whole = [], [], False
    folder = Path(tempfile.mkdtemp(prefix="omni-load-"))
    try:
        with Rig(folder, stores=stores) as rig, AwsProxy(rig.aws_endpoint) as proxy:
            for number, scenario in enumerate(chosen):
                lacking = missing(scenario)
                if lacking:
                    row = Row(name=scenario.name, note=f"not there yet ({lacking})")
                else:
                    row = run(scenario, rig, proxy, folder / f"{number:02d}", options.processes)
                    row = judged(scenario, row)
                rows.append(row)
                print(_line(row), flush=True)
            if attacked:
                attacks = attack(rig, folder / "attack", options.only)
        whole = not attacks and not any(row.broken or row.open for row in rows)
    finally:
        if options.keep or not whole:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if not rows:
        return 1 if attacks else 0
    options.out.mkdir(parents=True, exist_ok=True)
    serving = "one service process" if options.processes == 1 else f"{options.processes} service processes"
    heading = f"{HEADINGS[options.what].format(serving)}; stores: {stores}"
    text = markdown(rows, heading)
    _replace(options.out / f"{options.what}.md", text)
    if any(row.sent for row in rows):
        draw(rows, options.out / f"{options.what}.svg", heading)
    print(f"\n{text}\nTable and picture: {options.out / options.what}.md, .svg")
    if attacks or any(row.broken for row in rows):
        return 1
    return 2 if any(row.open for row in rows) else 0


def run(scenario, rig, proxy, folder, processes=1):
    """Run one scenario and return its row."""
    folder.mkdir()
    records, log = folder / "records.jsonl", folder / "service.log"
    environment = dict(scenario.environment)
    module, note, server = ("service", "serve"), "", None
    with ExitStack() as stack:
        if scenario.store_faults:
            environment["OMNI_AWS_ENDPOINT"] = proxy.url
        if scenario.event == "registry_hangs":
            environment["OMNI_REGISTRY_URI"] = stack.enter_context(silent_server())
        python, notes = sys.executable, []
        if scenario.event == "disk_full":
            python = _on_a_small_disk(folder / "spool", environment, notes)
        if scenario.event == "mlflow_killed":
            server = stack.enter_context(MlflowServer(rig.settings.registry.uri, folder / "mlflow.log"))
            environment["OMNI_REGISTRY_URI"] = server.url
        if scenario.serving:
            pair = the_pair(rig.settings)
            rig.releases.publish(replace(pair, version="9.0.0", serving=replace(pair.serving, **scenario.serving)))
            stack.callback(rig.releases.publish, pair, "rollback")
        if scenario.event == "clock":
            module = ("skewed",)
            environment["PYTHONPATH"] = f"{HERE}{os.pathsep}{HERE.parents[1]}"
        service = stack.enter_context(Service(rig, log, module, python, **environment))
        others = [
            stack.enter_context(Service(rig, folder / f"service{number}.log", module, python, **environment))
            for number in range(1, processes)
        ]
        every = [service, *others]
        if not scenario.cold:
            for each in every * 2:  # the first model call may have to wait for litellm's import
                each.ask()
        for rule in scenario.model_faults:
            rig.fault(**rule)
        stack.callback(rig.no_faults)
        proxy.rules, proxy.quiet_since = dict(scenario.store_faults), None
        stack.callback(lambda: setattr(proxy, "rules", {}))
        meter, started, before = Meter(rig, every), time.perf_counter(), rig.on_processors_s()
        locust = _locust(scenario, rig, [each.url for each in every], records, folder / "locust.log")
        happening = _EVENTS.get(scenario.event)
        if happening:
            thread = threading.Thread(target=happening, args=(scenario, rig, service, notes, stack, server, proxy))
            thread.start()
            thread.join()
        try:
            locust.wait(scenario.seconds + sum(seconds for _, seconds in scenario.steps) + 60)
        except subprocess.TimeoutExpired:
            locust.kill()
            raise SystemExit(f"error: locust did not end; see {folder}") from None
        served = share_served(before, rig.on_processors_s())
        if service.process.poll() is None and scenario.event != "kill":
            notes.append(meter.read(time.perf_counter() - started, records))
        if scenario.store_faults and not proxy.hits:
            notes.append("the fault was never met")
        proxy.hits = 0
        mixed = _kept_and_whole(scenario, rig, service, proxy, records, log, notes)
        note = "; ".join(notes)
        said = [line for each in sorted(folder.glob("service*.log")) for line in read_lines(each)]
    if not records.exists():
        raise SystemExit(f"error: locust sent nothing:\n{(folder / 'locust.log').read_text()[-2000:]}")
    row = tally(scenario.name, read_lines(records), said, note, fault_until=proxy.quiet_since)
    return replace(row, mixed=mixed, served=served)


def _locust(scenario, rig, urls, records, log):
    seconds = sum(seconds for _, seconds in scenario.steps) or scenario.seconds
    variables = {
        "LOAD_ACCOUNTS": str(ACCOUNTS),
        "LOAD_PACING_S": str(scenario.pacing_s),
        "LOAD_RECORDS": str(records),
        "LOAD_TRANSFER": "1" if scenario.transfer else "0",
        "LOAD_SPREAD": "1" if scenario.spread else "0",
        "LOAD_SECONDS": str(seconds),
        "LOAD_STEPS": json.dumps(scenario.steps),
        "LOAD_URLS": json.dumps(urls),
        "LOAD_HEADERS": json.dumps(rig.headers()),
    }
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), "--headless", "--host", urls[0]]
    command += ["--stop-timeout", "20", "--only-summary", "--exit-code-on-error", "0"]
    if not scenario.steps:
        # Agents fall silent after `seconds`; locust's own timer was seen to end 10% early, and cuts off who is speaking.
        lasts = f"{scenario.seconds * 1.15 + 3:.0f}s"
        command += ["--users", str(scenario.users), "--spawn-rate", "500", "--run-time", lasts]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | variables, cwd=HERE)


def _kept_and_whole(scenario, rig, service, proxy, records, log, notes):
    """Say what became of the records; return how many answers are a mixture of two releases."""
    if scenario.event not in ("alias_moved", "disk_full"):
        return 0
    proxy.rules = {}
    lines = read_lines(records)
    answered = {row["request_id"] for row in lines if row.get("status") == 200}
    until = time.monotonic() + 60
    stored = stored_records(rig)
    while time.monotonic() < until and answered - stored.keys():
        time.sleep(1)
        stored = stored_records(rig)
    if scenario.event == "disk_full":
        s3 = rig.stores_client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=rig.settings.stores.archive_bucket)
        while time.monotonic() < until:
            keys = [item["Key"].rpartition("/")[2].removesuffix(".json") for page in pages for item in page["Contents"]]
            if answered <= set(keys):
                break
            time.sleep(1)
        said = {row["request_id"] for row in read_lines(log) if row.get("event") == "SUMMARY_LOST"}
        full = sum(row.get("event") == "SUMMARY_SPOOL_FAILURE" for row in read_lines(log))
        notes.append(
            f"no room on the disk for {full} answers; with S3 back {len(answered & set(keys) & stored.keys())} of "
            f"{len(answered)} are in both stores, {len(answered - set(keys) - said)} missing, {len(said)} said to be lost, "
            f"{len(keys) - len(set(keys))} double"
        )
        return 0
    pair = the_pair(rig.settings)
    versions = {found.digest: rig.releases.version_of(found) for found in (pair, second_pair(pair))}
    known = {
        (f"v{found.version}", found.digest, versions[found.digest]): found.version == "2.0.0"
        for found in (pair, second_pair(pair))
    }
    by_version, wrong = mixtures(lines, read_lines(log), stored, known)
    notes.append(", ".join(f"{count} answers by {version}" for version, count in sorted(by_version.items())))
    notes.extend(wrong[:3])
    if len(by_version) < 2:
        notes.append("the alias never moved for a request")
        return max(len(wrong), 1)
    return len(wrong)


def _on_a_small_disk(spool, environment, notes):
    """Return the command that runs the service with a spool of 64 KB, a file system of its own that goes with the process."""
    spool.mkdir()
    mount = f"mount -t tmpfs -o size=64k,mode=0700 tmpfs {spool}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        environment["OMNI_SPOOL_DIR"] = "/dev/full/spool"
        notes.append("no small disk can be mounted here: the spool's path cannot be written instead")
        return sys.executable
    environment["OMNI_SPOOL_DIR"] = str(spool)
    return ("unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" "$@"', sys.executable)


class MlflowServer:
    """A real MLflow server over the rig's store, to be killed."""

    def __init__(self, store, log):
        self.url = f"http://127.0.0.1:{free_port()}"
        self._store, self._log, self.process = store, log, None

    def __enter__(self):
        port = self.url.rpartition(":")[2]
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--backend-store-uri", self._store]
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "--workers", "1", "--host", "127.0.0.1", "--port", port],
                stdout=out,
                stderr=out,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
                start_new_session=True,
            )
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return self
            time.sleep(0.2)
        self.kill()
        raise SystemExit(f"error: mlflow did not start:\n{self._log.read_text()[-2000:]}")

    def kill(self):
        """Kill the server and its workers, as the out-of-memory killer does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *_):
        self.kill()


def _mlflow_killed(scenario, rig, service, notes, stack, server, proxy):
    time.sleep(scenario.seconds / 3)
    before = service.readiness()
    server.kill()
    time.sleep(scenario.seconds / 3)
    after = service.readiness()
    notes.append(
        f"refreshed from the server {before['age_s']:.1f} s before the kill (source {before['source']}); "
        f"{scenario.seconds / 3:.0f} s after it: ready, {after['pair']} served, last error: "
        + ("none" if after["last_error"] is None else "the registry does not answer")
    )


def _alias_moved(scenario, rig, service, notes, stack, server, proxy):
    pair = the_pair(rig.settings)
    until, moves = time.monotonic() + scenario.seconds - 4, 0
    time.sleep(1)
    while time.monotonic() < until:
        moved = (second_pair(pair), "promote") if moves % 2 == 0 else (pair, "rollback")
        rig.releases.publish(*moved)
        moves += 1
        time.sleep(1)
    notes.append(f"{moves} signed releases, promote and rollback in turn")
    if moves % 2:
        stack.callback(rig.releases.publish, pair, "rollback")


def _registry_down(scenario, rig, service, notes, stack, server, proxy):
    time.sleep(scenario.seconds / 3)
    path = Path(rig.settings.registry.uri.removeprefix("sqlite:///"))
    gone = path.with_suffix(".gone")
    path.rename(gone)
    stack.callback(gone.rename, path)


def _store_back(scenario, rig, service, notes, stack, server, proxy):
    while not proxy.hits:  # locust takes seconds to start; the outage begins with its first request
        time.sleep(0.1)
    time.sleep(OUTAGE_S)
    proxy.rules, proxy.quiet_since = {}, time.time()
    notes.append(f"the outage lasted {OUTAGE_S:.0f} s")


def _kill(scenario, rig, service, notes, stack, server, proxy):
    time.sleep(scenario.seconds / 2)
    service.kill()
    service.start()
    notes.append(f"ready again {service.ready_s:.1f} s after the kill")


def _registry_hangs(scenario, rig, service, notes, stack, server, proxy):
    notes.append(f"ready in {service.ready_s:.1f} s from the last known good pair")


_EVENTS = {
    "registry_down": _registry_down,
    "kill": _kill,
    "store_back": _store_back,
    "registry_hangs": _registry_hangs,
    "mlflow_killed": _mlflow_killed,
    "alias_moved": _alias_moved,
}


class silent_server:  # noqa: N801 - used as a function
    """Takes connections and never says a word."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_):
        self._listener.close()


def _line(row):
    if not row.sent:
        return f"{row.name}: {row.note}"
    counts = ", ".join(f"{getattr(row, kind)} {kind}" for kind in ("in_time", "late", "degraded", "failed", "lost"))
    return (
        f"{row.name}: {row.sent} sent, {counts}; p95 {row.p95:.0f} ms"
        + "".join(f"; BROKEN: {b}" for b in row.broken)
        + "".join(f"; cannot judge: {o}" for o in row.open)
    )


def _replace(path, text):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    # An end by SIGTERM stops the children too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except SystemExit as ended:
        if not isinstance(ended.code, str):
            raise
        print(ended.code, file=sys.stderr)  # it could not run; exit code 1 would look like a broken promise
        sys.exit(2)
