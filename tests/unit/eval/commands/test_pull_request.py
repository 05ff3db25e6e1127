"""Which pairs the gate of a pull request leaves to others."""

from eval.commands.pull_request import _pair_checks
from eval.spine.changes import Changed
from service.core.knowledge import installed
from service.kit.settings import Settings


def test_code_whose_extra_is_not_installed_is_neutral(monkeypatch):
    monkeypatch.setattr(installed, "NEEDED", ("no_such_package",))
    (check,), spent = _pair_checks(Changed(pairs=("rules-minilm",), reasons=()), "main", "assistant", Settings(), None)
    assert (check.name, check.state, spent) == ("pair rules-minilm of assistant", "neutral", 0)
    assert "needs an extra that is not installed here" in check.said
