"""``python -m service.local.openai``: a server of OpenAI's and Anthropic's wires on loopback."""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable

from service.kit.frame.display.terminal import say
from service.local.bedrock import HOST, exit_when_stdin_ends, listen
from service.local.digest_model import parse_skip
from service.local.engines import EngineUnavailable, SmolSettings, find_model, llama_server
from service.local.openai.answers import Answer, load_answer
from service.local.openai.plan import TroublePlan, parse_trouble
from service.local.options import DEFAULT_BATCH_THREADS, DEFAULT_SLOTS, DEFAULT_THREADS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.local.openai", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument(
        "--script", default="good", help="who answers: good, bad, a file of JSON lines, or module:function"
    )
    parser.add_argument(
        "--bundled", action="store_true", help="llama.cpp's own server with the bundled model answers; it uses no tools"
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="CHANNEL=RULE",
        help="`good` leaves out this channel unless the system message contains the rule",
    )
    parser.add_argument("--trouble", action="append", default=[], metavar="KIND[=COUNT]", help="what goes wrong")
    parser.add_argument("--key", help="the only API key that is accepted; default: any")
    parser.add_argument("--name", default="scripted", help="name that marks the answers as a stand-in's; '' sends none")
    parser.add_argument("--die-with-stdin", action="store_true", help="exit when standard input ends")
    return parser


def main() -> int:
    """Serve until SIGTERM or SIGINT; print one JSON line with ``url`` and ``pid`` when the socket listens."""
    parser = _parser()
    options = parser.parse_args()
    if options.die_with_stdin:
        threading.Thread(target=exit_when_stdin_ends, daemon=True).start()
    if options.bundled:
        return _serve_bundled(options.port)
    try:
        answer = load_answer(options.script, skips=[parse_skip(text) for text in options.skip])
        plan = TroublePlan([parse_trouble(text) for text in options.trouble])
    except ValueError as err:
        parser.error(str(err))
    return _serve(options, answer, plan)


def _serve(options: argparse.Namespace, answer: Answer, plan: TroublePlan) -> int:
    import uvicorn

    from service.local.openai.app import ChatStandIn

    try:
        listener = listen(options.port)
    except OSError as err:
        return _cannot_listen(options.port, err.strerror or "?")
    _ready(f"http://{HOST}:{listener.getsockname()[1]}")
    stand_in = ChatStandIn(answer=answer, name=options.name or None, key=options.key, plan=plan)
    config = uvicorn.Config(stand_in.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _serve_bundled(port: int) -> int:
    stop = threading.Event()
    end: Callable[..., None] = lambda *_: stop.set()  # noqa: E731 - a signal handler
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    settings = SmolSettings(slots=DEFAULT_SLOTS, threads=DEFAULT_THREADS, batch_threads=DEFAULT_BATCH_THREADS, seed=0)
    try:
        server = llama_server(find_model(), settings, port=port)
    except EngineUnavailable as err:
        say(err, file=sys.stderr, flush=True)
        return 2
    except RuntimeError as err:
        return _cannot_listen(port, str(err))
    _ready(server.listening_address)
    stop.wait()
    sys.stderr.flush()
    os._exit(0)  # without the interpreter's shutdown, which would wait for llama.cpp's threads


def _cannot_listen(port: int, why: str) -> int:
    say(f"cannot serve on {HOST} port {port} ({why}): pass --port 0 for a free port", file=sys.stderr, flush=True)
    return 2


def _ready(url: str) -> None:
    os.write(1, json.dumps({"url": url, "pid": os.getpid()}).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
