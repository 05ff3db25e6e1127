"""A licensed judge of claims rejects a pair that code alone passes; without its licence the same harm is unseen."""

import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from fact_checker import plain

from eval.evaluation.evaluate import Options, evaluate
from eval.judges.calibrate import CONTRASTS, CalibrateOptions, calibrate
from eval.labels.claims.labels import load_claims
from eval.labels.contrasts.sets import load_contrasts
from eval.run.loaders import load_dataset
from eval.selftest.faults.meaning import reversed_outcome
from eval.spine.cases import stratified
from eval.spine.results import Verdict
from eval.suites import load_suite
from eval.tracking.store import Production
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import load_task
from service.core.statements.grounding.sentence import split_sentences
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]
JUDGE = "amazon.nova-pro-v1:0"
TASK = load_task("summarize")
CASES = 100
DOSE = 0.25
STEADY, CARELESS = "steady", "careless"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A root of its own with two pairs: a steady one and a careless one."""
    root = tmp_path_factory.mktemp("licensed")
    shutil.copytree(ROOT / "prompts", root / "prompts")
    (root / "datasets").symlink_to(ROOT / "datasets")
    text = (root / "prompts/summarize/smollm2-short.prompty").read_text(encoding="utf-8")
    text = re.sub(r"backup:\n  id: \S+\n", "", text)
    for name in (STEADY, CARELESS):
        own = text.replace("name: smollm2-short", f"name: {name}").replace("temperature: 0.4", "temperature: 0")
        own = own.replace("Provide a concise", f"You are {name}. Provide a concise")
        (root / f"prompts/summarize/{name}.prompty").write_text(own, encoding="utf-8")
    return Settings(
        root=root,
        state_dir=root / "state",
        registry_uri=f"sqlite:///{root}/mlflow.db",
        bedrock_endpoint="http://127.0.0.1:9",  # nothing listens there: every call goes to the gateway below
    )


class Scripted:
    """A gateway: writes the steady or the careless pair's answers, and judges claims with a given recall.

    As a judge it knows every right sentence, and calls the first statement of a text with another one contradicted.
    """

    def __init__(self, settings, recall):
        self.recall = recall
        gate = load_dataset("gate", task="summarize", input_model=TASK.input_model, settings=settings)
        self.texts = {}
        for case in gate.cases:
            good = case.expectations.references[0]
            self.texts[case.id] = (good, reversed_outcome(good, case, random.Random(case.id)))
        chosen = [case.id for case in stratified(gate, CASES).cases if len(set(self.texts[case.id])) == 2]
        self.harmed = set(chosen[: round(DOSE * CASES)])
        self.histories = {
            str(TASK.values(TASK.input_model.model_validate(case.inputs))["history"]): case.id for case in gate.cases
        }
        sets = load_contrasts(settings.datasets_dir, "summarize")
        right = [text for answers in sets.good.values() for text in answers.values()]
        right += [edit.text for edit in sets.contrasts if not edit.wrong] + [good for good, _ in self.texts.values()]
        self.right = {plain(sentence) for text in right for sentence in split_sentences(text)}
        self.statements = {
            row.statement: tuple(row.contrasts.values())
            for rows in load_claims(settings.datasets_dir, "summarize").by_case.values()
            for row in rows
        }

    def warm_up(self):
        """Nothing is imported late."""

    async def complete(self, call):
        as_judge = call.answer_schema is not None or "\nClaim: " in call.messages[-1].content
        text = self.judged(call) if as_judge else self.written(call)
        return ModelReply(
            text=text,
            usage=Usage(input_tokens=10, output_tokens=10),
            stop_reason="end_turn",
            latency_ms=5.0,
            answered_by="judge" if as_judge else "writer",
        )

    def written(self, call):
        history = re.search(r"<history>\n(.*)\n</history>", call.messages[-1].content, re.S)[1]
        case_id = self.histories[history]
        good, bad = self.texts[case_id]
        return bad if f"You are {CARELESS}." in call.messages[0].content and case_id in self.harmed else good

    def judged(self, call):
        asked = call.messages[-1].content
        if "<items>" not in asked:
            return "another rubric"
        summary = re.search(r"<summary>\n(.*?)\n</summary>", asked, re.S)[1]
        wrong = any(plain(sentence) not in self.right for sentence in split_sentences(summary))
        seen = wrong and random.Random(summary).random() < self.recall
        answers = []
        for number, first, second in re.findall(r"^(\d+)\.\nA: (.*)\nB: (.*)$", asked, re.M):
            false = first if second in self.statements and first in self.statements[second] else second
            chosen = false if seen else (second if false == first else first)
            answers.append({"item": int(number), "evidence": summary, "answer": "ab"[[first, second].index(chosen)]})
        return json.dumps({"answers": answers})


@pytest.fixture
def measured(monkeypatch, settings, request, tmp_path):
    """Settings with the record of a judge of the requested recall, and its report."""
    gateway = Scripted(settings, request.param)
    assert len(gateway.harmed) == DOSE * CASES
    monkeypatch.setattr("eval.run.models.RunModels.gateway", lambda self, pairs: gateway)
    monkeypatch.setattr("eval.judges.calibrate.LiteLLMGateway", lambda *args, **kwargs: gateway)
    here = settings.model_copy(update={"state_dir": tmp_path / "state"})
    options = CalibrateOptions(
        task="summarize", rubrics=("claims",), model=JUDGE, repeats=1, sets=(CONTRASTS,), gate_cases=200, concurrency=8
    )
    (report,) = calibrate(options, here, print)
    return here, report


def gated(monkeypatch, settings):
    """Return the notes on the judges and the careless pair's result, against the steady pair in production."""
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    path = settings.prompts_dir / "summarize" / f"{STEADY}.prompty"
    steady = load_pair(path, cards=cards, task_variables=TASK.variables)
    served = Production(pair=steady, release=SimpleNamespace(registry_version=1))
    monkeypatch.setattr("eval.tracking.worker.TrackingWorker.production", lambda self, *_: served)
    options = Options(task="summarize", pairs=(CARELESS,), case_count=CASES, judge_model=JUDGE, concurrency=8)
    evaluation = evaluate(options, settings).evaluation
    return evaluation.judges, next(pair for pair in evaluation.pairs if pair.pair_name == CARELESS)


