"""Blue/green on this machine: two versions of the service behind a switch, under load, and three versions that must not stay.

``python tests/load/drill.py [FOLDER] [--only NAME]`` starts local AWS, model and versions, and prints a table. As on ECS, a
version gets traffic when it is ready and the hook's function (service/operate/deployment/hook.py) lets it through,
and loses it when the rule of the alarm ``failure-rate`` (infra/observability.yaml; here over 2 s instead of 5 min)
goes off during the bake time. The version of an answer is the process whose log holds the request's correlation id.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rig import Rig, Service
from switch import Switch

from service.access.control import open_changes
from service.kit.aws.endpoint import with_endpoint
from service.kit.settings import REPO_ROOT
from service.kit.telemetry.log import configure_logging
from service.operate.deployment.hook import SmokeSettings, hook_status

CLIENTS, BEFORE_S, BAKE_S, WINDOW_S = 8, 3.0, 8.0, 2.0
READY_S = 120.0  # on a busy machine a version starts slowly
RULE = next(
    alarm
    for alarm in yaml.safe_load((REPO_ROOT / "infra" / "observability.yaml").read_text(encoding="utf-8"))["alarms"]
    if alarm["name"] == "failure-rate"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    at: float
    status: int  # 0: no answer, the connection broke
    contact: str
    pair: str = ""


@dataclass
class Load:
    """Customers who ask one after the other through ``url``, each request by a connection of its own."""

    url: str
    headers: dict
    answers: list = field(default_factory=list)

    def __enter__(self):
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._customer, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _customer(self, number):
        while not self._stop.wait(0.02):
            self.answers.append(ask(self.url, self.headers, f"{9_000_000_000 + number}"))

    def alarm(self):
        """Whether the rule goes off over the last window."""
        seen = [answer for answer in list(self.answers) if answer.at > time.monotonic() - WINDOW_S]
        failed = sum(answer.status == 0 or answer.status >= 500 for answer in seen)
        return len(seen) >= RULE["minimum"] and failed / len(seen) > RULE["above"]


def ask(url, headers, account):
    contact = uuid.uuid4().hex
    body = json.dumps({"account_number": account, "contact_id": contact}).encode()
    given = {"content-type": "application/json", "connection": "close", "x-correlation-id": contact, **headers}
    request = urllib.request.Request(f"{url}/omni-channel-insights", data=body, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
            return Answer(at=time.monotonic(), status=200, contact=contact, pair=str(found.get("prompt_version")))
    except urllib.error.HTTPError as err:
        err.close()
        return Answer(at=time.monotonic(), status=err.code, contact=contact)
    except OSError:
        return Answer(at=time.monotonic(), status=0, contact=contact)


def ready(service, within_s=READY_S):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(f"{service.url}/readyz", timeout=2).close()
            return True
        time.sleep(0.1)
    return False


def deploy(switch, green, load, *, smoke, ready_s, breaks=None):
    """Deploy ``green`` as ECS does; return what came of it. ``breaks`` is called once it has the traffic."""
    if not ready(green, ready_s):
        return "rolled back: never ready"
    if hook_status(smoke) != "SUCCEEDED":
        return "rolled back: smoke test"
    blue, switch.to = switch.to, green.port
    if breaks is not None:
        breaks()
    until = time.monotonic() + BAKE_S
    while time.monotonic() < until:
        if load.alarm():
            switch.to = blue
            return "rolled back: alarm"
        time.sleep(0.1)
    return "deployed"


def versions_of(contacts, logs):
    """How many of ``contacts`` stand in the logs of each version, and how many in several."""
    texts = {name: log.read_text(encoding="utf-8") for name, log in logs.items()}
    held = {contact: [name for name, text in texts.items() if contact in text] for contact in contacts}
    return Counter(names[0] for names in held.values() if len(names) == 1), sum(len(n) > 1 for n in held.values())


class Version(Service):
    """A version of the service; ``launch`` does not wait for it, since one that never becomes ready is a part of the drill."""

    def __init__(self, rig, name, **environment):
        self.log = rig.folder / f"{name}.log"
        super().__init__(rig, self.log, **environment)
        self.name = name

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    def launch(self):
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self._module, "--port", str(self.port)],
                stdout=out,
                stderr=out,
                cwd=REPO_ROOT,
                env=self._rig.environment(OMNI_STATE_DIR=str(self._rig.folder / self.name), **self._environment),
            )
        return self


class Place:
    """The rig, the version that has the traffic, the switch in front of it."""

    def __init__(self, folder):
        self.rig = Rig(folder, latency="lognormal:p50=100,p95=200")

    def __enter__(self):
        self.rig.__enter__()
        self._secret = open_changes(with_endpoint(self.rig.settings)).add_client("smoke", ["summaries"])
        self.blue = Version(self.rig, "blue", **self._trust()).launch()
        if not ready(self.blue):
            raise SystemExit(f"error: the first version did not become ready; see {self.blue.log}")
        self.switch = Switch(self.blue.port).__enter__()
        self.url = f"http://127.0.0.1:{self.switch.port}"
        return self

    def __exit__(self, *_):
        self.switch.__exit__()
        self.blue.stop()
        self.rig.__exit__()

    def _trust(self):
        return {"OMNI_TRUSTED_KEYS": str(self.rig.settings.trusted_keys_file)}

    def _smoke(self, green):
        """What the hook's function is told: the test listener leads to ``green``."""
        given = {"account": "9000000000", "client_id": "smoke", "client_secret": self._secret, "pause_s": 1.0}
        return SmokeSettings(url=green.url, **given)

    def drill(self, name, *, breaks=None, end_blue=False, ready_s=READY_S, **environment):
        """Deploy a version under load and return a row of the table."""
        green = Version(self.rig, name.replace(" ", "-"), **self._trust(), **environment).launch()
        load = Load(self.url, self.rig.headers())
        try:
            with load:
                time.sleep(BEFORE_S)
                broken = breaks and (lambda: breaks(green))
                came = deploy(self.switch, green, load, smoke=self._smoke(green), ready_s=ready_s, breaks=broken)
                if end_blue and came == "deployed":
                    self.blue.process.terminate()  # what ECS sends; requests that run are finished
                    self.blue.process.wait(30)
                time.sleep(1.0)
        finally:
            if came != "deployed" or not end_blue:
                green.stop()
        answered = [answer for answer in load.answers if answer.status == 200]
        logs = {"blue": self.blue.log, "green": green.log}
        by, mixed = versions_of([answer.contact for answer in answered], logs)
        if end_blue and came == "deployed":
            self.blue = green
        return Row(name=name, came=came, sent=len(load.answers), blue=by["blue"], green=by["green"], mixed=mixed,
                   unnamed=len(answered) - sum(by.values()) - mixed, lost=len(load.answers) - len(answered),
                   pairs=len({answer.pair for answer in answered}))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """``unnamed`` answers stand in no version's log; ``pairs`` is how many prompt versions the answers name."""

    name: str
    came: str
    sent: int
    blue: int
    green: int
    mixed: int
    unnamed: int
    lost: int
    pairs: int

    def line(self):
        cells = (
            self.name,
            self.came,
            self.sent,
            self.blue,
            self.green,
            self.lost,
            self.mixed + self.unnamed,
            self.pairs,
        )
        return f"| {' | '.join(map(str, cells))} |"


HEADER = (
    "| deployed version | outcome | sent | answered by the old | by the new | lost | mixed | pairs |\n"
    "|---|---|---|---|---|---|---|---|"
)


# The good one is last, since it ends the old version.
DRILLS = {
    "never ready": {"ready_s": 12.0, "OMNI_REQUIRED_TASKS": '["summarize","no-such-task"]'},
    "fails the smoke test": {"OMNI_INTERACTIONS_TABLE": "no-such-table"},
    "dies under traffic": {"breaks": Service.kill},
    "good": {"end_blue": True},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--only", action="append", choices=list(DRILLS))
    given = parser.parse_args()
    configure_logging("ERROR")  # standard output is the table
    folder = given.folder or Path(tempfile.mkdtemp(prefix="drill-"))
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{HEADER}\n")
    with Place(folder) as place:
        for name in (name for name in DRILLS if name in (given.only or DRILLS)):
            sys.stdout.write(f"{place.drill(name, **DRILLS[name]).line()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
