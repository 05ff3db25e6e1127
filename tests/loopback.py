"""Serves a runtime on loopback, in a thread of the test's own process."""

import socket
import threading
from contextlib import contextmanager

import uvicorn

from service.app import create_app


@contextmanager
def serving(runtime, port=0, around=lambda app: app):
    """Yield host and port; ``around`` may put another ASGI application in front."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        around(create_app(runtime=runtime)), log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        runtime.leaving.set()
        server.should_exit = True
        thread.join(20)
