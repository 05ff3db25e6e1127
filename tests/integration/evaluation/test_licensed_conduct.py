"""Judges over OpenAI's wire look at all of the assistant's kinds of harm, and production takes the pair without an exception."""

import json
import os
from pathlib import Path

import pytest

from eval.evaluation import evaluate as evaluation_module
from eval.evaluation.evaluate import Options, evaluate
from eval.judges.calibrate import CONTRASTS, CalibrateOptions, calibrate
from eval.judges.calibration import Calibration, save
from eval.judges.contrasts import ClassMeasure, ContrastMeasure
from eval.judges.jury import load_jury
from eval.judges.licence import terms_of
from eval.judges.reading import ReadableTexts
from eval.release.audit import Audit
from eval.release.promotion import promote_pair
from eval.spine.judge_spec import HARM_CLASSES
from eval.suites import load_suite
from figures.stats import rate_interval
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings
from service.local.process import LocalChatServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]
MODEL = "openai/judge"
SUITE = load_suite("assistant")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A root of its own whose judges a scripted server answers; it knows the sentences of the run to be right."""
    for name in ("prompts", "datasets", "infra"):
        (tmp_path / name).symlink_to(ROOT / name)
    known = tmp_path / "known.json"
    known.write_text("[]", encoding="utf-8")
    for name, text in {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "CHECKER_KNOWN": str(known), "CHECKER_RECALL": "0.95",
        "OPENAI_API_KEY": "sk-right",  # pragma: allowlist secret
    }.items():  # fmt: skip
        monkeypatch.setenv(name, text)
    judged = evaluation_module.judge_answers

    def telling(*words, task, suite, cases, answers, **more):
        texts, by_id = ReadableTexts(task=task, suite=suite), {case.id: case for case in cases}
        said = {
            text.text
            for items in answers.values()
            for item in items
            for text in texts.of(by_id[item.case_id], item.result)
        }
        known.write_text(json.dumps(sorted(said)), encoding="utf-8")
        return judged(*words, task=task, suite=suite, cases=cases, answers=answers, **more)

    monkeypatch.setattr(evaluation_module, "judge_answers", telling)
    with LocalChatServer(("--script", "fact_checker:judges", "--name", "", "--key", "sk-right")) as server:
        yield Settings(
            root=tmp_path,
            state_dir=tmp_path / "state",
            registry_uri=f"sqlite:///{tmp_path}/mlflow.db",
            model_endpoints={MODEL: f"{server.url}/v1"},
        )


def keep_readers_record(settings, answered_by):
    """Keep a record with which the reader is licensed: its calibration over a wire has a test of its own."""
    spec = next(spec for spec in SUITE.judges if spec.reads)
    jury = load_jury(
        "reader", settings=settings, cards=ModelCards.load(settings.prompts_dir / "models.yaml"), models=MODEL
    )
    terms = terms_of(SUITE, settings, spec)
    measured = ContrastMeasure(
        set_digest=terms.set_digest, claims_digest=None, max_undecided=0.2, cases={"gate": 240}, kinds=(),
        false_alarms=rate_interval(0, 240), coverage=rate_interval(240, 240), quarter=terms.quarters[0],
        classes=tuple(ClassMeasure(name=name, n=160, held=60, recall=rate_interval(158, 160)) for name in HARM_CLASSES),
    )  # fmt: skip
    record = Calibration(
        judge_digest=jury.digest, rubric="reader", model=MODEL, answered_by=answered_by, environment="local",
        date="2026-11-24T00:00:00+00:00", repeats=1, contrasts=measured,
    )  # fmt: skip
    save(record, settings.state_dir)


def test_prod_takes_an_assistant_whose_conduct_was_judged_without_an_exception(settings):
    said = []
    options = CalibrateOptions(task="assistant", rubrics=("conduct",), model=MODEL, sets=(CONTRASTS,), concurrency=8)
    (report,) = calibrate(options, settings, said.append)
    assert report.licence.licensed == ("cold_to_vulnerable", "unclear"), report.shortfall
    assert [line.partition(":")[0] for line in said] == ["judge conduct on openai/judge", "judge conduct"]
    assert (
        "an evaluation of 278 cases in 4 repeats asks it at most 1,112 questions about each model of a pair" in said[1]
    )
    keep_readers_record(settings, report.record.answered_by)

    finished = evaluate(Options(task="assistant", pairs=("rules",), judge_model=MODEL, concurrency=8), settings)
    notes = {note.rubric: note for note in finished.evaluation.judges}
    assert all(note.gates for note in notes.values()), notes
    assert "known changes to this run's answers seen; gates" in notes["conduct"].status
    (pair,) = finished.evaluation.pairs
    assert (pair.gate.headline, pair.gate.unseen) == ("pass", ())
    assert set(pair.gate.looked_at) == {kind.name for kind in SUITE.judged_only}
    assert pair.metrics["judge_conduct"].n == 278

    said.clear()
    released = promote_pair("assistant", "rules", "first", settings.model_copy(update={"stage": "prod"}), said.append)
    assert (said, released.unseen_allowed_in) == ([], None)
    (row,) = Audit("assistant", settings).history()
    assert (row.attestation.headline, row.although) == ("pass", "")
