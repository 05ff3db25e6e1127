"""The process of the local Bedrock stand-in, which answers Converse on loopback with the bundled model or injected faults."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from service.kit.frame.display.terminal import say
from service.local.bedrock_http import BedrockStandIn
from service.local.converse_wire import BedrockError
from service.local.engines import (
    ECHO_MODEL_ID,
    Catalogue,
    ChatEngine,
    EchoEngine,
    EngineUnavailable,
    SmolEngine,
    SmolSettings,
    find_model,
)
from service.local.faults import FaultPlan
from service.local.options import ServerOptions, parse_arguments
from service.local.scripted_model import SCRIPTED_MODEL_ID, ScriptedEngine

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; 0 takes a free port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A restart must not wait for old connections in TIME_WAIT; a port with another listener is still refused.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(1024)
    return listener


def exit_when_stdin_ends() -> None:
    """Wait until standard input ends, then send SIGTERM to this process. A pipe ends even if the parent is killed by SIGKILL."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _digest_engine(options: ServerOptions) -> ChatEngine | None:
    if not options.digest_models:
        return None
    from service.local.digest_model import DigestEngine  # slow to import, so only with --digest-models

    return DigestEngine(skips=options.digest_skips, latency=options.digest_latency, seed=options.seed)


async def _serve(options: ServerOptions, listener: socket.socket, model: Path | None) -> None:
    from aiohttp import web

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    plan = FaultPlan(options.seed)
    for rule in options.faults:
        plan.add(rule)
    smol_settings = SmolSettings(
        slots=options.slots, threads=options.threads, batch_threads=options.batch_threads, seed=options.seed
    )
    smol = SmolEngine(model, smol_settings) if model else None
    echo = EchoEngine(latency=options.echo_latency, words=options.echo_words, seed=options.seed)
    scripted = ScriptedEngine(options.script, seed=options.seed) if options.script else None
    stand_in = BedrockStandIn(
        echo=echo,
        smol=smol,
        catalogue=Catalogue(allowed=options.models, echoed=options.echo_models),
        plan=plan,
        scripted=scripted,
        digest=_digest_engine(options),
        digested=options.digest_models,
    )
    # Cancel the handler of a closed connection, so that a caller that gave up does not occupy the model.
    runner = web.AppRunner(stand_in.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    preload = asyncio.create_task(_preload(smol)) if smol and options.preload else None
    await stop.wait()
    await runner.cleanup()
    if preload:
        preload.cancel()
    if smol:
        await smol.close()


async def _preload(smol: SmolEngine) -> None:
    # The engine has logged the error, and every call that needs the model returns it.
    with contextlib.suppress(BedrockError):
        await smol.load()


def main(arguments: Sequence[str]) -> int:
    """Run the server until SIGTERM, SIGINT or (with --die-with-stdin) the end of standard input.

    Prints one JSON line with `url` and `pid` on standard output when the socket listens. Returns the exit code: 0 if it was
    stopped, 2 if it could not start.
    """
    options = parse_arguments(arguments)
    ready_fd = os.dup(1)
    if options.log:
        with options.log.open("ab") as log:
            os.dup2(log.fileno(), 2)
    # Output of native code goes to the log: standard output carries only the ready line.
    os.dup2(2, 1)
    try:
        modelless = {ECHO_MODEL_ID, SCRIPTED_MODEL_ID, *options.echo_models, *options.digest_models}
        model = None if options.models and options.models <= modelless else find_model()
        listener = listen(options.port)
    except EngineUnavailable as err:
        say(err, file=sys.stderr, flush=True)
        return 2
    except OSError as err:
        remedy = "stop the program that listens there, or pass --port 0 for a free port"
        say(f"cannot listen on {HOST} port {options.port} ({err.strerror}): {remedy}", file=sys.stderr, flush=True)
        return 2
    for name in (signal.SIGTERM, signal.SIGINT):
        # Before the event loop runs there is nothing to clean up, so an early stop also exits with code 0.
        signal.signal(name, lambda *_: os._exit(0))
    if options.die_with_stdin:
        threading.Thread(target=exit_when_stdin_ends, daemon=True).start()
    # Report readiness before the slow import of aiohttp: the kernel queues early connections.
    ready = json.dumps({"url": f"http://{HOST}:{listener.getsockname()[1]}", "pid": os.getpid()})
    os.write(ready_fd, ready.encode() + b"\n")
    os.close(ready_fd)
    asyncio.run(_serve(options, listener, model))
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Exit without the interpreter's shutdown, which would wait for llama.cpp's loading or generating threads.
    os._exit(code)
