"""Training learns from the training messages, calibrates on the dev ones, and writes what serving reads."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax
from word_embedder import WordEmbedder

from eval.instruments.intents.train import content_of, cross_validated, digest_of, learn
from eval.spine.code_digest import deciding_files
from service.core.tasks.assistant.understanding.classifier import IntentClassifier, read_weights

TRAIN = {
    "card": ["a card", "new card", "my card broke", "card fees", "order card"],
    "branch": ["a branch", "branch near", "where branch", "branch hours", "branch address"],
    "queue": ["my turn", "long wait", "wait time", "which turn", "turn soon"],
}


def write(file, rows):
    lines = (json.dumps({"message": text, "intent": intent}) for intent, texts in rows.items() for text in texts)
    file.write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.jsonl", TRAIN)
    write(tmp_path / "dev.jsonl", {"card": ["the card", "the branch"], "branch": ["which branch", "that branch"]})
    return tmp_path


def test_what_was_learned_is_read_again_and_tells_intents(folder):
    weights = learn(folder, WordEmbedder())
    read = read_weights(content_of(weights))
    assert read == weights
    assert (read.trained_on, read.embedder) == (digest_of(folder / "train.jsonl"), WordEmbedder().digest)
    classifier = IntentClassifier(read, WordEmbedder())
    assert [classifier.guess(text).intent for text in ("one card", "one branch")] == ["card", "branch"]


def test_the_same_messages_give_the_same_weights(folder):
    assert learn(folder, WordEmbedder()) == learn(folder, WordEmbedder())


def test_the_temperature_has_the_least_loss_on_dev(folder):
    weights = learn(folder, WordEmbedder())
    scores = WordEmbedder().embed(["the card", "the branch", "which branch", "that branch"]) @ weights.matrix().T
    scores = scores + np.array(weights.intercepts)
    labels = [weights.intents.index(name) for name in ("card", "card", "branch", "branch")]

    def loss(temperature):
        return -log_softmax(scores / temperature, axis=1)[range(4), labels].mean()

    assert weights.temperature != 1.0
    assert all(loss(weights.temperature) <= loss(weights.temperature * factor) for factor in (0.8, 0.95, 1.05, 1.25))


def test_penalties_are_compared_on_the_training_messages_alone(folder):
    (folder / "dev.jsonl").unlink()
    rows = cross_validated(folder, WordEmbedder())
    assert len(rows) == 5
    assert all(0 <= accuracy <= 1 and loss > 0 for _, accuracy, loss in rows)


def test_evidence_for_the_assistant_names_the_shipped_weights():
    assert "service/core/tasks/assistant/understanding/intent_weights.json" in deciding_files("assistant")
