import pytest

from service.kit.frame.patterns import pattern_texts, word_list
from service.kit.frame.strict import NotStrict

TEXT = """
fruit:
  kind: apple|pear
  wanted: |
    \\b(?:want|
    would like) (?:(?&kind))\\b
words:
  small: a an
    the
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "patterns.yaml"
    path.write_text(TEXT)
    return path


def test_line_breaks_mean_nothing_and_a_name_stands_for_its_text(file):
    assert pattern_texts(file, "fruit")["wanted"] == r"\b(?:want|would like) (?:apple|pear)\b"


def test_words_are_separated_by_spaces(file):
    assert word_list(file, "small").split() == ["a", "an", "the"]


@pytest.mark.parametrize("fault", ["(?&pear)", "(?&kinds)"])
def test_a_name_without_a_text_is_an_error(tmp_path, fault):
    path = tmp_path / f"{len(fault)}.yaml"
    path.write_text(TEXT.replace("(?&kind)", fault))
    with pytest.raises(KeyError):
        pattern_texts(path, "fruit")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text(TEXT.replace("wanted:", "kind:"))
    with pytest.raises(NotStrict, match=r"'kind' stands twice in one place \(line 4\)"):
        pattern_texts(path, "fruit")
