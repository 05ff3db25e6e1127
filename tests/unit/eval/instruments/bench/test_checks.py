"""What the checks of an answer cost: every part is timed, and the command ends with 1 where the guard is too slow."""

import pytest

from eval.instruments.bench import checks
from service.kit.settings import Settings


def test_each_check_is_timed_on_its_own():
    found = checks.check_costs(Settings(), cases=20)
    assert list(found) == ["prompt", "guard", "accounting"]
    assert all(0 < cost.median_ms <= cost.p95_ms for cost in found.values())


@pytest.mark.parametrize(("guard_ms", "ends"), [(3.0, 0), (3.1, 1)])
def test_a_guard_above_its_target_ends_the_command_with_1(monkeypatch, capsys, guard_ms, ends):
    costs = {name: checks.CheckCost(median_ms=ms, p95_ms=ms) for name, ms in (("prompt", 0.1), ("guard", guard_ms))}
    monkeypatch.setattr(checks, "check_costs", lambda settings: costs)
    assert checks.main() == ends
    assert f"{guard_ms / 0.1:6.0f} times the prompt" in capsys.readouterr().out
