"""What ``omni calibrate`` prints of a judge with a licence, and which records the data card still takes."""

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from eval.commands.calibrate import _lines, calibrate
from eval.judges.calibrate import JudgeReport, missing_licences
from eval.judges.calibration import Calibration, save
from eval.judges.contrast_card import contrast_card
from eval.judges.contrasts import ClassMeasure, ContrastMeasure, KindMeasure
from eval.judges.jury import load_jury
from eval.judges.licence import LicenceTerms, licence
from eval.labels.contrasts.sets import contrasts_digest
from eval.spine.judge_spec import JudgeSpec
from figures.stats import rate_interval
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

CARDS = ModelCards.load(Settings().prompts_dir / "models.yaml")
SPEC = JudgeSpec(
    rubric="claims",
    bad_kinds=(),
    reason="r",
    margin=0.07,
    yes_or_no=True,
    asks_claims=True,
    kinds=("negation", "cause_changed"),
)


def record(*, digest="a" * 64, set_digest="sets", model="m", negation=24, cause=10):
    kinds = (
        KindMeasure(
            kind="negation", label="wrong", kept=False, n=25, flagged=negation, abstained=1, by_words=5, by_code=2
        ),
        KindMeasure(
            kind="cause_changed", label="wrong", kept=False, n=25, flagged=cause, abstained=0, by_words=4, by_code=0
        ),
        KindMeasure(kind="paraphrase", label="right", kept=False, n=240, flagged=0, abstained=2, by_words=9, by_code=9),
    )
    return Calibration(
        judge_digest=digest,
        rubric="claims",
        model=model,
        answered_by=model,
        environment="aws",
        date="2026-11-22T00:00:00+00:00",
        repeats=1,
        contrasts=ContrastMeasure(
            set_digest=set_digest,
            claims_digest="claims",
            max_undecided=SPEC.max_undecided,
            cases={"dev": 40, "gate": 200},
            kinds=kinds,
            false_alarms=rate_interval(0, 240),
            coverage=rate_interval(236, 240),
            words_auc=rate_interval(144, 240),
            classes=(
                ClassMeasure(name="reversal", n=160, held=60, recall=rate_interval(6.4 * negation, 160)),
                ClassMeasure(name="invention", n=160, held=60, recall=rate_interval(6.4 * cause, 160)),
            ),
            quarter="2026-Q4",
        ),
    )


TERMS = LicenceTerms(
    task="summarize",
    set_digest="sets",
    claims_digest="claims",
    classes={"negation": "reversal", "cause_changed": "invention"},
    quarters=("2026-Q4",),
)


def printed(**changes):
    found = record(**changes)
    granted = licence(found, SPEC, TERMS)
    report = JudgeReport(
        spec=SPEC, record=found, shortfall=granted.shortfall, calls=1640, failures=(("cut off", 3),), licence=granted
    )
    return _lines(report)


def test_a_licensed_judge_is_printed_with_its_table_rates_and_kinds():
    lines = printed()
    assert "judge claims on m, answered by m (aaaaaaaaaaaa, 1640 answers, 1 per row)" in lines
    assert "Contrast sets (cases: 40 of dev, 200 of gate)" in lines
    assert "| negation | 25 | 0.96 [0.80, 0.99], 1 open | 0.20 [0.09, 0.39] | 0.08 [0.02, 0.25] |" in lines
    assert "  false alarms 0.00 [0.00, 0.02] over 240 cases, decided 0.98 [0.96, 0.99]" in lines
    granted, refused, warning = lines[-3:]
    assert granted.startswith("  licensed, given what each run measures on its own answers: recall at least 0.6")
    assert granted.endswith("for reversal 0.96 [0.92, 0.98] on n=160")
    assert refused.startswith("  no licence for invention 0.40 [0.33, 0.48] on n=160: 3")
    assert refused.endswith("points of recall too few (on 160 cases it takes 0.72)")
    assert warning.startswith("  warning, cause_changed: recall 0.40 [0.23, 0.59] on n=25 is certainly below 0.6")


def test_a_judge_without_a_licence_is_printed_with_the_reason():
    assert printed(negation=9)[-4].startswith("  no licence for reversal 0.36 [")


def test_what_no_judge_is_licensed_for_ends_the_command_with_1():
    found = record()
    granted = licence(found, SPEC, TERMS)
    report = JudgeReport(spec=SPEC, record=found, shortfall="", calls=1, failures=(), licence=granted)
    assert missing_licences([report]) == ["cause_changed"]
    other = replace(report, licence=granted.only(()), spec=replace(SPEC, kinds=("negation",)))
    assert missing_licences([other]) == []
    assert missing_licences([report, replace(report, licence=licence(record(cause=24), SPEC, TERMS))]) == []
    assert missing_licences([replace(report, licence=None, spec=replace(SPEC, kinds=()), shortfall="kappa")]) == [
        "claims"
    ]


def test_unknown_sets_are_refused_with_the_known_ones():
    app = typer.Typer()
    app.command()(calibrate)
    done = CliRunner().invoke(app, ["--sets", "own,all"])
    assert done.exit_code == 2
    assert "use some of own, public, contrasts, comma separated" in done.output


@pytest.fixture
def settings(tmp_path):
    """Two cases of dev with a good answer and an edit each, in a root of their own."""
    real = Settings()
    (tmp_path / "prompts").symlink_to(real.prompts_dir)
    folder = tmp_path / "datasets" / "summarize"
    (folder / "contrasts").mkdir(parents=True)
    lines = (real.datasets_dir / "summarize" / "dev.jsonl").read_text(encoding="utf-8").splitlines()[:2]
    for name in ("dev", "gate"):
        (folder / f"{name}.jsonl").write_text(lines[name == "gate"] + "\n", encoding="utf-8")
    names = [json.loads(line)["id"] for line in lines]
    good = [{"case_id": name, "writer": "full", "text": f"The fee was waived ({name})."} for name in names]
    edits = [
        {"id": f"{name}-1", "case_id": name, "label": "wrong", "kind": "negation", "before": "was", "after": "was not"}
        for name in names
    ]
    for name, rows in (("good", good), ("gate", edits)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "contrasts" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return Settings(root=tmp_path, state_dir=tmp_path / "state")


def test_the_card_takes_records_of_todays_judges_on_todays_sets_alone(settings):
    text = "\n".join(contrast_card("summarize", settings, CARDS))
    assert "| | n | detectors |\n" in text
    assert "1 case of dev and 1 case of gate" in text
    digest = text.rpartition("Contrast sets sha256 ")[2][:12]
    model = "amazon.nova-pro-v1:0"
    jury = load_jury("claims", settings=settings, cards=CARDS, models=model)
    today = contrasts_digest(settings.datasets_dir, "summarize")
    assert today.startswith(digest)
    save(record(digest=jury.digest, set_digest=today, model=model), settings.state_dir)
    for number, other in enumerate(
        (
            record(set_digest=today, model=model),
            record(set_digest=today, model="no such model"),
            replace(record(set_digest=today), rubric="another"),
            record(set_digest="older", model=model),
        )
    ):
        save(replace(other, judge_digest=f"{number}" * 64), settings.state_dir)
    text = "\n".join(contrast_card("summarize", settings, CARDS))
    assert text.count("\nJudge claims") == 1
    assert f"| | n | detectors | claims ({model}) |" in text


def test_a_task_without_contrast_sets_has_no_such_part(settings):
    (settings.datasets_dir / "summarize" / "contrasts" / "good.jsonl").unlink()
    assert contrast_card("summarize", settings, CARDS) == []
