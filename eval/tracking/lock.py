"""Locks that allow one release at a time: a file lock for a sqlite store, a unique registry name for a remote store."""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.kit.frame.errors import RegistryError

# A release takes less than a second. A holder that keeps the name longer has died, so its name may be taken over.
STALE_AFTER_S = 120.0


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold ``path`` exclusively among the processes of this machine; waits for the present holder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def name_lock(client: Any, name: str, *, now: float | None = None) -> Iterator[None]:
    """Hold the registry entry ``name`` alone among all machines: the store creates a name once.

    MLflow has no compare-and-set on an alias; its unique names are the one conditional write that it offers.

    Raises:
        RegistryError: somebody else releases right now; the message says who and since when.
    """
    from mlflow.exceptions import MlflowException

    at = time.time() if now is None else now
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    for attempt in (1, 2):
        try:
            client.create_registered_model(name, tags={"omni.owner": owner, "omni.at": str(at)})
            break
        except MlflowException as err:
            if err.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            held = client.get_registered_model(name).tags
            age = at - float(held.get("omni.at", at))
            if attempt == 2 or age < STALE_AFTER_S:
                raise RegistryError(
                    f"somebody else is releasing right now ({held.get('omni.owner', 'unknown')}, since {max(age, 0):.0f} s); "
                    f"run again. A holder that died is taken over after {STALE_AFTER_S:.0f} s"
                ) from err
            client.delete_registered_model(name)
    try:
        yield
    finally:
        # A release that took longer than STALE_AFTER_S may have lost the name to another holder: do not delete that one's.
        try:
            if client.get_registered_model(name).tags.get("omni.owner") == owner:
                client.delete_registered_model(name)
        except MlflowException:
            pass  # what was done under the name is done; one that is left behind goes stale
