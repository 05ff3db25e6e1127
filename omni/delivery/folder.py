"""Puts a report into a folder of its own, whole or not at all."""

import secrets
import shutil
from pathlib import Path

from omni.delivery.destinations import FolderDestination
from omni.delivery.outgoing import DeliveryFailed, Outgoing


def put_into_folder(report: Outgoing, destination: FolderDestination, root: Path) -> Path:
    """Write all files of the report and ``message.txt``, and return their folder; a folder that exists stays as it is.

    Raises:
        DeliveryFailed: the folder cannot be written.
    """
    shelf = root / destination.path
    folder = shelf / report.report_id
    temporary = shelf / f".{report.report_id}.{secrets.token_hex(4)}.tmp"
    try:
        if folder.is_dir():
            return folder
        temporary.mkdir(parents=True)
        for file in report.files:
            (temporary / file.name).write_bytes(file.content)
        (temporary / "message.txt").write_text(report.text(), encoding="utf-8")
        temporary.rename(folder)
    except OSError as err:
        raise DeliveryFailed(f"{folder} cannot be written: {err.strerror or type(err).__name__}", passing=True) from err
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
