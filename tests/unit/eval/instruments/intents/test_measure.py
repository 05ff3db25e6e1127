"""The figures of the readers, against a case by hand and against scikit-learn's."""

import pytest
from sklearn.metrics import f1_score

from eval.instruments.intents.measure import calibration_error, figures_of, measure, readers
from eval.instruments.intents.train import LabelledMessage
from service.core.tasks.assistant.understanding.intents import Guess

LABELS = ["card", "card", "card", "branch", "branch", "queue"]
SAID = ["card", "card", "branch", "branch", "unclear", "unclear"]
MESSAGES = [LabelledMessage(message=f"{number}", intent=intent) for number, intent in enumerate(LABELS)]


def test_accuracy_f1_and_what_was_asked_by_hand_and_by_reference():
    figures = figures_of(MESSAGES, lambda message: SAID[int(message)])
    assert figures.accuracy.value == pytest.approx(3 / 6)
    assert {name: found.value for name, found in figures.f1.items()} == pytest.approx(
        {"card": 2 * 2 / (2 + 3), "branch": 2 * 1 / (2 + 2), "queue": 0.0}
    )
    assert (figures.acted, figures.wrong) == (4, 1)
    names = ["branch", "card", "queue"]
    assert figures.macro_f1.value == pytest.approx(
        f1_score(LABELS, SAID, labels=names, average="macro", zero_division=0)
    )
    assert figures.macro_f1.low < figures.macro_f1.value < figures.macro_f1.high


def test_a_second_wish_is_as_right_as_the_first():
    message = LabelledMessage(message="a card, and where is a branch", intent="card", also=("branch",))
    assert figures_of([message, *MESSAGES], lambda text: "branch").rights.tolist()[0] == 1.0


def test_calibration_error_by_hand():
    # In the bin of 0.8: 2 of 4 right at 0.85, so 0.35 too sure; in that of 0.4: 1 of 1 right at 0.45, 0.55 too modest.
    guesses = [Guess(intent="card", confidence=0.85)] * 4 + [Guess(intent="branch", confidence=0.45)]
    messages = [LabelledMessage(message="m", intent=intent) for intent in ("card", "card", "queue", "queue", "branch")]
    assert calibration_error(messages, guesses).value == pytest.approx((4 * 0.35 + 1 * 0.55) / 5)


def test_the_readers_are_words_meaning_and_both():
    guesses = {"Shall I be served soon?": 0.9, "Shall I be served late?": 0.5, "Where is your nearest branch?": 0.9}
    found = readers(lambda message: Guess(intent="queue", confidence=guesses[message]))
    read = {name: [reader(message) for message in guesses] for name, reader in found.items()}
    assert read == {
        "words": ["unclear", "unclear", "branch"],
        "meaning": ["queue", "unclear", "queue"],
        "both": ["queue", "unclear", "branch"],
    }


def test_the_table_is_printed(capsys):
    measure("dev", MESSAGES, lambda message: Guess(intent="card", confidence=0.8))
    printed = capsys.readouterr().out
    assert "dev: 6 messages" in printed
    assert "meaning  accuracy 0.500" in printed
    assert "both less words: accuracy +0.500" in printed
