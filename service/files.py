"""Writes a file as a whole or not at all, whatever interrupts it; readers see the old content or the new."""

import os
import secrets
from contextlib import suppress
from itertools import count
from pathlib import Path

_ANYBODY = 0o666  # less the process's umask, as `open` has it
OWNER_ONLY = 0o600
# Random once for each process and not for each file, which costs the request path a system call; a fork has another pid.
_PROCESS, _NUMBERS = secrets.token_hex(4), count()


def write_whole(
    path: Path | str,
    content: str | bytes,
    *,
    mode: int = _ANYBODY,
    durable: bool = False,
    errors: str = "strict",
) -> None:
    """Replace ``path`` by ``content`` in one step. Its folder must exist.

    The new file has ``mode`` before it has content. Several processes may write the same path at once: one of them wins.

    Args:
        path: The file; a text spares the request path what a ``Path`` costs.
        content: Text is written as UTF-8.
        mode: Less the umask; the mode of a file that was there before is not kept.
        durable: Wait until file and folder are on the disk. Without it the file survives the death of the process; after a power
            failure it may be old or empty. That is right for what can be made again, and for the spool, which would otherwise
            cost each request milliseconds; keys, clients, the ledger, the last known good pair and a stopped rollout are durable.
        errors: What to do about an unpaired surrogate, which models write and UTF-8 cannot hold: "strict" or "replace".

    Raises:
        OSError: the file could not be written; the old one stands, and no temporary file.
        UnicodeEncodeError: ``content`` holds an unpaired surrogate and ``errors`` is "strict"; nothing was touched.
    """
    final, temporary = _names(path)
    body = content.encode("utf-8", errors) if isinstance(content, str) else content
    try:
        _write(temporary, body, mode, durable)
        os.replace(temporary, final)
    except BaseException:
        _remove(temporary)
        raise
    if durable:
        _sync_folder(final)


def write_once(path: Path, secret: bytes) -> bool:
    """Write a secret durably, readable by its owner alone, unless ``path`` exists; return whether it was written.

    Of several processes at once one writes it. Folders that are missing are made for the owner alone.

    Raises:
        OSError: the file could not be written; no part of it is there.
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    final, temporary = _names(path)
    try:
        _write(temporary, secret, OWNER_ONLY, durable=True)
        os.link(temporary, final)  # unlike a rename, a link fails when somebody else was first
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
    with suppress(OSError):  # not there, or nothing can be done about it: what happened before is the news
        os.unlink(path)


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
