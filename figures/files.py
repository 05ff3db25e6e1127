"""Says where results are written, and writes text files atomically."""

import secrets
from pathlib import Path

from figures.command_line import is_simulated


def out_folder(root: Path, kind: str) -> Path:
    """Return the folder for results of ``kind``, such as "eval"; those of simulated weeks have one of their own."""
    out = root / "reports" / "out"
    return (out / "simulated" if is_simulated() else out) / kind


def write_whole(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step; an interrupt leaves the old file, and nothing half-written."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # An unpaired surrogate in a model's answer is not UTF-8; it must not cost the report.
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
