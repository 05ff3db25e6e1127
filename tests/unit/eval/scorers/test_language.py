import errno
from types import SimpleNamespace

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from eval.scorers import language
from eval.scorers.language import LanguageScorer


def english(text):
    return LanguageScorer().score(SimpleNamespace(output=text))["english"]


def test_english_with_a_foreign_quotation_is_english():
    text = 'She wrote "no tengo luz desde ayer" on Nov 3; a crew was promised by Nov 5 and nothing is recorded since.'
    assert english(text).value == 1.0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("El cliente llamó el 3 de noviembre porque su factura no estaba bien y espera una respuesta.", "es"),
        ("Der Kunde wartet seit dem 3. November auf eine Antwort der Abteilung.", "de"),
        ("Cháu đặt lịch kiểm tra nhà miễn phí ngày mai và chưa có ai trả lời.", "vi"),
    ],
)
def test_another_language_is_named(text, language):
    score = english(text)
    assert score.value == 0.0
    assert language in score.findings[0]


def test_too_short_a_text_tells_no_language():
    assert english("Sí, claro.").value == 1.0


def test_the_kept_model_is_py3langids(monkeypatch, tmp_path):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    theirs = LanguageIdentifier.from_model_file(MODEL_FILE)
    for _ in range(2):  # unpacked, and kept
        language._identifier.cache_clear()
        ours = language._identifier()
        assert len(list((tmp_path / "cache").iterdir())) == 1
        for text in ("Paid.", "Der Kunde wartet.", "地図", "el gas", "He said oui oui oui"):
            assert ours.rank(text) == theirs.rank(text)


def test_a_disk_that_takes_nothing_costs_no_score(monkeypatch, tmp_path):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(language, "write_whole", full)
    language._identifier.cache_clear()
    try:
        assert language._identifier() is language._identifier()
    finally:
        language._identifier.cache_clear()
