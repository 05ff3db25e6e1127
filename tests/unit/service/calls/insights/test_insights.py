"""Sentiment and key phrases: by turn and by call, by words or by Amazon Comprehend, and a failure that says so."""

import json
from collections import Counter

import boto3
import pytest
from botocore.stub import Stubber
from sklearn.metrics import roc_auc_score
from structlog.testing import capture_logs

from service.calls.insights.comprehend import MOST_BYTES, ComprehendReader
from service.calls.insights.insight import CallInsights, InsightsFailed, TurnInsight, insights_of
from service.calls.insights.words import WordReader
from service.core.tasks.scorecard.transcript import Turn
from service.kit.frame.errors import StoreError
from service.kit.settings import REPO_ROOT

SENTIMENTS = {
    "relieved": "POSITIVE", "calm": "NEUTRAL", "anxious": "NEGATIVE", "frustrated": "NEGATIVE", "angry": "NEGATIVE",
}  # fmt: skip


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


class Fixed:
    """Answers one balance per text, or raises."""

    by, languages = "fixed", frozenset({"en"})

    def __init__(self, *balances, error=None):
        self.balances, self.error = balances, error

    def read(self, turns, language):
        if self.error is not None:
            raise self.error
        return [
            TurnInsight(
                turn=turns[min(number, len(turns) - 1)][0],
                sentiment="POSITIVE" if balance > 0 else "NEGATIVE" if balance < 0 else "NEUTRAL",
                balance=balance,
                key_phrases=(f"phrase {number}", "the bill"),
            )
            for number, balance in enumerate(self.balances)
        ]


@pytest.fixture
def amazon():
    client = boto3.client("comprehend", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    slept = []
    with Stubber(client) as stub:
        yield ComprehendReader(client, sleep=slept.append, clock=lambda: sum(slept)), stub, slept
        stub.assert_no_pending_responses()
    client.close()


def feeling(number, sentiment, positive, negative):
    scores = {"Positive": positive, "Negative": negative, "Neutral": 0.0, "Mixed": 0.0}
    return {"Index": number, "Sentiment": sentiment, "SentimentScore": scores}


def phrases(number, *texts):
    return {"Index": number, "KeyPhrases": [{"Text": text, "Score": 0.9} for text in texts]}


def given(*texts):
    return {"TextList": list(texts), "LanguageCode": "en"}


def test_the_calls_sentiment_is_the_customers_and_its_end_weighs_more():
    """-0.6 at the start with weight 1 and 0.6 at the end with weight 2: 0.6 / 3."""
    turns = [turn("It is wrong."), turn("I see.", "agent"), turn("Glad to hear that.")]
    found = insights_of(Fixed(-0.6, -0.9, 0.6), turns)
    assert (found.sentiment, found.balance, found.failure) == ("POSITIVE", 0.2, None)
    assert [(one.turn, one.sentiment) for one in found.turns] == [(0, "NEGATIVE"), (1, "NEGATIVE"), (2, "POSITIVE")]
    assert found.key_phrases[0] == "the bill"  # in most turns
    assert insights_of(Fixed(-0.9, -0.9, 0.5), turns).sentiment == "MIXED"
    assert insights_of(Fixed(0, -0.9, 0), turns).sentiment == "NEUTRAL"


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (InsightsFailed("no such text"), "no such text", "refused"),
        (InsightsFailed("3 of 4", "incomplete"), "3 of 4", "incomplete"),
        (StoreError("Amazon Comprehend does not answer"), "does not answer", "unreachable"),
    ],
)
@pytest.mark.acceptance("event.CALL_INSIGHTS_FAILED", "call-04")
def test_a_failure_is_stated_and_costs_no_call_its_score(error, said, code):
    with capture_logs() as logs:
        found = insights_of(Fixed(error=error), [turn("It is wrong.")])
    assert [(line["event"], line["read_by"]) for line in logs] == [("CALL_INSIGHTS_FAILED", "fixed")]
    assert said in (found.failure or "")
    assert found.failure_code == code
    assert (found.sentiment, found.key_phrases, found.turns) == (None, (), ())


@pytest.mark.acceptance("call-04")
def test_nothing_is_empty_without_a_reason():
    silent, short = insights_of(Fixed(), [turn("(music)", "system")]), insights_of(Fixed(), [turn("It is wrong.")])
    assert (silent.failure, silent.failure_code) == ("no words are spoken", "no_words")
    assert (short.failure, short.failure_code) == ("0 answers about 1 turns", "incomplete")
    german = [turn("Guten Tag, ich habe eine Frage zu der Rechnung und bitte Sie, mir das zu erklären.")]
    found = insights_of(WordReader(), german)
    assert found.failure == "the call is in German, which local-words-v1 does not read"
    assert found.failure_code == "language"


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("I am furious about this.", "NEGATIVE"),
        ("I'm so relieved, that is wonderful.", "POSITIVE"),
        ("I am not happy with that.", "NEGATIVE"),
        ("No problem.", "POSITIVE"),
        ("My account number is four five.", "NEUTRAL"),
        ("Happy that you called, but the bill is wrong.", "MIXED"),
    ],
)
def test_words_have_a_sentiment(text, sentiment):
    (found,) = WordReader().read([(0, text)], "en")
    assert found.sentiment == sentiment


