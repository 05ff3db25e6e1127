"""What is left to the drill of each night has a test of the same promise in `make test`: tests/drills.yaml."""

import pytest


def test_every_line_moves_a_test_and_keeps_another(pytestconfig):
    if pytestconfig.getoption("file_or_dir"):
        pytest.skip("needs all tests")
    assert pytestconfig.drill_faults == []
