"""Measuring who is heard in trouble: what is counted, that no message is shown, and what damaged files say."""

import json

import pytest

from eval.instruments.intents.trouble import measure_trouble, read_trouble
from eval.spine.errors import CaseError
from service.core.tasks.assistant.understanding.intents import Guess

ROWS = (
    {"text": "I lost my card", "kind": "lost_or_stolen", "language": "en", "trouble": True},
    {"text": "Zounds and gadzooks all night", "kind": "fraud_under_way", "language": "en", "trouble": True},
    {"text": "me han robado la tarjeta", "kind": "lost_or_stolen", "language": "es", "trouble": True},
    {"text": "my phone died on the way", "kind": "metaphor", "language": "en", "trouble": False},
)


def guess(message):
    return Guess(intent="talk", confidence=0.0, trouble="fraud" if "Zounds" in message else None)


def written(folder, *rows):
    file = folder / "messages.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


def test_what_words_and_meaning_hear_is_counted_by_kind_and_language(tmp_path, capsys):
    measure_trouble(read_trouble(written(tmp_path, *ROWS)), guess)
    lines = {line.split(" n=")[0].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert " 2 (2) 1.000" in lines["lost_or_stolen"]
    assert lines["fraud"].count(" 0 (0) 0.000") == lines["fraud"].count(" 1 (1) 1.000") == 1
    assert lines["all trouble"].count(" 2 (2) 0.667") == lines["all trouble"].count(" 3 (3) 1.000") == 1
    assert lines["picture"].count(" 0 (0) 0.000") == 2
    assert "n=1 " in lines["trouble, es"]
    assert "Zounds" not in "".join(lines.values())


@pytest.mark.parametrize(
    ("row", "says"), [({**ROWS[0], "language": "fr"}, "language"), ({**ROWS[0], "trouble": None}, "trouble")]
)
def test_a_damaged_line_is_named_without_its_message(tmp_path, row, says):
    with pytest.raises(CaseError, match=says) as found:
        read_trouble(written(tmp_path, row))
    assert "card" not in str(found.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CaseError, match="no_such"):
        read_trouble(tmp_path / "no_such.jsonl")
