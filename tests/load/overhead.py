"""``omni bench service``: what the service adds to model and store, next to a bare gateway; its cold start and its memory.

Added time of a request = the client's time, minus the model's constant delay, minus the store's time as the service logged
it. It holds litellm, the stand-in's own HTTP handling and the client. The bare gateway (``bare_gateway.py``) forwards to the same
stand-in and asks no store. Service and gateway are asked in turns, so that both meet the same machine, and the targets are
ratios (``service_targets.py``). ``--profile`` says where CPU time goes. Cold start and memory are those of
``LOAD_SERVICE_PYTHON``, which ``omni bench service`` points at an environment with the container's packages: the developers'
MLflow brings pandas along.
"""

import argparse
import asyncio
import os
import pstats
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import aiohttp
from rig import ACCOUNTS, BareGateway, Rig, Service
from run import silent_server
from service_targets import Measured, Turn, exit_code, judged
from tally import quantile, read_lines

MODEL_MS, IN_FLIGHT, STREAMS = 1000, 50, 20
TURNS, REQUESTS = 3, 300  # requests of each side in a turn


class Clients:
    """Asks one service; ``times`` holds {correlation id: milliseconds}."""

    def __init__(self, session, url, headers):
        self._session, self._url, self._headers, self.times = session, url, headers, {}

    async def ask(self, number):
        correlation = uuid.uuid4().hex
        body = {"account_number": f"{9_000_000_000 + number % ACCOUNTS}", "contact_id": correlation}
        started = time.perf_counter()
        async with self._session.post(
            f"{self._url}/omni-channel-insights", json=body, headers={**self._headers, "X-Correlation-Id": correlation}
        ) as response:
            answer = await response.json()
        if response.status != 200 or answer["degraded"]:
            raise SystemExit(f"error: no proper answer ({response.status}): {answer}")
        self.times[correlation] = (time.perf_counter() - started) * 1000


async def keep_asking(url, headers, *, in_flight, requests):
    """Send ``requests``, the next as soon as one of ``in_flight`` is answered; return their times and the seconds it took."""
    left = iter(range(requests))

    async def one_client(clients):
        for number in left:
            await clients.ask(number)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        clients, started = Clients(session, url, headers), time.perf_counter()
        await asyncio.gather(*(one_client(clients) for _ in range(in_flight)))
        return clients.times, time.perf_counter() - started


async def ask_by_chance(url, headers, *, a_second, requests, seed):
    """Send ``requests`` that know nothing of each other (Poisson), ``a_second`` on average; return their times.

    Clients that wait for an answer before they ask again do not do here: all answers take the same second, so whoever once
    comes together stays together, and the bench measures how 50 requests of one moment queue.
    """
    draws = random.Random(seed)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        clients, due, asked = Clients(session, url, headers), time.perf_counter(), []
        for number in range(requests):
            due += draws.expovariate(a_second)
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            asked.append(asyncio.create_task(clients.ask(number)))
        await asyncio.gather(*asked)
        return clients.times


def added(rig, folder):
    """Return added milliseconds with the model at a constant delay, of service and of bare gateway, and the store's p50.

    Both are lists of one figure a request, ascending.
    """
    log, times, bare_times = folder / "added.log", {}, {}
    with Service(rig, log) as service, BareGateway(rig, folder / "bare.log") as bare:
        _settle(service.url, rig.headers())
        _settle(bare.url, {})
        for turn in range(TURNS):
            for url, headers, found in ((service.url, rig.headers(), times), (bare.url, {}, bare_times)):
                # As many arrive in the model's time as are to be in flight (Little's law).
                rate = IN_FLIGHT / (MODEL_MS / 1000)
                found |= asyncio.run(ask_by_chance(url, headers, a_second=rate, requests=REQUESTS, seed=turn))
    store = {
        row["correlation_id"]: row["latency_ms"]
        for row in read_lines(log)
        if row.get("event") == "DYNAMODB_QUERY_SUCCESS"
    }
    service_added = sorted(ms - MODEL_MS - store[key] for key, ms in times.items())
    return service_added, sorted(ms - MODEL_MS for ms in bare_times.values()), statistics.median(store.values())


def first_text(rig, folder):
    """Return milliseconds to the first text of a stream beyond the model's own, ascending."""

    async def ask_all(url, headers):
        times = []
        async with aiohttp.ClientSession() as session:
            for number in range(STREAMS + 1):
                body = {"account_number": f"{9_000_000_000 + number}", "contact_id": uuid.uuid4().hex}
                started = time.perf_counter()
                async with session.post(
                    f"{url}/omni-channel-insights", json=body, headers={**headers, "Accept": "text/event-stream"}
                ) as response:
                    async for line in response.content:
                        if line.startswith(b"event: text"):
                            times.append((time.perf_counter() - started) * 1000 - MODEL_MS)
                            break
                    await response.read()
        return sorted(times[1:])  # the first one pays for the connection

    with Service(rig, folder / "stream.log") as service:
        service.ask()
        return asyncio.run(ask_all(service.url, rig.headers()))


