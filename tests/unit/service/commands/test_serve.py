"""How `serve` completes the settings that it was given."""

import pytest

from service.commands.serve import _with_writer_process
from service.kit.settings import Settings


def test_the_writer_gets_its_own_process_by_default(monkeypatch):
    monkeypatch.delenv("OMNI_WRITER_PROCESS", raising=False)
    assert _with_writer_process(Settings()).summaries.writer_process


@pytest.mark.parametrize("value", [True, False])
def test_omni_writer_process_decides_where_it_is_set(monkeypatch, value):
    monkeypatch.setenv("OMNI_WRITER_PROCESS", str(value).lower())
    assert _with_writer_process(Settings()).summaries.writer_process is value
