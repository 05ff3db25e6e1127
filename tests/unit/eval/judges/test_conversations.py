"""A judge of conversations: what it is asked, known changes to a run's own replies, and what is left of its licence."""

import json
import re
from dataclasses import replace

import pytest

from eval.judges.calibration import Calibration, save
from eval.judges.contrasts import ClassMeasure, ContrastMeasure
from eval.judges.grading import GradingRun
from eval.judges.jury import load_jury
from eval.judges.licence import terms_of
from eval.judges.panel import Panel, judge_answers
from eval.labels.contrasts.twins import twins
from eval.run.loaders import load_dataset
from eval.run.reply_cache import ReplyCache
from eval.selftest.doses.conversations import runs_of, text_of_gold
from eval.suites import load_suite
from figures.stats import rate_interval
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

SETTINGS = Settings()
CARDS = ModelCards.load(SETTINGS.prompts_dir / "models.yaml")
SUITE, TASK = load_suite("assistant"), load_task("assistant")
SPEC = next(spec for spec in SUITE.judges if spec.conversations)
NEW = ("new", "primary")
WRONG, RIGHT = ({row[column] for row in twins()} for column in ("wrong", "right"))


@pytest.fixture(scope="module")
def run():
    """Sixty cases with a correct conversation each, twice."""
    inputs = SUITE.case_model(TASK.input_model)
    cases = load_dataset("dev", task="assistant", input_model=inputs, settings=SETTINGS).cases
    answers = runs_of({case.id: text_of_gold(case) for case in cases}, cases, episode=SUITE.episode, repeats=2)
    return cases, [replace(item, result=replace(item.result, answered_by="writer")) for item in answers]


class Told:
    """A gateway whose model objects to a conversation with the words that ``objects`` returns; keeps what it was asked."""

    def __init__(self, objects):
        self.objects, self.asked = objects, []

    async def complete(self, call):
        self.asked.append(re.search(r"<conversation>\n(.*)\n</conversation>", call.messages[-1].content, re.S)[1])
        found = self.objects(self.asked[-1])
        text = json.dumps({"evidence": [found], "reasons": "r", "grade": "no" if found else "yes"})
        return ModelReply(text=text, usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="judge")


def ask(run, objects, tmp_path):
    """Have a licensed judge, who objects where ``objects`` says so of a conversation, grade the run."""
    sets = tmp_path / "datasets" / "assistant" / "contrasts"
    sets.mkdir(parents=True)
    for name in ("good", "conversations"):
        (sets / f"{name}.jsonl").touch()
    settings = SETTINGS.model_copy(update={"root": tmp_path, "state_dir": tmp_path})
    jury = load_jury("conduct", settings=SETTINGS, cards=CARDS)
    terms = terms_of(SUITE, settings, SPEC)
    measured = ContrastMeasure(
        set_digest=terms.set_digest, claims_digest=None, max_undecided=0.2, cases={"conversations": 240}, kinds=(),
        false_alarms=rate_interval(0, 240), coverage=rate_interval(240, 240), quarter=terms.quarters[0],
        classes=(ClassMeasure(name="conduct", n=160, held=60, recall=rate_interval(158, 160)),),
    )  # fmt: skip
    record = Calibration(
        judge_digest=jury.digest, rubric="conduct", model=jury.model, answered_by="judge", environment="aws",
        date="2026-11-22T00:00:00+00:00", repeats=1, contrasts=measured,
    )  # fmt: skip
    save(record, tmp_path)

    told = Told(objects)
    cases, answers = run
    cache = ReplyCache(tmp_path / "calls")
    try:
        judged = judge_answers(
            Panel(asked=((SPEC, jury),)), GradingRun(gateway=told, cache=cache, run_id="r", concurrency=1), pairs=(),
            task=TASK, suite=SUITE, settings=settings, cases=cases,
            answers={NEW: answers}, production=None,
        )  # fmt: skip
    finally:
        cache.close()
    return judged, told


def holds(sentences):
    return lambda text: next((sentence for sentence in sentences if sentence in text), "")


def test_it_is_asked_once_about_a_whole_conversation_and_keeps_a_licence_for_changes_that_it_sees(run, tmp_path):
    judged, told = ask(run, holds(WRONG), tmp_path)
    (note,) = judged.notes
    assert (note.gates, note.kinds) == (True, ("cold_to_vulnerable", "unclear")), note.status
    assert "1.00 [0.9" in note.status
    assert "known changes to this run's answers seen" in note.status
    answers = judged.answers[NEW]
    assert {item.scores["judge_conduct"].value for item in answers} == {1.0}
    texts = {SUITE.episode.transcript(item.result.output) for item in answers}
    assert len(told.asked) == len(texts) + 150 + 40
    assert set(told.asked) > texts
    assert all(mark in "".join(texts) for mark in ("Customer: ", " done: ", "Assistant: "))
    assert {gate.metric for gate in (*judged.suite.floors, *judged.suite.no_worse)} >= {"judge_conduct"}


def test_a_cold_reply_is_a_zero_with_the_words_that_decide(run, tmp_path):
    first = SUITE.episode.transcript(run[1][0].result.output)
    reply = re.search(r"^Assistant: (.*)$", first, re.M)[1]
    objects = holds(WRONG)
    judged, _ = ask(run, lambda text: objects(text) or (reply if text == first else ""), tmp_path)
    score = judged.answers[NEW][0].scores["judge_conduct"]
    assert (score.value, score.findings) == (0.0, (f"judge: {reply}",))
    assert judged.notes[0].gates


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        (lambda text: "", "it sees 0.00 [0.00, 0.0"),
        (holds(WRONG | RIGHT), "it objects to 1.00 [0.8"),
        (holds(sorted(WRONG)[::3]), "it sees 0."),
    ],
)
def test_who_sees_nothing_or_objects_to_every_change_loses_it(run, objects, says, tmp_path):
    judged, _ = ask(run, objects, tmp_path)
    (note,) = judged.notes
    assert (note.gates, note.kinds) == (False, ())
    assert says in note.status
    assert not [floor for floor in judged.suite.floors if floor.metric == "judge_conduct"]


def test_the_wording_of_a_conversation_is_part_of_what_a_calibration_is_valid_for(monkeypatch):
    def digests():
        return [load_jury(rubric, settings=SETTINGS, cards=CARDS).digest for rubric in ("conduct", "reader")]

    conduct, reader = digests()
    monkeypatch.setattr("eval.judges.grading._transcript_code", lambda: "another wording")
    changed, same = digests()
    assert (changed != conduct, same == reader) == (True, True)
