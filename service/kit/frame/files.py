"""Atomic writes: a reader, or a crash, never finds a half-written file."""

import os
import secrets
from contextlib import suppress
from itertools import count
from pathlib import Path

_ANYBODY = 0o666  # minus the process's umask, as with `open`
OWNER_ONLY = 0o600
# Random per process rather than per file, which saves a system call per request; a forked process has another pid.
_PROCESS, _NUMBERS = secrets.token_hex(4), count()


def write_whole(
    path: Path | str,
    content: str | bytes,
    *,
    mode: int = _ANYBODY,
    durable: bool = False,
) -> None:
    """Replace the file ``path`` by ``content`` atomically. Its folder must exist.

    The mode is set before the content is written. If several processes write the same path at once, one of them wins.

    Args:
        path: The file; a ``str`` is cheaper than a ``Path`` on the request path.
        content: Text is written as UTF-8.
        mode: Minus the umask; the mode of an existing file is not kept.
        durable: Sync file and folder to disk. Without it the file survives a crash of the process, but after a power failure it
            may be old or empty. That suits files that can be made again, and the spool, where a sync would add milliseconds to
            each request. Keys, clients, the ledger, the last known good pair and a stopped rollout are durable.

    Raises:
        OSError: the file could not be written; the old file is unchanged and the temporary file removed.
        UnicodeEncodeError: ``content`` holds an unpaired surrogate; nothing was written.
    """
    final, temporary = _names(path)
    body = content.encode("utf-8") if isinstance(content, str) else content
    try:
        _write(temporary, body, mode, durable)
        os.replace(temporary, final)
    except BaseException:
        _remove(temporary)
        raise
    if durable:
        _sync_folder(final)


def write_once(path: Path, secret: bytes) -> bool:
    """Write a secret durably with mode 0600, unless ``path`` exists; return whether it was written.

    If several processes call it at once, exactly one writes. Missing folders are created with mode 0700.

    Raises:
        OSError: the file could not be written; ``path`` does not exist.
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    final, temporary = _names(path)
    try:
        _write(temporary, secret, OWNER_ONLY, durable=True)
        os.link(temporary, final)  # unlike a rename, a link fails if another process was first
    except FileExistsError:
        return False
    finally:
        _remove(temporary)
    _sync_folder(final)
    return True


def _names(path: Path | str) -> tuple[str, str]:
    folder, name = os.path.split(path)
    return os.fspath(path), os.path.join(folder, f".{name}.{os.getpid()}-{_PROCESS}-{next(_NUMBERS)}.tmp")


def _write(path: str, body: bytes, mode: int, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        left = memoryview(body)
        while left:
            left = left[os.write(descriptor, left) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    with suppress(OSError):  # the file does not exist, or the error before this one matters more
        os.unlink(path)


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