def test_phrases_are_what_was_said_without_what_was_redacted():
    (found,) = WordReader().read(
        [(0, "The gas meter reading of [NAME] was a wrong estimate, and the gas meter is new.")], "en"
    )
    assert found.key_phrases == ("gas meter reading", "wrong estimate", "gas meter")


@pytest.mark.acceptance("call-04")
def test_comprehend_reads_25_turns_a_request_in_order(amazon):
    reader, stub, _ = amazon
    texts = [f"turn {number}" for number in range(26)]
    for part in (texts[:25], texts[25:]):
        felt = [feeling(number, "NEUTRAL", 0.1, 0.1) for number in range(len(part))]
        stub.add_response("batch_detect_sentiment", {"ResultList": felt[::-1], "ErrorList": []}, given(*part))
        named = [phrases(number, f"the {text}", "[name]") for number, text in enumerate(part)]
        stub.add_response("batch_detect_key_phrases", {"ResultList": named, "ErrorList": []}, given(*part))
    found = reader.read(list(enumerate(texts)), "en")
    assert [one.key_phrases for one in found] == [(f"the {text}",) for text in texts]


def test_comprehend_answers_with_a_balance_and_a_long_turn_is_cut_at_a_character(amazon):
    reader, stub, _ = amazon
    cut = "é" * (MOST_BYTES // 2)
    stub.add_response(
        "batch_detect_sentiment", {"ResultList": [feeling(0, "MIXED", 0.5, 0.25)], "ErrorList": []}, given(cut)
    )
    stub.add_response("batch_detect_key_phrases", {"ResultList": [phrases(0)], "ErrorList": []}, given(cut))
    (found,) = reader.read([(0, cut + "é")], "en")
    assert (found.sentiment, found.balance) == ("MIXED", 0.25)


def test_a_throttled_request_is_repeated_and_a_refused_turn_is_a_failure(amazon):
    reader, stub, slept = amazon
    stub.add_client_error("batch_detect_sentiment", "ThrottlingException", http_status_code=400)
    errors = {"ResultList": [], "ErrorList": [{"Index": 0, "ErrorCode": "TEXT_TOO_LONG", "ErrorMessage": "x"}]}
    stub.add_response("batch_detect_sentiment", errors, given("turn"))
    found = insights_of(reader, [turn("turn")])
    assert found.failure == "Amazon Comprehend cannot read 1 turns: TEXT_TOO_LONG"
    assert len(slept) == 1


def test_a_missing_answer_is_a_failure(amazon):
    reader, stub, _ = amazon
    stub.add_response("batch_detect_sentiment", {"ResultList": [], "ErrorList": []}, given("turn"))
    assert insights_of(reader, [turn("turn")]).failure == "Amazon Comprehend answered about 0 of 1 turns"


@pytest.mark.acceptance("call-05")
def test_every_labelled_call_has_insights_and_the_words_are_as_weak_as_stated():
    """Each call of the gate has a sentiment and phrases; texts that say how often the words are right say what is measured."""
    said, right, labels, balances = Counter(), Counter(), [], []
    for line in (REPO_ROOT / "datasets/scorecard/gate.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found = insights_of(WordReader(), [Turn.model_validate(one) for one in case["inputs"]["turns"]])
        if found.failure is not None:
            assert "does not read" in found.failure or "no words" in found.failure
            continue
        assert found.key_phrases
        label = SENTIMENTS[case["expectations"]["tone"]["customer"]]
        said[found.sentiment] += 1
        right[found.sentiment] += label == found.sentiment
        labels.append(label)
        balances.append(found.balance)
    of, total = Counter(labels), len(labels)
    negative = of["NEGATIVE"]
    recall = sum(right[label] / of[label] for label in of) / len(of)
    auc = roc_auc_score([label == "NEGATIVE" for label in labels], [-balance for balance in balances])
    assert None not in said
    hits = right.total()
    shown = (
        f"of {total} labelled calls",
        f"in {hits / total:.0%}",
        f"in {negative / total:.0%}",
        f"{recall:.0%} on average",
        f"{auc:.2f}",
    )
    for text, statements in {
        "service/api/pages/qa-insights.js": shown,
        "reports/compare/call_sentiment.py": shown,
        "service/warehouse/events.py": (f"the sentiment of {hits / total:.0%}", f"names {negative / total:.0%}"),
        "docs/benchmarks.md": (
            f"of {total} labelled calls",
            f"of {hits} ({hits / total:.0%}",
            f"would name {negative})",
            f"is {recall:.2f} (by chance 0.33), its AUC of negative against the others {auc:.2f}",
        ),
        "docs/guides/qa-lead.md": (
            f"on {total} labelled calls it was right in {hits}",
            f"is right in {negative};",
            f"{right['NEGATIVE']} of {said['NEGATIVE']} were",
            f"is {recall:.2f} (0.33 by chance), its AUC of negative against the others {auc:.2f}",
        ),
    }.items():
        written = " ".join((REPO_ROOT / text).read_text(encoding="utf-8").replace('" "', " ").split())
        for statement in statements:
            assert statement in written, (text, statement)


def test_what_a_newer_version_added_is_no_reason_not_to_read():
    found = insights_of(WordReader(), [Turn(speaker="customer", start_s=0, text="I am happy")])
    written = json.loads(found.model_dump_json()) | {"later": 1}
    written["turns"] = [one | {"later": 1} for one in written["turns"]]
    assert CallInsights.model_validate(written) == found
