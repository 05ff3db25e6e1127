"""Replaces a text file atomically."""

import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step; an interrupt leaves the old file, and nothing half-written."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # An unpaired surrogate in a model's answer is not UTF-8; it must not cost the report.
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
