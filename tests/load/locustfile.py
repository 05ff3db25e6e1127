"""Agents who ask for summaries: one locust process, every request written down before it is sent and after it is answered.

Read by ``locust -f``; its settings come as ``LOAD_*`` variables from ``tests/load/run.py``.
"""

import itertools
import json
import os
import random
import time
import uuid
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, events, task

PATH = "/omni-channel-insights"
ACCOUNTS = int(os.environ["LOAD_ACCOUNTS"])
PACING_S = float(os.environ["LOAD_PACING_S"])
SECONDS = float(os.environ["LOAD_SECONDS"])
TRANSFER = os.environ.get("LOAD_TRANSFER") == "1"
STEPS = [(int(users), int(seconds)) for users, seconds in json.loads(os.environ.get("LOAD_STEPS", "[]"))]
HEADERS = json.loads(os.environ.get("LOAD_HEADERS", "{}"))
URLS = json.loads(os.environ["LOAD_URLS"])  # of services side by side; an agent stays with one, as a connection does
_agents = itertools.count()
_began = time.monotonic()
_draws = random.Random(int(os.environ.get("LOAD_SEED", "0")))
_records = Path(os.environ["LOAD_RECORDS"]).open("a", encoding="utf-8")  # noqa: SIM115 - closed when locust quits


@events.quitting.add_listener
def _close(**_):
    _records.close()


def account(number):
    return f"{9_000_000_000 + number}"


class Agent(FastHttpUser):
    """Asks every ``PACING_S``; in a transfer the next agent asks about the same contact a little later."""

    network_timeout = connection_timeout = 15.0
    # One try: a request that got no answer counts as lost, and nothing hides it.
    max_retries = 0

    def on_start(self):
        self._url = URLS[next(_agents) % len(URLS)]
        # Without a spread all users of a scenario would ask in the same moment for ever; a burst wants exactly that.
        if os.environ.get("LOAD_SPREAD") == "1":
            time.sleep(_draws.uniform(0, PACING_S))
        self._due = time.monotonic()

    def wait_time(self):
        """Seconds to the next call. locust's own pacing counts the sleep above as work: all agents then called at once."""
        now = time.monotonic()
        self._due = max(self._due + PACING_S, now)
        return self._due - now

    @task
    def ask(self):
        customer, contact = account(_draws.randrange(ACCOUNTS)), uuid.uuid4().hex
        self._ask(customer, contact, contact)
        if TRANSFER:
            # The agent has talked for a while; the next one gets a contact of its own that began as the first.
            time.sleep(_draws.uniform(1.0, 3.0))
            self._ask(customer, uuid.uuid4().hex, contact, transfer=True)

    def _ask(self, customer, contact, initial, transfer=False):
        # Locust cuts off whoever begins to ask in the moment in which it ends; so nobody begins in its last second.
        if time.monotonic() - _began > SECONDS:
            return
        correlation = uuid.uuid4().hex
        body = {"account_number": customer, "contact_id": contact, "initial_contact_id": initial}
        _write({"sent": correlation, "at": time.time(), "transfer": transfer})
        started = time.perf_counter()
        with self.client.post(
            self._url + PATH, json=body, headers={**HEADERS, "X-Correlation-Id": correlation}, catch_response=True
        ) as response:
            row = {
                "answered": correlation,
                "ms": (time.perf_counter() - started) * 1000,
                "status": response.status_code,
            }
            if response.status_code == 200:
                answer = response.json()
                row |= {
                    "degraded": answer["degraded"],
                    "cache_hit": answer["cache_hit"],
                    "model": answer["model_used"],
                    "request_id": answer["request_id"],
                    "mine": answer["contact_id"] == contact and answer["account_number"] == customer,
                    "pair": [answer["prompt_version"], answer["pair_digest"], answer["registry_version"]],
                    "summary": answer["summary"],
                    "headers_agree": _agree(response.headers, answer),
                }
                response.success()
            elif response.status_code:
                row["code"] = (response.json() or {}).get("code")
                response.failure(str(row["code"]))
            else:
                row["lost"] = type(response.error).__name__
                response.failure("no answer")
            _write(row)


def _agree(headers, answer):
    """Whether the headers speak of the same answer as the body."""
    said = {
        "X-Model-Used": answer["model_used"],
        "X-Cache-Hit": str(answer["cache_hit"]).lower(),
        "X-Prompt-Cache-Hit": str(answer["prompt_cache_read_tokens"] > 0).lower(),
        "X-Latency-Ms": str(answer["latency_ms"]),
        "X-Request-Id": answer["request_id"],
    }
    return all(headers.get(name) == value for name, value in said.items())


def _write(row):
    _records.write(json.dumps(row) + "\n")
    _records.flush()


if STEPS:

    class Steps(LoadTestShape):
        """So many users for so many seconds, one step after the other."""

        def tick(self):
            passed = self.get_run_time()
            for users, seconds in STEPS:
                if passed < seconds:
                    return users, 200
                passed -= seconds
            return (STEPS[-1][0], 200) if passed < 6 else None
