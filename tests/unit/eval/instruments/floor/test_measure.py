"""The floor's table: scores by hand, equal lengths, and where the learned weights are written."""

import shutil

from eval.instruments.floor import measure
from eval.instruments.floor.measure import guarded, print_floor, scored, scores_of, weights_of_floor
from eval.spine.cases import Case, Expectations, Fact
from service.core.tasks.summarize.digest import WEIGHTS
from service.core.tasks.summarize.selection import Weights
from service.kit.settings import REPO_ROOT, Settings

SMOL = ("smollm2-short", "smollm2-structured")
FACTS = (
    Fact(statement="The fee", accepted=("$45",), interaction_id="i1", span="$45"),
    Fact(statement="The crew", accepted=("crew + 11/24", "technician"), interaction_id="i1", span="crew"),
)
TEXT = "Thanks for holding. The $45 fee is disputed. A crew comes on 11/24. We talked about dogs for a while."


def case(name="case-1", **expected):
    item = {
        "interaction_id": "i1",
        "channel": "agent",
        "timestamp": "2026-11-19T10:00:00Z",
        "intent": "Fee",
        "text": TEXT,
    }
    inputs = {
        "as_of": "2026-11-20T10:00:00Z",
        "account_number": "1234567890",
        "contact_id": "c",
        "interactions": [item],
    }
    return Case(id=name, inputs=inputs, expectations=Expectations(**expected))


def test_scores_are_the_suites_and_absent_without_labels():
    found = scores_of(case(facts=FACTS, references=("The $45 fee is open.",)), "The $45 fee is open.")
    assert found == {"fact_coverage": 0.5, "chrf": 100.0, "rouge_l": 1.0, "words": 5.0}
    assert scores_of(case(), "Any text.") == {"fact_coverage": None, "chrf": None, "rouge_l": None, "words": 2.0}


def test_baselines_have_the_digests_number_of_words_at_most():
    found = scored([case(facts=FACTS)], lambda case: WEIGHTS)
    digest = found["digest"][0]
    assert digest["fact_coverage"] == 1.0
    assert {name for name, rows in found.items() if rows[0]["words"] <= digest["words"]} == set(found)


def test_the_guard_is_asked_about_each_digest(monkeypatch):
    assert guarded([case()], WEIGHTS) == []
    monkeypatch.setattr(measure, "extractive_digest", lambda visible, weights: "Owes $99.99.")
    assert guarded([case(), case("case-2")], WEIGHTS) == ["case-1", "case-2"]


def test_the_table_says_what_was_learned_from_what(monkeypatch, capsys):
    cases = [case(f"case-{number}", facts=FACTS, references=("The $45 fee.",)) for number in range(6)]
    monkeypatch.setattr(measure, "cases_of", lambda names, settings: cases)
    monkeypatch.setattr(measure, "planted_lines", lambda settings, weights: ["planted"])
    print_floor(Settings(), ["gate", "dev"])
    printed = capsys.readouterr().out
    assert "gate, 6 cases, nothing was learned from these cases" in printed
    assert "dev, 6 cases, weights learned without the case (5 folds)" in printed
    assert printed.count("digest  1.00") == 2


def test_fitting_pins_the_weights_in_the_pairs_that_name_them_and_keeps_the_earlier_file(monkeypatch, tmp_path):
    weights = Weights(features={"money": 1.0}, length_power=0.5, repetition=0.5)
    monkeypatch.setattr(measure, "cases_of", lambda names, settings: [])
    monkeypatch.setattr(measure, "lessons_of", lambda cases: [])
    monkeypatch.setattr(measure, "learn", lambda lessons: weights)
    shutil.copytree(REPO_ROOT / "prompts", tmp_path / "prompts")
    settings = Settings(root=tmp_path)
    assert weights_of_floor(settings) == WEIGHTS
    file, pairs = measure.fit_floor(settings)
    assert file.parent == tmp_path / "prompts" / "summarize"
    assert [path.stem for path in pairs] == ["extractive", "nova-lite", "nova-micro-compressed", "nova-micro", *SMOL]
    assert weights_of_floor(settings) == weights
    monkeypatch.setattr(measure, "learn", lambda lessons: WEIGHTS)
    assert measure.fit_floor(settings)[0] != file
    assert file.exists()


def test_the_gate_set_is_never_learned_from():
    assert "gate" in measure.MEASURED_ON
    assert "gate" not in measure.LEARNED_FROM
