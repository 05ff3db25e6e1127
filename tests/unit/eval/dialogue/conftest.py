"""The parcel service, dropped into the house."""

import pytest
from throw_away import ThrowAway


@pytest.fixture
def parcels(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    yield tmp_path
    task.remove()
