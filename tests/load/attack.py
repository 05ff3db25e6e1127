"""Attacks on a running service: its sockets, its tokens, its requests, its files and its registry; all on this machine.

Each attack returns None when the service kept its promises, or a sentence about the one that it broke.
"""

import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from forgeries import RUBBISH, VARIANTS
from rig import Service

PATH = "/omni-channel-insights"
HEAD = b"POST /omni-channel-insights HTTP/1.1\r\nHost: a\r\n"
ENVIRONMENT = {
    "OMNI_HEADER_TIMEOUT_S": "2",
    "OMNI_WRITE_TIMEOUT_S": "2",
    "OMNI_MAX_CONNECTIONS_PER_PEER": "200",
    "OMNI_REGISTRY_REFRESH_S": "0.5",
}
MOST_TAKEN = 2_000_000  # bytes of one connection: a socket buffers some by itself
MOST_GROWTH_MB = 60
GONE_S = 20
ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202e"


class Target:
    """The service under attack, with its rig and a valid token."""

    def __init__(self, rig, service):
        self.rig, self.service = rig, service
        self.host, self.port = "127.0.0.1", int(service.url.rpartition(":")[2])
        self.token = rig.headers()["Authorization"]

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=GONE_S)

    def ask(self, body, token=None, path=PATH, content="application/json"):
        """Send a POST and return its status and text."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": content, "authorization": token or self.token}
        request = urllib.request.Request(f"{self.service.url}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=GONE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            with err:
                return err.code, err.read().decode()

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
        sent = flood(target, *parts, repeat=1600)
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
    flood(target, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000, repeat=20)
    return target.alive()


def hostile_bytes(target):
    draw = random.Random(1)
    openings = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
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
            client.settimeout(0.05)
            text = client.recv(65_536)
            if text.startswith(b"HTTP/1.1 5"):
                return f"answered {text[9:12].decode()} to {opening[:40]!r}"
            if b"# HELP" in text:
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
    bodies = [good | {field: value} for field in (*fields, "channel_filter", ESCAPE) for value in odd]
    raw = [
        b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 5_000, b"9" * 10_000, b"null", b'"x"',
        b'{"account_number": "1234567890", "contact_id": "c", "account_number": "9000000001"}',
    ]  # fmt: skip
    for path in (PATH, "/feedback", "/v1/summarize", "/v1/scorecard", "/oauth/token"):
        for body in [json.dumps(body).encode() for body in bodies] + raw:
            status, text = target.ask(body, path=path)
            if status >= 500 and status != 503:
                return f"{path} answered {status} to {body[:80]!r}"
            if "\x1b" in text:
                return f"{path} gave an escape code back"
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
    target.service.start()
    return target.alive()


def forged_evidence(target):
    """Each forgery is written where a release, an attestation or a rollout step belongs; none may be served."""
    releases, wanted = target.rig.releases, target.service.readiness()
    tracking, version = releases._tracking, wanted["registry_version"]
    tags = dict(tracking.version_tags("summarize"))[version]
    tracking._client.set_prompt_alias("summarize", "candidate", version)
    names = [max(name for name in tags if name.startswith(f"omni.{kind}.")) for kind in ("release", "attestation")]
    for kind, forge in {**RUBBISH, **VARIANTS, "escape codes": lambda _: ESCAPE}.items():
        for name in (*names, "omni.release.999999", "omni.rollout.000001"):
            forged = forge(tags.get(name, tags[names[0]])).encode("utf-8", "replace").decode()
            tracking._client.set_prompt_version_tag("summarize", version, name, forged[:5000] or " ")
            problem = _served_as_before(target, wanted) or None
            if name in tags:
                tracking._client.set_prompt_version_tag("summarize", version, name, tags[name])
            else:
                tracking._client.delete_prompt_version_tag("summarize", str(version), name)
            if problem:
                return f"{kind} in {name}: {problem}"
    tracking._client.delete_prompt_alias("summarize", "candidate")
    time.sleep(1)
    return _served_as_before(target, wanted)


def _served_as_before(target, wanted):
    from service.release.registry import fetch_candidate, fetch_released

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
    for name, text in {"omni.release.000777": ESCAPE, "note": ESCAPE}.items():
        tracking._client.set_prompt_version_tag("summarize", version, name, text)
    for command in ("verify", "history"):
        done = subprocess.run(
            [sys.executable, "-m", "omni", command],
            env=target.rig.environment(), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        shown = (done.stdout + done.stderr).decode(errors="replace")
        if any(code in shown for code in ("\x1b[2J", "\x1b]0", "\x07", "\u202e")):
            return f"omni {command} prints escape codes"
    if b"\x1b]0" in target.service._log.read_bytes():
        return "the service's log holds escape codes"
    tracking._client.delete_prompt_version_tag("summarize", str(version), "omni.release.000777")
    return None


ATTACKS = (
    endless_headers, dripping, crowds, pipelines, hostile_bytes, forged_tokens, fuzzed_requests, hostile_files,
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
