"""``make load`` and ``make chaos``: runs every scenario against the real service, one table and one picture at the end.

Exit code 0 when every promise held, 1 when one was broken, 2 when it could not run.
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
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from awsproxy import AwsProxy
from picture import draw
from rig import ACCOUNTS, Rig, Service
from scenarios import CHAOS, LOAD, broken, missing
from tally import Row, markdown, read_lines, tally

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "reports" / "out" / "load"
HEADINGS = {
    "load": "Load: one service process, model p50 1.2 s and p95 2.6 s",
    "chaos": "Faults: one service process, 20 agents, model p50 1.2 s and p95 2.6 s",
}


def main():
    parser = argparse.ArgumentParser(prog="tests/load/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("load", "chaos"))
    parser.add_argument("--only", default="", help="part of a scenario's name")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of table and picture")
    parser.add_argument("--keep", action="store_true", help="keep the logs and name their folder")
    options = parser.parse_args()
    every = LOAD if options.what == "load" else CHAOS
    chosen = [scenario for scenario in every if options.only in scenario.name]
    if not chosen:
        print(f"error: no scenario {options.only!r}; there are: {'; '.join(s.name for s in every)}", file=sys.stderr)
        return 2
    rows = []
    folder = Path(tempfile.mkdtemp(prefix="omni-load-"))
    try:
        with Rig(folder) as rig, AwsProxy(rig.aws_endpoint) as proxy:
            for number, scenario in enumerate(chosen):
                lacking = missing(scenario)
                if lacking:
                    row = Row(name=scenario.name, note=f"not there yet ({lacking})")
                else:
                    row = run(scenario, rig, proxy, folder / f"{number:02d}")
                    row = replace(row, broken=broken(scenario, row))
                rows.append(row)
                print(_line(row), flush=True)
    finally:
        if options.keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    options.out.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, HEADINGS[options.what])
    _replace(options.out / f"{options.what}.md", text)
    if any(row.sent for row in rows):
        draw(rows, options.out / f"{options.what}.svg", HEADINGS[options.what])
    print(f"\n{text}\nTable and picture: {options.out / options.what}.md, .svg")
    return 1 if any(row.broken for row in rows) else 0


def run(scenario, rig, proxy, folder):
    """Run one scenario and return its row."""
    folder.mkdir()
    records, log = folder / "records.jsonl", folder / "service.log"
    environment = dict(scenario.environment)
    module, note = ("service", "serve"), ""
    with ExitStack() as stack:
        if scenario.store_faults:
            environment["OMNI_AWS_ENDPOINT"] = proxy.url
        if scenario.event == "registry_hangs":
            environment["OMNI_REGISTRY_URI"] = stack.enter_context(silent_server())
        if scenario.event == "disk_full":
            environment["OMNI_SPOOL_DIR"] = "/dev/full/spool"
        if scenario.event == "clock":
            module = ("skewed",)
            environment["PYTHONPATH"] = f"{HERE}{os.pathsep}{HERE.parents[1]}"
        service = stack.enter_context(Service(rig, log, module, **environment))
        for _ in range(2):  # the first model call pays for litellm's import
            service.ask()
        for rule in scenario.model_faults:
            rig.fault(**rule)
        stack.callback(rig.no_faults)
        proxy.rules = dict(scenario.store_faults)
        stack.callback(lambda: setattr(proxy, "rules", {}))
        cpu, started = service.cpu_s(), time.perf_counter()
        locust = _locust(scenario, rig, service.url, records, folder / "locust.log")
        notes = []
        happening = _EVENTS.get(scenario.event)
        if happening:
            thread = threading.Thread(target=happening, args=(scenario, rig, service, notes, stack))
            thread.start()
            thread.join()
        try:
            locust.wait(scenario.seconds + sum(seconds for _, seconds in scenario.steps) + 60)
        except subprocess.TimeoutExpired:
            locust.kill()
            raise SystemExit(f"error: locust did not end; see {folder}") from None
        if service.process.poll() is None and scenario.event != "kill":
            used = (service.cpu_s() - cpu) / (time.perf_counter() - started)
            notes.append(f"service {used:.0%} of one core, {service.rss_mb():.0f} MB")
        if scenario.store_faults and not proxy.hits:
            notes.append("the fault was never met")
        proxy.hits = 0
        note = "; ".join(notes)
    if not records.exists():
        raise SystemExit(f"error: locust sent nothing:\n{(folder / 'locust.log').read_text()[-2000:]}")
    return tally(scenario.name, read_lines(records), read_lines(log), note)


def _locust(scenario, rig, url, records, log):
    seconds = sum(seconds for _, seconds in scenario.steps) or scenario.seconds
    variables = {
        "LOAD_ACCOUNTS": str(ACCOUNTS),
        "LOAD_PACING_S": str(scenario.pacing_s),
        "LOAD_RECORDS": str(records),
        "LOAD_TRANSFER": "1" if scenario.transfer else "0",
        "LOAD_SPREAD": "1" if scenario.spread else "0",
        "LOAD_SECONDS": str(seconds),
        "LOAD_STEPS": json.dumps(scenario.steps),
        "LOAD_HEADERS": json.dumps(rig.headers()),
    }
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), "--headless", "--host", url]
    command += ["--stop-timeout", "20", "--only-summary", "--exit-code-on-error", "0"]
    if not scenario.steps:
        command += ["--users", str(scenario.users), "--spawn-rate", "500", "--run-time", f"{scenario.seconds + 2}s"]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | variables, cwd=HERE)


def _registry_down(scenario, rig, service, notes, stack):
    time.sleep(scenario.seconds / 3)
    path = Path(rig.settings.registry_uri.removeprefix("sqlite:///"))
    gone = path.with_suffix(".gone")
    path.rename(gone)
    stack.callback(gone.rename, path)


def _kill(scenario, rig, service, notes, stack):
    time.sleep(scenario.seconds / 2)
    service.kill()
    service.start()
    notes.append(f"ready again {service.ready_s:.1f} s after the kill")


def _registry_hangs(scenario, rig, service, notes, stack):
    notes.append(f"ready in {service.ready_s:.1f} s from the last known good pair")


_EVENTS = {"registry_down": _registry_down, "kill": _kill, "registry_hangs": _registry_hangs}


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
    return f"{row.name}: {row.sent} sent, {counts}; p95 {row.p95:.0f} ms" + "".join(
        f"; BROKEN: {b}" for b in row.broken
    )


def _replace(path, text):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    # An end by SIGTERM stops the children too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
