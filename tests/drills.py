"""Which tests are drills, and what became of them: tests/drills.yaml, and docs/drill.json for ``omni doctor --release``."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

_HERE = Path(__file__).parent


def _pattern(text):
    return re.compile(re.escape(text).replace(r"\*", ".*"), re.DOTALL)


class _Line:
    def __init__(self, moved, kept):
        self.text, self.moved, self.kept = moved, _pattern(moved), {text: _pattern(text) for text in kept}

    def takes(self, name):
        return self.moved.fullmatch(name) and not any(kept.fullmatch(name) for kept in self.kept.values())


def mark(items):
    """Mark the drills among ``items``; return what is wrong with the file if ``items`` are all tests."""
    lines = [_Line(**line) for line in yaml.safe_load((_HERE / "drills.yaml").read_text(encoding="utf-8"))]
    names = {item.nodeid.removeprefix(f"{_HERE.name}/"): item for item in items}
    moved = {name for name in names if any(line.takes(name) for line in lines)}
    for name in moved:
        names[name].add_marker(pytest.mark.drill)
    left = set(names) - moved
    faults = [f"{line.text} moves no test" for line in lines if not any(map(line.takes, names))]
    return faults + [
        f"{text} keeps no test in `make test`"
        for line in lines
        for text, kept in line.kept.items()
        if not any(map(kept.fullmatch, left))
    ]


def result_of(outcomes, *, seconds):
    """What docs/drill.json keeps of a run: ``outcomes`` are test ids by what became of them."""
    head = ["git", "rev-parse", "HEAD"]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": subprocess.run(head, cwd=_HERE, capture_output=True, text=True, check=False).stdout.strip(),
        "minutes": round(seconds / 60, 1),
        "passed": len(outcomes.get("passed", ())),
        "failed": sorted({*outcomes.get("failed", ()), *outcomes.get("error", ())}),
        "skipped": len(outcomes.get("skipped", ())),
    }
