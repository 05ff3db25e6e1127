"""A worker that follows the queue waits for the first release: were it to end, ECS would take that for a failed deployment."""

import pytest

from service.calls.worker import build
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings
from service.kit.telemetry import metrics


@pytest.fixture
def looks(monkeypatch):
    """A registry that has a release at the third look; returns the looks, to which each pause is added."""
    seen = []

    class Source:
        def __init__(self, task, settings):
            assert task == "scorecard"

        def refresh(self):
            seen.append("look")

        def current(self):
            if seen.count("look") < 3:
                raise RegistryError("the registry has no alias 'production'")

    monkeypatch.setattr("service.core.release.registry.RegistryPairSource", Source)
    return seen


def test_a_worker_waits_for_the_first_release_and_is_not_silent(looks, capsys):
    before = metrics.total(metrics.WORKER_ROUNDS, worker="calls")
    build.wait_for_release(Settings(), sleep=lambda seconds: looks.append(seconds))
    assert looks == ["look", 20, "look", 20, "look"]
    assert metrics.total(metrics.WORKER_ROUNDS, worker="calls") == before + 2
    assert capsys.readouterr().err.count("calls wait for the first release") == 1
