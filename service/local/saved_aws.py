"""Runs ministack and saves its state every few seconds; ministack alone saves only when it ends in order."""

import http.client
import os
import threading
import time

from service.local.loopback import HOST

_EVERY_S = 2.0
# Saving takes longer the more there is to save: it gets a twentieth of the time.
_PAUSES = 20


def save_repeatedly(port: int) -> None:
    """Save the state of every service for ever, once ministack answers on ``port``; each file is replaced whole."""
    from ministack import app
    from ministack.core.persistence import save_all

    # Until it answers, ministack may still be loading: an empty state must not replace a saved one.
    while not _answers(port):
        time.sleep(_EVERY_S)
    while True:
        started = time.monotonic()
        save_all(app._build_persistence_save_dict())
        time.sleep(max(_EVERY_S, _PAUSES * (time.monotonic() - started)))


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_EVERY_S)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    """Run ministack until it is stopped."""
    from ministack.app import main as run

    port = int(os.environ["GATEWAY_PORT"])
    threading.Thread(target=save_repeatedly, args=(port,), name="save", daemon=True).start()
    run()


if __name__ == "__main__":
    main()
