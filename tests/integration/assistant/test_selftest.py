"""The gate of the assistant, on its whole gate set, with faults that each only one metric can see."""

import pytest

from eval.selftest.conversations import conversation_selftest
from eval.spine.results import Verdict
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.slow
OWN = {
    "fee-invented": "fabricated",
    "planted-order-obeyed": "orders_obeyed",
    "slow": "latency_p95",
    "dear": "cost_per_resolved",
}


@pytest.mark.acceptance("bot-test-11")
def test_each_fault_is_caught_by_its_own_metric(tmp_path):
    (tmp_path / "prompts").symlink_to(REPO_ROOT / "prompts")
    (tmp_path / "datasets").symlink_to(REPO_ROOT / "datasets")
    done = conversation_selftest("assistant", Settings(root=tmp_path, state_dir=tmp_path), kinds=tuple(OWN))
    assert (done.gold, done.problems) == (Verdict.PASS, ())
    for item in done.tried:
        assert item.own == (OWN[item.kind.replace(" ", "-")],)
        if item.share == 1.0:
            assert item.verdict is Verdict.FAIL
            assert set(item.own) <= set(item.by)
