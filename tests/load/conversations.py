"""100 customers who converse at once, six turns each, with a model of 0.8 s a call: how late, and is anything lost or mixed?

``python tests/load/conversations.py [PROCESSES] [assistant]`` starts the local AWS and the processes. Every turn of a
conversation goes to the next process. A turn looks something up, so it calls the model twice: of the parcel service, whose model
is code in its process, or of the bank's assistant, with its tools and checks, whose model is a server of Bedrock's Converse.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from service.kit.settings import REPO_ROOT, Settings
from service.local import aws

CUSTOMERS, TURNS, MODEL_S, PAUSE_S = 100, 6, "0.8", 1.0
SERVER = Path(__file__).parents[1] / "conversation_server.py"
LONG_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Parcels:
    """Where is my parcel, six times."""

    path = "/v1/parcels/conversations"

    def says(self, number, turn):
        return f"Where is {self.answer(number, turn)}? ({number}.{turn})"

    def answer(self, number, turn):
        return ("AB123456", "CD123456")[number % 2]


class Bank:
    """Six wishes with a lookup each; every other customer has other ones, so that an answer to somebody else is seen."""

    path = "/v1/assistant/conversations"
    asked = (
        (
            ("How much is a premium debit card?", "£12 a month"),
            ("What papers do I need for a student account at a branch?", "UCAS"),
            ("Where is the nearest branch to Camden?", "Islington"),
            ("And what does a standard card cost?", "2.75%"),
            ("How do I open a savings account online?", "National Insurance"),
            ("Are your specialists there now?", "9 AM to 5 PM"),
        ),
        (
            ("What does the virtual card do?", "Virtual Debit Card"),
            ("What papers do I need for a business account at a branch?", "incorporation"),
            ("Where is the nearest branch to Solihull?", "Solihull"),
            ("How much is a contactless card?", "Contactless"),
            ("How do I open a student account in the app?", "UCAS"),
            ("Are your specialists there now?", "9 AM to 5 PM"),
        ),
    )

    def says(self, number, turn):
        return self.asked[number % 2][turn][0]

    def answer(self, number, turn):
        return self.asked[number % 2][turn][1]


async def customer(http, addresses, desk, number, seconds, wrong):
    """Converse, and compare what the service remembers with what was said."""
    said = [desk.says(number, turn) for turn in range(TURNS)]
    started = (await http.post(addresses[0], json={})).json()["conversation_id"]
    await asyncio.sleep(number / CUSTOMERS * 3)
    for turn, message in enumerate(said):
        path = f"{addresses[(number + turn) % len(addresses)]}/{started}/messages"
        begun = time.perf_counter()
        answer = await http.post(path, json={"message": message, "message_id": f"m{number}.{turn}"})
        seconds.append(time.perf_counter() - begun)
        if answer.status_code != 200 or desk.answer(number, turn) not in (answer.json()["reply"] or ""):
            wrong.append(f"{message}: {answer.status_code} {answer.text[:200]}")
        elif answer.json()["made_by"]["degraded"]:
            wrong.append(f"{message}: the rules answered")
        await asyncio.sleep(PAUSE_S)
    kept = (await http.get(f"{addresses[-1]}/{started}")).json()["said"]
    if [each["text"] for each in kept if each["by"] == "customer"] != said or len(kept) != 1 + 2 * TURNS:
        wrong.append(f"customer {number}: not as it was said")


async def measure(ports, desk):
    addresses = [f"http://127.0.0.1:{port}{desk.path}" for port in ports]
    seconds, wrong = [], []
    async with httpx2.AsyncClient(timeout=LONG_S, limits=httpx2.Limits(max_connections=3 * CUSTOMERS)) as http:
        async with asyncio.timeout(LONG_S):
            for port in ports:
                while True:
                    try:
                        await http.get(f"http://127.0.0.1:{port}/healthz")
                        break
                    except httpx2.HTTPError:
                        await asyncio.sleep(0.1)
        await asyncio.gather(*(customer(http, addresses, desk, number, seconds, wrong) for number in range(CUSTOMERS)))
    seconds.sort()
    p95 = seconds[int(0.95 * len(seconds))]
    wrongs = f"{len(wrong)} lost, mixed or not the model's"
    print(f"{len(seconds)} turns, {wrongs}; p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")
    print("\n".join(wrong[:5]))


@contextmanager
def models(desk):
    """Yield what the server needs to know of its model."""
    if isinstance(desk, Parcels):
        yield ()
        return
    command = [sys.executable, Path(__file__).parents[1] / "assistant_model.py", MODEL_S]
    environment = {**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield (running.stdout.readline().strip(),)
        finally:
            running.kill()


def main():
    settings = Settings(state_dir=tempfile.mkdtemp(), local_aws_port=free_port(), store_timeout_s=10.0)
    settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    ports = [free_port() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1)]
    desk = Bank() if "assistant" in sys.argv[2:] else Parcels()
    aws.start(settings)
    running = []
    with ExitStack() as ending:
        ending.callback(aws.ministack(settings).stop)
        ending.callback(lambda: [each.kill() for each in running])
        model = ending.enter_context(models(desk))
        for port in ports:
            command = [
                sys.executable,
                SERVER,
                str(port),
                settings.aws.endpoint,
                MODEL_S,
                settings.state_dir / str(port),
                *model,
            ]
            environment = {**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"}
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        asyncio.run(measure(ports, desk))


if __name__ == "__main__":
    main()
