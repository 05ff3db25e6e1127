"""Good summaries by independent authors, who saw no detector."""

import json
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent


def load_texts() -> Mapping[str, Mapping[str, str]]:
    """Return each author's texts by the id of the case in ``datasets/summarize/gate.jsonl``, by author ("author_a")."""
    return {
        path.stem: {row["case"]: row["text"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
        for path in sorted(_FOLDER.glob("*.jsonl"))
    }


def load_call_texts() -> Mapping[str, str]:
    """Return good summaries of calls by the id of the case in ``datasets/scorecard/gate.jsonl``."""
    rows = map(json.loads, (_FOLDER / "calls" / "good.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["case_id"]: row["text"] for row in rows}
