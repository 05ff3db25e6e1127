"""100 customers who converse at once, six turns each, with a model of 0.8 s a call: how late, and is anything lost or mixed?

``python tests/load/conversations.py [PROCESSES]`` starts the local AWS and the processes. Every turn of a conversation goes to
the next process. A turn looks a parcel up, so it calls the model twice.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2

from service.local import aws
from service.settings import REPO_ROOT, Settings

CUSTOMERS, TURNS, MODEL_S, PAUSE_S = 100, 6, "0.8", 1.0
SERVER = Path(__file__).parents[1] / "conversation_server.py"
LONG_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def customer(http, addresses, number, seconds, wrong):
    """Converse, and compare what the service remembers with what was said."""
    parcel = ("AB123456", "CD123456")[number % 2]
    said = [f"Where is {parcel}? ({number}.{turn})" for turn in range(TURNS)]
    started = (await http.post(addresses[0], json={})).json()["conversation_id"]
    await asyncio.sleep(number / CUSTOMERS * 3)
    for turn, message in enumerate(said):
        path = f"{addresses[(number + turn) % len(addresses)]}/{started}/messages"
        begun = time.perf_counter()
        answer = await http.post(path, json={"message": message, "message_id": f"m{number}.{turn}"})
        seconds.append(time.perf_counter() - begun)
        if answer.status_code != 200 or parcel not in (answer.json()["reply"] or ""):
            wrong.append(f"{message}: {answer.status_code}")
        await asyncio.sleep(PAUSE_S)
    kept = (await http.get(f"{addresses[-1]}/{started}")).json()["said"]
    if [each["text"] for each in kept if each["by"] == "customer"] != said or len(kept) != 1 + 2 * TURNS:
        wrong.append(f"customer {number}: not as it was said")


async def measure(ports):
    addresses = [f"http://127.0.0.1:{port}/v1/parcels/conversations" for port in ports]
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
        await asyncio.gather(*(customer(http, addresses, number, seconds, wrong) for number in range(CUSTOMERS)))
    seconds.sort()
    p95 = seconds[int(0.95 * len(seconds))]
    print(f"{len(seconds)} turns, {len(wrong)} lost or mixed; p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")
    print("\n".join(wrong[:5]))


def main():
    settings = Settings(state_dir=tempfile.mkdtemp(), local_aws_port=free_port(), store_timeout_s=10.0)
    settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    ports = [free_port() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1)]
    aws.start(settings)
    running = []
    try:
        for port in ports:
            command = [
                sys.executable,
                SERVER,
                str(port),
                settings.aws.endpoint,
                MODEL_S,
                settings.state_dir / str(port),
            ]
            environment = {**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"}
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        asyncio.run(measure(ports))
    finally:
        for each in running:
            each.kill()
        aws.ministack(settings).stop()


if __name__ == "__main__":
    main()