def _settle(url, headers):
    # Connections to model and store open, code paths warm.
    asyncio.run(keep_asking(url, headers, in_flight=IN_FLIGHT, requests=IN_FLIGHT * 2))


def throughput(rig, folder, profile):
    """Return the turns at a model of 0 ms, the service's CPU ms per request, its times ascending, the profile's file."""
    stats = folder / "service.prof"
    module = ("cProfile", "-o", str(stats), "-m", "service", "serve") if profile else ("service", "serve")
    turns, all_times, used = [], [], 0.0
    with Service(rig, folder / "throughput.log", module) as service, BareGateway(rig, folder / "bare.log") as bare:
        _settle(service.url, rig.headers())
        _settle(bare.url, {})
        for _ in range(TURNS):
            cpu = service.cpu_s()
            times, seconds = _keep_asking(service.url, rig.headers(), REQUESTS * 2)
            used += service.cpu_s() - cpu
            all_times += times.values()
            bare_times, bare_seconds = _keep_asking(bare.url, {}, REQUESTS * 4)
            turns.append(Turn(service=len(times) / seconds, bare=len(bare_times) / bare_seconds))
    return turns, used / len(all_times) * 1000, sorted(all_times), stats


def _keep_asking(url, headers, requests):
    return asyncio.run(keep_asking(url, headers, in_flight=IN_FLIGHT, requests=requests))


def cold_start(rig, folder):
    """Return seconds to ready from the last known good pair while the registry is silent, and MB once warm; three starts."""
    ready, rss = [], []
    python = os.environ.get("LOAD_SERVICE_PYTHON", sys.executable)
    with silent_server() as registry:
        for number in range(3):
            log = folder / f"cold{number}.log"
            with Service(rig, log, python=python, OMNI_REGISTRY_URI=registry) as service:
                ready.append(service.ready_s)
                service.ask()
                rss.append(service.rss_mb())
    return ready, rss


def main():
    parser = argparse.ArgumentParser(prog="tests/load/overhead.py", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--profile", action="store_true", help="profile the 0 ms run (slower) and print the largest shares"
    )
    parser.add_argument("--stores", choices=("memory", "ministack"), default="memory", help="what stands in for AWS")
    parser.add_argument("--only-throughput", action="store_true", help="the 0 ms run alone")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="omni-overhead-"))
    try:
        if options.only_throughput:
            with Rig(_made(folder / "fast"), latency="0", stores=options.stores) as rig:
                turns, cpu_ms, times, stats = throughput(rig, folder, options.profile)
            _print_turns(turns, cpu_ms, times)
            if options.profile:
                _print_profile(stats)
            return 0
        with Rig(_made(folder / "slow"), latency=str(MODEL_MS), stores=options.stores) as rig:
            service_added, bare_added, store_ms = added(rig, folder)
            streams = first_text(rig, folder)
            ready, rss = cold_start(rig, folder)
        with Rig(_made(folder / "fast"), latency="0", stores=options.stores) as rig:
            turns, cpu_ms, times, stats = throughput(rig, folder, options.profile)
        measured = Measured(
            turns=turns,
            service_added=service_added,
            bare_added=bare_added,
            first_texts=streams,
            ready_s=ready,
            rss_mb=rss,
        )
        rows = judged(measured)
        print(
            f"{IN_FLIGHT} in flight; n = {len(service_added)} requests of each with a model of {MODEL_MS} ms, "
            f"{len(times)} with 0 ms, {TURNS} turns; cold starts: {len(ready)}"
        )
        for row in rows:
            print(f"{row.what:<58}{row.value:>16}{row.ratio:>8}   {row.target}")
        print(f"store, p50 (not in the above): {store_ms:.0f} ms")
        _print_turns(turns, cpu_ms, times)
        if options.profile:
            _print_profile(stats)
        code = exit_code(rows)
        print(
            "a target is missed; these machines are shared: run it again before you believe it"
            if code
            else "every target is met"
        )
        return code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder):
    folder.mkdir()
    return folder


def _print_turns(turns, cpu_ms, times):
    rates = ", ".join(f"{turn.service:.0f} of {turn.bare:.0f}" for turn in turns)
    print(f"requests/s, service of bare gateway, in turns: {rates}; {cpu_ms:.2f} ms CPU of the service per request")
    print(f"the service's times at 0 ms, p50 / p99: {statistics.median(times):.0f} / {quantile(times, 0.99):.0f} ms")


def _print_profile(stats):
    pstats.Stats(str(stats)).sort_stats("tottime").print_stats(35)
    pstats.Stats(str(stats)).sort_stats("cumulative").print_stats("service/", 30)


if __name__ == "__main__":
    sys.exit(main())
