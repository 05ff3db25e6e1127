"""Which pairs the gate of a pull request leaves to others."""

import sys
import tempfile
from pathlib import Path

import pytest

from eval.commands.pull_request import _pair_checks, _without_root
from eval.spine.changes import Changed
from service.core.knowledge import installed
from service.kit.settings import Settings


def test_code_whose_extra_is_not_installed_is_neutral(monkeypatch):
    monkeypatch.setattr(installed, "NEEDED", ("no_such_package",))
    (check,), spent = _pair_checks(Changed(pairs=("rules-minilm",), reasons=()), "main", "assistant", Settings(), None)
    assert (check.name, check.state, spent) == ("pair rules-minilm of assistant", "neutral", 0)
    assert "needs an extra that is not installed here" in check.said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("{root}/datasets/triage/dev.jsonl:3: field", "datasets/triage/dev.jsonl:3: field"),
        ("Next: {program}/omni promote rules", "Next: omni promote rules"),
        ("no file {temporary}/omni-code-gate-1a/base/ours.json", "no file ours.json"),
        ("File '{home}/.cache/omni/model.gguf'", "File 'model.gguf'"),
        ("POST /v1/triage, docs at http://localhost/docs", "POST /v1/triage, docs at http://localhost/docs"),
    ],
)
def test_a_comment_names_no_folder_of_the_runner(said, shown):
    folders = {"program": Path(sys.executable).parent, "temporary": tempfile.gettempdir(), "home": Path.home()}
    root = "/home/ci/runner/repo"
    assert _without_root(said.format(root=root, **folders), Settings(root=root)) == shown
