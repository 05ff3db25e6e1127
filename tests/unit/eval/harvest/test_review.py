import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from eval.harvest.proposal import Proposal, Provenance, read_proposals, write_proposals
from eval.harvest.propose import HarvestContext
from eval.harvest.review import review
from eval.harvest.sources import load_case_source
from eval.spine.cases import Case, load_cases
from eval.suites import load_case_rules
from service.core.run.task import load_task
from service.kit.frame.display.terminal import open_console

ROOT = Path(__file__).resolve().parents[4]
SPAN = "The terrier behind the gate is blind and must hear a voice first."
REFERENCE = (
    "Meter could not be read on Nov 3 because the gate was locked. The customer asks for a call before anybody comes. Before "
    "anybody enters: the terrier behind the gate is blind and must hear a voice first. Nothing else is recorded as open."
)


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "datasets"
    folder.mkdir()
    shutil.copy(ROOT / "datasets" / "summarize" / "dev.jsonl", folder / "gate.jsonl")
    return HarvestContext(
        task=load_task("summarize"),
        source=load_case_source("summarize"),
        rules=load_case_rules("summarize"),
        folder=folder,
        key=b"k",
    )


@pytest.fixture
def path(tmp_path):
    inputs = {
        "as_of": "2026-11-05T12:00:00Z",
        "account_number": "4674143276",
        "contact_id": "c-1",
        "interactions": [
            {
                "interaction_id": "i1",
                "channel": "agent",
                "timestamp": "2026-11-03T10:00:00Z",
                "intent": "MeterAccess",
                "text": f"Mtr not read, gate locked. {SPAN} Wants a call before anybody comes.",
            }
        ],
    }
    said = Provenance(
        request_id="req-1",
        summary_id="req-1",
        week="2026-W45",
        reason="not_helpful",
        pair="extractive",
        pair_digest="d",
        prompt_version="v1",
        registry_version=1,
        answered_by="extractive-digest",
    )
    made = [
        Proposal(case=Case(id=f"reg-2026-w45-{n}", inputs=inputs), provenance=said, shown="[b]gate locked[/b]")
        for n in (1, 2)
    ]
    write_proposals(tmp_path / "p.jsonl", made)
    return tmp_path / "p.jsonl"


def play(path, context, *keys):
    pressed = iter(keys)
    out = io.StringIO()
    counts = review(path, context, open_console(out, width=120), lambda _: next(pressed))
    return counts, out.getvalue()


def accepted(context):
    file = context.folder / "regression.jsonl"
    return load_cases(file, input_model=context.task.input_model).cases if file.exists() else ()


def editor_that_writes(tmp_path, monkeypatch, text):
    script = tmp_path / "editor.py"
    script.write_text(f"import sys, pathlib\npathlib.Path(sys.argv[1]).write_text({text!r})\n", encoding="utf-8")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")


def test_an_incomplete_proposal_is_refused_with_what_is_missing(path, context):
    counts, shown = play(path, context, "a", "s", "q")
    assert not counts["accepted"]
    assert "has no reference" in shown
    assert "has no facts" in shown
    assert "[b]gate locked[/b]" in shown  # somebody else's text is no markup of ours
    assert accepted(context) == ()
    assert [item.decision for item in read_proposals(path)] == ["open", "open"]


def test_an_edited_and_accepted_proposal_becomes_a_case_at_once(path, context, tmp_path, monkeypatch):
    fact = {
        "statement": "A blind dog is behind the gate",
        "accepted": ["terrier + blind"],
        "interaction_id": "i1",
        "span": SPAN,
    }
    editor_that_writes(tmp_path, monkeypatch, json.dumps({"references": [REFERENCE], "facts": [fact]}))
    counts, shown = play(path, context, "e", "a", "q")
    assert counts["accepted"] == 1, shown
    assert [case.id for case in accepted(context)] == ["reg-2026-w45-1"]
    assert [item.decision for item in read_proposals(path)] == ["done", "open"]
    # The second tells the same story: the set has it already.
    counts, shown = play(path, context, "e", "a", "d")
    assert "same text" in shown
    assert [item.decision for item in read_proposals(path)] == ["done", "drop"]
    assert len(accepted(context)) == 1


@pytest.mark.parametrize("text", ["references: [", "surprise: 1", ""])
def test_an_invalid_edit_changes_nothing(path, context, tmp_path, monkeypatch, text):
    editor_that_writes(tmp_path, monkeypatch, text)
    before = read_proposals(path)
    play(path, context, "e", "q")
    assert read_proposals(path) == before


def test_a_missing_editor_is_reported(path, context, monkeypatch):
    monkeypatch.setenv("VISUAL", "no-such-editor-here")
    _, shown = play(path, context, "e", "q")
    assert "set EDITOR" in shown
