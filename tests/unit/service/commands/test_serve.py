"""How `serve` completes the settings that it was given."""

import json
import shlex
import threading
from types import SimpleNamespace
from typing import ClassVar

import pytest
from pydantic import BaseModel

from service.commands.serve import FirstLines, _with_writer_process, sample_requests
from service.core.run.task import Task
from service.kit.settings import Settings


def test_the_writer_gets_its_own_process_by_default(monkeypatch):
    monkeypatch.delenv("OMNI_WRITER_PROCESS", raising=False)
    assert _with_writer_process(Settings()).summaries.writer_process


@pytest.mark.parametrize("value", [True, False])
def test_omni_writer_process_decides_where_it_is_set(monkeypatch, value):
    monkeypatch.setenv("OMNI_WRITER_PROCESS", str(value).lower())
    assert _with_writer_process(Settings()).summaries.writer_process is value


class Note(BaseModel):
    note: str


class Triage(Task[Note]):
    name: ClassVar[str] = "triage"
    input_model: ClassVar[type[BaseModel]] = Note
    variables: ClassVar[frozenset[str]] = frozenset({"note"})

    def values(self, inputs):
        return {"note": inputs.note}

    def check(self, text, rules):
        return text


def sample(tmp_path, inputs):
    folder = tmp_path / "datasets" / "triage"
    folder.mkdir(parents=True)
    (folder / "dev.jsonl").write_text(json.dumps({"id": "dev-001", "inputs": inputs}), encoding="utf-8")
    (line,) = sample_requests(Settings(root=tmp_path), [Triage()], "127.0.0.1", 8080)
    return line


def test_the_sample_request_asks_the_task_that_is_released_with_its_first_case(tmp_path):
    line = sample(tmp_path, {"note": "it's the chest"})
    assert shlex.split(line)[2] == "http://127.0.0.1:8080/v1/triage"
    assert json.loads(shlex.split(line)[-1]) == {"note": "it's the chest"}


@pytest.mark.parametrize("inputs", [{"another": "field"}, {"note": "x" * 600}, "no object"])
def test_a_case_that_no_command_line_holds_is_not_shown(tmp_path, inputs):
    assert sample(tmp_path, inputs).startswith("POST http://127.0.0.1:8080/v1/triage, ")


def test_a_service_without_cases_says_where_the_inputs_are_described(tmp_path):
    (line,) = sample_requests(Settings(root=tmp_path), [Triage()], "127.0.0.1", 8080)
    assert line.endswith("its inputs: http://127.0.0.1:8080/docs")


def test_what_becomes_true_after_the_start_is_told_then(tmp_path, monkeypatch, capsys):
    triage = SimpleNamespace(served=None, last_refresh_at=None, last_error=None)
    other = SimpleNamespace(served=None, last_refresh_at=None, last_error=None)
    ready = SimpleNamespace(ready=False, reasons=["task triage: the first registry lookup has not finished yet"])
    sources = {
        name: SimpleNamespace(status=lambda state=state: state)
        for name, state in (("triage", triage), ("other", other))
    }
    answering = SimpleNamespace(tasks={"triage": Triage()}, pair_sources=sources)
    monkeypatch.setattr("service.api.health.readiness_of", lambda runtime: ready)
    lines = FirstLines(Settings(root=tmp_path), SimpleNamespace(answering=answering), "127.0.0.1", 8080)
    assert not lines.print()
    assert "listening on http://127.0.0.1:8080, not serving yet: task triage: the first" in capsys.readouterr().out
    assert not lines.print()
    assert capsys.readouterr().out == ""

    triage.served, triage.last_refresh_at, ready.ready = object(), "now", True
    assert not lines.print()  # the other task's lookup is to come
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("serving on http://127.0.0.1:8080")
    assert told[1].startswith("Next, in a second terminal: POST http://127.0.0.1:8080/v1/triage")
    other.last_error = "no alias"
    lines.follow(threading.Event())
    assert capsys.readouterr().out == ""
