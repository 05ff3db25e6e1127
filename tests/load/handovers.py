"""How soon after a customer asks for a person does their story stand in the queue, and how soon does the chat show the person?

``python tests/load/handovers.py`` starts the local AWS and two processes. Ten customers at a time write to the first process;
an agent at the second takes each of them and says hello.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

from access_place import keep_clients
from conversations import LONG_S, free_port

from service.access.clients import new_secret
from service.kit.settings import REPO_ROOT, Settings
from service.local import aws

CUSTOMERS, AT_ONCE = 100, 10
SERVER = Path(__file__).parents[1] / "handover_server.py"
SECRET = new_secret()
CHATS, LIST = "/v1/assistant/conversations", "/v1/handovers"


async def client(port, name):
    """Return a client of a process, once that listens, with a token."""
    http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=LONG_S)
    fields = {"grant_type": "client_credentials", "client_id": name, "client_secret": SECRET}
    async with asyncio.timeout(LONG_S):
        while True:
            try:
                token = (await http.post("/oauth/token", data=fields)).json()["access_token"]
                break
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)
    http.headers["authorization"] = f"Bearer {token}"
    return http


async def customer(web, agent, taking, measured):
    conversation = (await web.post(CHATS, json={})).json()["conversation_id"]
    chat = f"{CHATS}/{conversation}"
    await web.post(f"{chat}/messages", json={"message": "I'd like to open a savings account in a branch"})
    asked_at, begun = time.time(), time.perf_counter()
    told = (await web.post(f"{chat}/messages", json={"message": "I want to speak to a person"})).json()
    measured["read of it"].append(time.perf_counter() - begun)
    assert told["state"] == "handed_over", told
    shown = asyncio.create_task(taken_over(web, chat))
    await asyncio.sleep(1.0)  # the page listens
    async with taking:
        waiting = (await agent.get(LIST)).json()["waiting"][0]
        path = f"{LIST}/{waiting['handover_id']}"
        # Taken at once, so the customer of this handover may be another one; the times are the same.
        await agent.post(f"{path}/take", json={"name": "Anna"})
        found = (await agent.post(f"{path}/messages", json={"message": "Hello", "message_id": "hello"})).json()
    spoke = time.time()
    assert found["summary"]["customer_query"].startswith("I'd like")
    measured["story"].append((datetime.fromisoformat(waiting["waiting_since"]).timestamp(), asked_at))
    measured["shown"].append((await shown) - spoke)
    await agent.post(f"{path}/close", json={"ended": "resolved"})


async def taken_over(web, chat):
    """Return when the customer's page is told what a person said."""
    async with web.stream("GET", chat, headers={"accept": "text/event-stream"}) as answer:
        async for line in answer.aiter_lines():
            if re.search(r'"by":"person"', line):
                return time.time()
    raise AssertionError("the stream ended before anybody spoke")


async def measure(ports):
    web, agent = await client(ports[0], "web"), await client(ports[1], "anna")
    measured, taking = {"read of it": [], "story": [], "shown": []}, asyncio.Lock()
    for _ in range(CUSTOMERS // AT_ONCE):
        await asyncio.gather(*(customer(web, agent, taking, measured) for _ in range(AT_ONCE)))
    # Whoever asked earlier entered earlier, as far as it matters here: both lists in their order.
    entered, asked = (sorted(each) for each in zip(*measured["story"], strict=True))
    show("until the story stands in the queue", [late - early for late, early in zip(entered, asked, strict=True)])
    show("until the customer has read of the handover", measured["read of it"])
    show("from the agent's words until the chat shows them", measured["shown"])
    for http in (web, agent):
        await http.aclose()


def show(what, seconds):
    seconds = sorted(seconds)
    p95 = seconds[int(0.95 * len(seconds))]
    print(
        f"{what}: p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s, most {seconds[-1]:.2f} s (n={len(seconds)})"
    )


def main():
    settings = Settings(state_dir=tempfile.mkdtemp(), local_aws_port=free_port(), store_timeout_s=10.0)
    folder = settings.state_dir
    scopes = {"web": "task:assistant", "anna": "handovers"}
    here = Settings(state_dir=folder, access_dir=folder / "access")
    limits = {"rate_per_s": 1000, "burst": 1000}
    keep_clients(here, SECRET, **{name: {"scopes": [scope], **limits} for name, scope in scopes.items()})
    settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    aws.start(settings)
    environment = {**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{SERVER.parent}"}
    ports, running = [free_port() for _ in range(2)], []
    try:
        for port in ports:
            command = [
                sys.executable,
                SERVER,
                str(port),
                settings.aws.endpoint,
                folder,
                settings.stores.handovers_table,
            ]
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        asyncio.run(measure(ports))
    finally:
        for each in running:
            each.kill()
        aws.ministack(settings).stop()


if __name__ == "__main__":
    main()
