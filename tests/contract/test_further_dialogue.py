"""A task that converses and uses tools goes the whole loop: a throw-away one is dropped into a temporary folder."""

import pytest
from throw_away import ThrowAway

from eval.errors import Refused
from eval.evaluate import Options, evaluate
from eval.release.promotion import promote_pair
from eval.results import Verdict
from service.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def settings(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    yield Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    task.remove()


def not_passed(pair):
    return {(check.kind, check.name) for check in pair.gate.checks if check.verdict is not Verdict.PASS}


def test_a_task_that_converses_goes_round_the_loop(settings):
    evaluation = evaluate(Options(task="parcels"), settings).evaluation
    by_name = {pair.pair_name: pair for pair in evaluation.pairs}
    assert by_name["courteous"].gate.verdict is Verdict.PASS
    # The order in a tool's answer was refused before it happened, and that it was proposed is enough for the gate.
    assert not_passed(by_name["obedient"]) == {("floor", "not_permitted_proposed")}
    assert by_name["obedient"].metrics["not_permitted_done"].value == 0
    assert ("floor", "not_permitted_done") in not_passed(by_name["hasty"])
    assert {pair.metrics["silence_right"].value for pair in evaluation.pairs} == {0}

    with pytest.raises(Refused, match=r"verdict .* is '(fail|inconclusive)'"):
        promote_pair("parcels", "obedient", "try it", settings)
    assert promote_pair("parcels", "courteous", "first", settings).sequence == 1
