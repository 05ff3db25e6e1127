"""Attacks on a running service: its sockets, its tokens, its requests, its files and its registry; all on this machine.

Each attack returns None when the service kept its promises, or a sentence about the one that it broke.
"""

import base64
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from forgeries import RUBBISH, VARIANTS
from rig import Service

from service.kit.frame.canonical import canonical_json
from service.kit.settings import REPO_ROOT

PATH = "/omni-channel-insights"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
HEAD = b"POST /omni-channel-insights HTTP/1.1\r\nHost: a\r\n"
ENVIRONMENT = {
    "OMNI_HEADER_TIMEOUT_S": "2",
    "OMNI_WRITE_TIMEOUT_S": "2",
    "OMNI_MAX_CONNECTIONS_PER_PEER": "200",
    "OMNI_REGISTRY_REFRESH_S": "0.5",
}
MOST_TAKEN = 2_000_000  # bytes of one connection: a socket buffers some by itself
MOST_GROWTH_MB = 60
MOST_PIPELINED = 100
GONE_S = 20
SEEN_S = 1.5  # by then the service has read the registry again
PYTHONPATH = os.pathsep.join((str(REPO_ROOT), str(Path(__file__).parent)))
PLANTED = "omni.release.000777"
ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202e"


class Target:
    """The service under attack, with its rig and a valid token."""

    def __init__(self, rig, service, omni=(sys.executable, "-m", "omni")):
        self.rig, self.service, self.omni = rig, service, omni
        self.host, self.port = "127.0.0.1", int(service.url.rpartition(":")[2])
        self.token = rig.headers()["Authorization"]

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=GONE_S)

    def ask(self, body, token=None, path=PATH, content="application/json"):
        """Send a POST and return its status and text; 0 when there was no answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": content, "authorization": token or self.token}
        request = urllib.request.Request(f"{self.service.url}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=GONE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            with err:
                return err.code, err.read().decode()
        except OSError as err:
            return 0, f"no answer: {err}"

    def alive(self):
        """Say what is wrong with the service for an ordinary agent, or None."""
        if self.service.process.poll() is not None:
            return f"the service has ended with code {self.service.process.returncode}"
        status, text = self.ask({"account_number": "9000000001", "contact_id": os.urandom(6).hex()})
        return None if status == 200 else f"an ordinary request was answered {status}: {text[:200]}"


def flood(target, *parts, repeat=1):
    """Send ``parts``, the last one ``repeat`` times, until the service ends the connection; return the bytes sent."""
    sent = 0
    with target.connect() as client, suppress(OSError):
        for part in (*parts[:-1], *([parts[-1]] * repeat)):
            client.sendall(part)
            sent += len(part)
    return sent


def endless_headers(target):
    chunk = b"a" * 65_536
    for name, parts in {
        "one header": (HEAD + b"X: ", chunk),
        "a path": (b"GET /", chunk),
        "a header's name": (HEAD, chunk),
        "many headers": (HEAD, b"".join(b"H%d: 1\r\n" % number for number in range(5_000))),
        "a trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", chunk),
        "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", chunk),
        "a body behind its 401": (HEAD + b"Content-Length: 1000000000\r\n\r\n", chunk),
    }.items():
        before = target.service.rss_mb()
        sent = flood(target, *parts, repeat=400)
        grown = target.service.rss_mb() - before
        if sent > 10 * MOST_TAKEN or grown > MOST_GROWTH_MB:
            return f"{name}: took {sent / 1e6:.1f} MB and grew by {grown:.0f} MB"
    return None


def dripping(target):
    """A hundred connections that send a byte now and then must all be ended."""
    starts = (b"", b"G", HEAD, HEAD + b"Content-Length: 100\r\n\r\n")
    with ExitStack() as stack:
        clients = [stack.enter_context(target.connect()) for _ in range(100)]
        for number, client in enumerate(clients):
            client.settimeout(0)
            client.sendall(starts[number % len(starts)])
        until, left = time.monotonic() + GONE_S, clients
        while left and time.monotonic() < until:
            time.sleep(0.2)
            left = [client for client in left if not _ended(client)]
        return f"{len(left)} of 100 dripping connections stayed open" if left else None


def _ended(client):
    try:
        client.send(b"a")
        while client.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def crowds(target):
    """Twice as many idle connections as one peer may have leave room for a request."""
    with ExitStack() as stack:
        for _ in range(400):
            with suppress(OSError):
                stack.enter_context(target.connect())
        return target.alive()


def pipelines(target):
    """Of a thousand requests at once on one connection a few are answered, then the connection ends."""
    with target.connect() as client, suppress(OSError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        answers = read_all(client).count(b"HTTP/1.1 200")
        if answers > MOST_PIPELINED:
            return f"{answers} of 1,000 pipelined requests were answered"
    return None


def read_all(client, wait_s=1.0):
    """Return what comes until the connection ends or nothing comes for ``wait_s`` seconds."""
    client.settimeout(wait_s)
    pieces = []
    with suppress(OSError):
        while piece := client.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def hostile_bytes(target):
    draw = random.Random(1)
    openings = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        HEALTH + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEALTH + b"\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"X: a\r\n b\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%ff%00%2e%2e/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 4096,
    ]
    openings += [draw.randbytes(draw.randint(1, 4096)) for _ in range(100)]
    for opening in openings:
        with target.connect() as client, suppress(OSError):
            client.sendall(opening)
            text = read_all(client, wait_s=0.05)
            if text.startswith(b"HTTP/1.1 5"):
                return f"answered {text[9:12].decode()} to {opening[:40]!r}"
            if text.count(b"HTTP/1.1 ") > 1:
                return "a smuggled request was answered"
    return target.alive()


def forged_tokens(target):
    head, body, signature = target.token.removeprefix("Bearer ").split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    none = "eyJhbGciOiJub25lIn0"
    forged = [
        "Bearer", "Bearer ", "Basic YTpi", f"Bearer {head}.{body}.", f"Bearer {none}.{body}.", f"Bearer {head}.{body}.{flipped}",
        f"Bearer {body}.{head}.{signature}", f"Bearer {head}.{body}", "Bearer a.b.c", "Bearer " + "a" * 20_000,
        f"bearer\t{head}", f"Bearer {head}.{body}.{signature}.{signature}",
    ]  # fmt: skip
    for token in forged:
        status, text = target.ask({"account_number": "9000000001", "contact_id": "c"}, token=token)
        if status != 401:
            return f"{token[:40]!r} was answered {status}: {text[:100]}"
    return None


def fuzzed_requests(target):
    """No body makes the service fail, and what is refused does not come back in the answer."""
    good = {"account_number": "9000000001", "contact_id": "c"}
    odd = [
        None,
        True,
        0,
        -1,
        1e308,
        10**400,
        [],
        {},
        "",
        "\x00",
        "\ud800",
        ESCAPE,
        "a" * 100_000,
        [[[[]]]],
        float("nan"),
    ]
    fields = ("account_number", "contact_id", "unique_process_id", "ivr_intent", "max_history_days", "max_interactions")
    # What is refused is named by its field; a field's name may come back, inert.
    bodies = [good | {field: value} for field in (*fields, "channel_filter", "\x1b[2J") for value in odd]
    raw = [
        b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 5_000, b"9" * 10_000, b"null", b'"x"',
        b'{"account_number": "1234567890", "contact_id": "c", "account_number": "9000000001"}',
    ]  # fmt: skip
    for path in (PATH, "/feedback", "/v1/summarize", "/v1/scorecard", "/oauth/token"):
        for body in [json.dumps(body).encode() for body in bodies] + raw:
            status, text = target.ask(body, path=path)
            if status >= 500 and status != 503:
                return f"{path} answered {status} to {body[:80]!r}"
            if "\x1b" in text or "owned" in text:
                return f"{path} gave a refused value back"
    return None


def planted_addresses(target):
    """No text of a request makes the service connect somewhere."""
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.2)
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/x"
        good = {"account_number": "9000000001", "contact_id": os.urandom(6).hex()}
        fields = (
            "account_number",
            "contact_id",
            "unique_process_id",
            "initial_contact_id",
            "ivr_intent",
            "comment",
            "token",
        )
        bodies = [
            good | {field: text}
            for field in (*fields, "$ref", "url")
            for text in (url, f"${{jndi:{url}}}", f"<a href='{url}'>")
        ]
        for path in (PATH, "/feedback", "/v1/summarize", "/v1/scorecard", "/oauth/token", "/dashboards/session"):
            for body in bodies:
                target.ask(body, path=path)
        with suppress(TimeoutError):
            bait.accept()[0].close()
            return "the service connected to an address in a request"
    return None


def hostile_files(target):
    """Rubbish in the state folder is logged, set aside or ignored while the service answers, and after a restart."""
    state = target.rig.settings.state_dir
    rubbish = [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"null", b'{"request_id": 1}']
    for number, body in enumerate(rubbish):
        (state / "spool").mkdir(exist_ok=True)
        (state / "spool" / f"2026-01-01T000000.000Z-req-{number:012d}.json").write_bytes(body)
        (state / "spool" / f"{number}\n.json").write_bytes(body)
        for name in ("rollout/summarize/state.json", "rollout/summarize/counts-1-x.json", "served/summarize.json"):
            (state / name).parent.mkdir(parents=True, exist_ok=True)
            (state / name).write_bytes(body)
        if problem := target.alive():
            return f"file content {body[:20]!r}: {problem}"
    target.service.kill()
    try:
        target.service.start()
    except SystemExit:
        return "the service does not start beside damaged files"
    return target.alive()


def forged_evidence(target):
    """Each forgery is written where a release, an attestation or a rollout step belongs; none may be served."""
    releases, wanted = target.rig.releases, target.service.readiness()
    tracking, version = releases._tracking, wanted["registry_version"]
    tags = dict(tracking.version_tags("summarize"))[version]
    tracking._client.set_prompt_alias("summarize", "candidate", version)
    names = [max(name for name in tags if name.startswith(f"omni.{kind}.")) for kind in ("release", "attestation")]
    for kind, forge in {**RUBBISH, **VARIANTS, "escape codes": lambda _: ESCAPE, "a higher number": renumbered}.items():
        for name in (*names, "omni.release.999999", "omni.rollout.000001"):
            forged = forge(tags.get(name, tags[names[0]])).encode("utf-8", "replace").decode()
            tracking._client.set_prompt_version_tag("summarize", version, name, forged[:5000] or " ")
            if forge is renumbered:
                time.sleep(SEEN_S)
            problem = _served_as_before(target, wanted)
            if name in tags:
                tracking._client.set_prompt_version_tag("summarize", version, name, tags[name])
            else:
                tracking._client.delete_prompt_version_tag("summarize", str(version), name)
            if problem:
                return f"{kind} in {name}: {problem}"
    tracking._client.delete_prompt_alias("summarize", "candidate")
    time.sleep(SEEN_S)
    return _served_as_before(target, wanted)


def renumbered(text):
    """Return a release with a higher number, in the form that we write, under the signature of another."""
    envelope = json.loads(text)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["sequence"] = 999_999
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return canonical_json(envelope)


def _served_as_before(target, wanted):
    from service.core.release.registry import fetch_candidate, fetch_released

    with suppress(Exception):
        found = fetch_released("summarize", target.rig.settings)
        if (found.sequence, found.pair.digest) != (wanted["sequence"], wanted["pair_digest"]):
            return f"release {found.sequence} {found.pair.digest[:12]} would be served"
    with suppress(Exception):
        if fetch_candidate("summarize", target.rig.settings) is not None:
            return "a rollout step would be followed"
    now = target.service.readiness()
    same = all(now[name] == wanted[name] for name in ("sequence", "pair_digest", "registry_version"))
    return None if same else f"release {now['sequence']} is served"


def planted_escape_codes(target):
    """What a store holds reaches no terminal and no log as control characters."""
    tracking = target.rig.releases._tracking
    version = target.service.readiness()["registry_version"]
    tracking._client.set_prompt_version_tag("summarize", version, PLANTED, ESCAPE)
    # MLflow takes no such name; whoever can write to its database can.
    hostile = f"{PLANTED}{ESCAPE}"
    _rename_tag(target, PLANTED, hostile)
    try:
        time.sleep(SEEN_S)
        for command in ("verify", "history"):
            done = subprocess.run(
                [*target.omni, command], env=target.rig.environment(PYTHONPATH=PYTHONPATH), capture_output=True,
                timeout=120, check=False,
            )  # fmt: skip
            shown = (done.stdout + done.stderr).decode(errors="replace")
            if any(code in shown for code in ("\x1b[2J", "\x1b]0", "\x07", "\u202e")):
                return f"omni {command} prints escape codes"
        if b"\x1b]0" in target.service._log.read_bytes():
            return "the service's log holds escape codes"
    finally:
        _rename_tag(target, hostile, PLANTED)
        tracking._client.delete_prompt_version_tag("summarize", str(version), PLANTED)
    return None


def _rename_tag(target, name, new_name):
    file = target.rig.settings.registry.uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, timeout=10)) as database, database:
        database.execute("UPDATE model_version_tags SET key = ? WHERE key = ?", (new_name, name))


ATTACKS = (
    endless_headers, dripping, crowds, pipelines, hostile_bytes, forged_tokens, fuzzed_requests,
    planted_addresses, hostile_files,
    forged_evidence, planted_escape_codes,
)  # fmt: skip


def attack_names():
    """Return the name of each attack, as `make chaos ONLY=...` selects it."""
    return [f"attack: {each.__name__.replace('_', ' ')}" for each in ATTACKS]


def attack(rig, folder, only=""):
    """Run every attack whose name contains ``only`` against one service; print each, and return the broken promises."""
    folder.mkdir()
    broken = []
    with Service(rig, folder / "service.log", **ENVIRONMENT) as service:
        target = Target(rig, service)
        service.ask()
        for name, each in zip(attack_names(), ATTACKS, strict=True):
            if only not in name:
                continue
            problem = each(target) or target.alive()
            print(f"{name}: {problem or 'held'}", flush=True)
            if problem:
                broken.append(f"{name}: {problem}")
    return broken
