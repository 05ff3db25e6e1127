"""An erasure with another key for its hashes than the service's would find nothing, and say that nothing is left."""

import time

import pytest
from shared_table import TableInMemory

from service.access.shared_limits import SharedLimits
from service.core.llm.reliability import Reliability
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.kit.telemetry.fields import current_account_key, set_account_key
from service.privacy.erasure import build

SERVICE, OTHER = b"s" * 32, b"o" * 32


@pytest.fixture(autouse=True)
def key():
    before = current_account_key()
    yield
    set_account_key(before)


@pytest.fixture
def told(monkeypatch):
    """Build an eraser with a key, where tasks with other keys serve; return what it reports."""

    def build_with(own, *served):
        table, lines = TableInMemory(), []
        monkeypatch.setattr(build, "open_shared_state", lambda settings: table)
        for one in served:
            set_account_key(one)
            SharedLimits(table, None, Reliability(time.monotonic)).beat()
        set_account_key(own)
        build.build_eraser(Settings(aws_endpoint="http://127.0.0.1:1"), "acme", report=lines.append)
        return " ".join(lines)

    return build_with


def test_the_key_of_the_running_service_is_taken(told):
    assert "OMNI_LOG_KEY" not in told(SERVICE, SERVICE, SERVICE)


@pytest.mark.acceptance("operation-20")
def test_another_key_is_refused(told):
    with pytest.raises(ConfigurationError, match="OMNI_LOG_KEY is not the key of the running service"):
        told(OTHER, SERVICE)


def test_a_service_with_two_keys_is_refused(told):
    with pytest.raises(ConfigurationError, match="OMNI_LOG_KEY is not the key"):
        told(SERVICE, SERVICE, OTHER)


def test_without_a_running_task_it_says_that_nobody_can_tell(told):
    assert "nobody can tell whether OMNI_LOG_KEY" in told(SERVICE)
