"""50 customers who write at the same moment, while nobody is at the bank: how late is a turn, and what is promised in vain?

``python tests/load/promises.py [PROCESSES]`` starts the local AWS, a model of the assistant on Converse's wire that takes 0.8 s a
call, and the processes of the service, whose bank is closed (half past eight in the evening). All customers send each of their
four messages at once. Counted are replies that promise what the hour forbids (a person, a place in the queue), calls that were
promised and not kept in the table, calls kept that no customer was told of, and conversations that somebody lost or mixed.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from conversations import LONG_S, MODEL_S, free_port

from service.kit.settings import REPO_ROOT, Settings
from service.local import aws

TESTS = Path(__file__).parents[1]

CUSTOMERS, PATH = 50, "/v1/assistant/conversations"
NIGHT = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)
# Whoever calls a person in, asks for a call, is in trouble, or asks about a card.
STORIES = (
    ("I want to speak to a person", "{phone}", "yes please", "thanks, bye"),
    ("call me back please", "{phone}", "yes", "thanks"),
    ("my card was stolen", "{phone}", "yes", "how long do I have to wait?"),
    ("How much is a premium debit card?", "And is anybody there now?", "then call me on {phone}", "yes, please do"),
    ("This is useless, let me talk to somebody", "no, don't call me", "when are you there?", "ok bye"),
)
PERSON = re.compile(
    r"\bnumber \d+ in the queue|estimated wait|\b(?:connect|transfer)(?:ing|ring)? you\b|will be with you|one moment please",
    re.IGNORECASE,
)
CALL = re.compile(r"\bwill call you back on\b", re.IGNORECASE)
UNSURE = re.compile(r"can't see yet whether your call is arranged", re.IGNORECASE)


def serve(port, endpoint, model):
    """Serve the bank, closed, with its callbacks in the table."""
    import pytest
    import uvicorn
    from assistant_by_model import assistant_runtime
    from builders import changed, runtime_of

    from service.app import create_app
    from service.conversations.store import conversations_in_tables
    from service.core.run.task import load_task
    from service.core.tasks.assistant import tools as bank_tools
    from service.core.tasks.assistant.bank import Bank
    from service.core.tasks.assistant.knowledge import bank_knowledge
    from service.core.tools.serving import build_task_tools
    from service.desk.build import callback_book, open_handovers
    from service.desk.tool import with_kept_callbacks
    from service.kit.aws.clients import client
    from service.kit.aws.queries import DynamoQueries
    from service.kit.telemetry.log import configure_logging

    settings = Settings(aws_endpoint=endpoint, state_dir=Path(tempfile.mkdtemp()), store_timeout_s=10.0)
    configure_logging("WARNING")
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: NIGHT)
    bank_tools.live_bank = lambda: bank
    pytest.MonkeyPatch().setattr("service.core.tasks.assistant.live_bank", lambda: bank)
    queries = DynamoQueries.beside(client("dynamodb", settings), settings)
    table = conversations_in_tables(queries, settings, scope="test", kept_s=3600, timeout_s=10)

    def build(**changes):
        given = {"interactions": None, "disconnect": queries.aclose, "clock": time.monotonic}
        return runtime_of(settings=settings, **given, **changes)

    runtime = assistant_runtime(
        build,
        model=model,
        deadline_ms=5_000,
        hedge_delay_ms=2_000,
        conversations=table,
        handovers=open_handovers(settings, lambda: NIGHT),
    )
    task = load_task("assistant")
    kept = with_kept_callbacks(task.tool_functions, callback_book(settings, lambda: NIGHT))
    tools = build_task_tools(settings, {"assistant": kept}, None)
    checking = threading.Thread(
        target=tools["assistant"].check, args=(runtime.answering.pair_sources["assistant"].served.pair,)
    )
    checking.start()
    checking.join()
    app = create_app(runtime=changed(runtime, tools=tools))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


async def customer(http, addresses, number, moments, told):
    """Write the four messages, each when all others do; note what was told, and after how many seconds."""
    phone = f"07700 900{number:03}"
    started = (await http.post(addresses[0], json={})).json()["conversation_id"]
    replies = told[phone] = []
    for turn, text in enumerate(STORIES[number % len(STORIES)]):
        await moments[turn].wait()
        path = f"{addresses[(number + turn) % len(addresses)]}/{started}/messages"
        begun = time.perf_counter()
        answer = await http.post(path, json={"message": text.format(phone=phone), "message_id": f"m{turn}"})
        replies.append((time.perf_counter() - begun, answer))
    kept = (await http.get(f"{addresses[-1]}/{started}")).json()["said"]
    said = [each["text"] for each in kept if each["by"] == "customer"]
    return said == [text.format(phone=phone) for text in STORIES[number % len(STORIES)]]


async def measure(ports):
    """Let all customers write at once, turn by turn; return what each was told, and how many conversations are whole."""
    addresses = [f"http://127.0.0.1:{port}{PATH}" for port in ports]
    told, moments = {}, [asyncio.Barrier(CUSTOMERS) for _ in STORIES[0]]
    async with httpx2.AsyncClient(timeout=LONG_S, limits=httpx2.Limits(max_connections=3 * CUSTOMERS)) as http:
        async with asyncio.timeout(2 * LONG_S):
            for port in ports:
                while True:
                    try:
                        await http.get(f"http://127.0.0.1:{port}/healthz")
                        break
                    except httpx2.HTTPError:
                        await asyncio.sleep(0.1)
        whole = await asyncio.gather(*(customer(http, addresses, each, moments, told) for each in range(CUSTOMERS)))
    return told, sum(whole)


def show(told, whole, kept):
    """Print the result. ``kept`` are the numbers of the calls in the table."""
    answers = [each for replies in told.values() for each in replies]
    seconds = sorted(took for took, _ in answers)
    bodies = [answer.json() if answer.status_code == 200 else {} for _, answer in answers]
    by_rules = sum(bool((body.get("made_by") or {}).get("degraded")) for body in bodies)
    texts = {
        phone: [a.json().get("reply") or "" for _, a in replies if a.status_code == 200]
        for phone, replies in told.items()
    }
    persons = [text for replies in texts.values() for text in replies if PERSON.search(text)]
    handed = sum(body.get("state") == "handed_over" for body in bodies)
    promised = {phone.replace(" ", "") for phone, replies in texts.items() if any(map(CALL.search, replies))}
    unsure = {phone.replace(" ", "") for phone, replies in texts.items() if replies and UNSURE.search(replies[-1])}
    lost = sum(not body for body in bodies)
    print(
        f"{len(answers)} turns of {CUSTOMERS} customers at once, {lost} not answered, {by_rules} answered by the rules"
    )
    print(
        f"a turn: p50 {statistics.median(seconds):.2f} s, p95 {seconds[int(0.95 * len(seconds))]:.2f} s, most {seconds[-1]:.2f} s"
    )
    print(
        f"a person promised at night: {len(persons)} replies, {handed} handed over; conversations whole: {whole} of {CUSTOMERS}"
    )
    print(
        f"calls: {len(promised)} promised, {len(kept)} kept in the table; promised and not kept {len(promised - kept)}, "
        f"kept and not told {len(kept - promised - unsure)}, told to be unsure at the end {len(unsure)}"
    )
    print("\n".join(sorted(set(persons))[:5]))


def kept_numbers(settings):
    """Return the numbers of all calls in the table, opened with the key of the local AWS."""
    from service.desk.build import open_callbacks

    opened = open_callbacks(settings)
    rows = opened.store.waiting()
    return {
        "".join(filter(str.isdigit, opened.sealer.open(each.sealed_phone, each.callback_id).decode())).replace(
            "44", "0", 1
        )
        for each in rows
    }


def main():
    """Start everything, measure, and end everything."""
    settings = Settings(state_dir=tempfile.mkdtemp(), local_aws_port=free_port(), store_timeout_s=10.0)
    settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    ports = [free_port() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1)]
    environment = {**os.environ, "PYTHONPATH": f"{REPO_ROOT}:{TESTS}"}
    aws.start(settings)
    running = []
    try:
        command = [sys.executable, TESTS / "assistant_model.py", MODEL_S]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        model = running[0].stdout.readline().strip()
        for port in ports:
            command = [sys.executable, __file__, "serve", str(port), settings.aws.endpoint, model]
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        told, whole = asyncio.run(measure(ports))
        show(told, whole, kept_numbers(settings))
    finally:
        for each in running:
            each.kill()
        aws.ministack(settings).stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), *sys.argv[3:])
    else:
        main()
