"""The self-test plants faults in answers; those of conversations are planted in their right runs, by `omni cases`."""

import pytest
from throw_away import ThrowAway

from eval.selftest.run import SelftestOptions, selftest
from service.errors import ConfigurationError
from service.settings import Settings


def test_a_task_of_conversations_is_sent_to_the_proofs_of_its_cases(tmp_path):
    house = ThrowAway(tmp_path, "parcels")
    try:
        with pytest.raises(ConfigurationError, match="omni cases --task parcels"):
            selftest(SelftestOptions(task="parcels"), Settings(root=tmp_path, state_dir=tmp_path / "state"))
    finally:
        house.remove()