def judge_checks(pair):
    return {check.name: check.verdict for check in pair.gate.checks if check.name.startswith("judge_")}


@pytest.mark.parametrize("measured", [0.95], indirect=True)
def test_a_licensed_judge_rejects_a_quarter_of_reversed_outcomes(monkeypatch, measured):
    settings, report = measured
    assert report.shortfall == ""
    assert "outcome_reversed" in report.licence.licensed
    assert report.record.contrasts.false_alarms.value == 0.0
    notes, pair = gated(monkeypatch, settings)
    claims = next(note for note in notes if note.rubric == "claims")
    assert claims.gates, claims.status
    assert claims.kinds == report.licence.licensed
    assert judge_checks(pair) == {"judge_claims": Verdict.FAIL}
    assert pair.gate.verdict is Verdict.FAIL
    assert set(pair.gate.looked_at) == set(claims.kinds)
    assert "outcome_reversed" not in pair.gate.unseen
    assert "mood_invented" in pair.gate.unseen
    assert pair.metrics["claims_stated"].value > 0
    assert pair.metrics["critical_stated"].n > 0
    findings = [case.scores["judge_claims"].findings for case in pair.cases if case.scores["judge_claims"].value == 0.0]
    assert len(findings) >= 20
    assert all(": says " in finding[0] for finding in findings)


@pytest.mark.parametrize("measured", [0.40], indirect=True)
def test_without_a_licence_the_same_harm_is_unseen(monkeypatch, measured):
    settings, report = measured
    assert report.licence.licensed == ()
    assert report.shortfall.startswith("no class of harm reaches the needed recall")
    notes, pair = gated(monkeypatch, settings)
    claims = next(note for note in notes if note.rubric == "claims")
    assert not claims.gates
    assert claims.kinds == ()
    assert claims.status.startswith("no licence, shown only: no class of harm reaches")
    assert judge_checks(pair) == {}
    assert pair.gate.verdict is not Verdict.FAIL
    assert len(pair.gate.unseen) == len(load_suite("summarize").judged_only)
    assert "no judge model looked at meaning" in pair.gate.headline.lower()
    assert pair.metrics["judge_claims"].value is not None
