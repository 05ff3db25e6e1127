"""Documents are read from Markdown, JSON and JSON lines, and a faulty file is named."""

import json
from pathlib import Path

import pytest

from service.core.knowledge.documents import MOST_CHARACTERS, read_documents
from service.kit.frame.errors import KnowledgeError

OWN = Path(__file__).resolve().parents[4] / "knowledge_base" / "documents"


def written(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def test_a_folder_of_markdown_json_and_json_lines_is_read_by_id():
    documents = read_documents(OWN)
    assert len(documents) == 20
    assert [document.id for document in documents] == sorted(document.id for document in documents)
    late = next(document for document in documents if document.id == "billing/late-fee")
    assert (late.version, late.title, late.metadata) == ("7", "Late payment fee", {"product": "electricity"})
    assert late.text.startswith("# Late payment fee")
    assert next(one for one in documents if one.id == "contracts/cancel").metadata == {"product": "contracts"}


def test_front_matter_may_say_everything_or_be_absent(tmp_path):
    folder = written(
        tmp_path,
        a__md="---\nid: cards/lost\nversion: 1.5\ntitle: Lost\nsince: 2026-01-02\nopen: true\n---\nCall us.\r\n",
        b__md="no heading, no front matter",
        c__md="---\n---\n# Its heading #\ntext",
    )
    first, second, third = sorted(read_documents(folder), key=lambda document: document.title.lower(), reverse=True)
    assert (first.id, first.version, first.text) == ("cards/lost", "1.5", "Call us.")
    assert first.metadata == {"since": "2026-01-02", "open": "true"}
    assert (third.id, third.title) == ("b", "b")
    assert second.title == "Its heading"
    assert len(third.version) == 12


def test_another_text_has_another_version_where_none_is_given(tmp_path):
    (before,) = read_documents(written(tmp_path, a__md="one"))
    (after,) = read_documents(written(tmp_path, a__md="two"))
    assert before.version != after.version


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no document"),
        ({"a__json": "{"}, r"a\.json: not JSON"),
        ({"a__json": [1]}, r"a\.json: not a document"),
        ({"a__jsonl": '{"id": "x", "title": "t", "text": "x"}\n{"id": "y", "title": "t"}\n'}, r"a\.jsonl:2: version"),
        ({"a__json": {"id": "x y", "title": "t", "text": "x"}}, r"a\.json: id: "),
        ({"a__json": {"id": "x#1", "title": "t", "text": "x"}}, r"a\.json: id: "),
        ({"a__json": {"id": "x", "title": "t", "text": " \n"}}, r"a\.json: text: "),
        ({"a__json": {"id": "x", "title": "t", "text": "x" * (MOST_CHARACTERS + 1)}}, r"a\.json: text: "),
        ({"a__json": {"id": "x", "title": "t", "text": "x", "txet": "y"}}, r"a\.json: txet: "),
        ({"a__json": {"id": "x", "title": "t", "text": "x", "metadata": {"a": ["b"]}}}, r"a\.json: metadata\.a: "),
        ({"a__md": "---\n- a\n---\nx"}, r"a\.md: its front matter is no list of names and values"),
        ({"a__md": "---\na: [\n---\nx"}, r"a\.md: not YAML"),
        ({"a__md": "---\na: b\n---\n"}, r"a\.md: text: "),
        ({"a__md": "x", "a__markdown": "y"}, r"the id 'a' is that of .*a\.m"),
    ],
)
def test_a_faulty_file_is_named_in_one_line(tmp_path, files, message):
    with pytest.raises(KnowledgeError, match=message) as caught:
        read_documents(written(tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_a_missing_folder_are_refused(tmp_path):
    (tmp_path / "a.md").write_bytes(b"\xff\xfe")
    with pytest.raises(KnowledgeError, match=r"a\.md: it is not UTF-8"):
        read_documents(tmp_path)
    with pytest.raises(KnowledgeError, match="is no folder"):
        read_documents(tmp_path / "absent")
