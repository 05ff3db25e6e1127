"""The scorecard's cases are calls as production scores them, with the labels' quotes in what redaction leaves."""

import json

import pytest

from eval.run.loaders import load_dataset, load_gate
from eval.spine.cases import load_cases
from eval.spine.code_digest import deciding_files
from eval.spine.errors import CaseError
from eval.suites import load_case_rules, load_suite
from eval.suites.scorecard.labels import labels_of, turns_of
from eval.suites.scorecard.redacted import TENANTS, quote_left, redacted_cases
from service.calls.redact.transcript import PatternRedactor, redacted_turns
from service.calls.tenants.store import TenantSettings
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.evidence import find_quote
from service.kit.settings import Settings

FOLDER = Settings().datasets_dir / "scorecard"


def written(name):
    rules = load_case_rules("scorecard")
    return load_cases(FOLDER / f"{name}.jsonl", input_model=ScorecardInputs, expectations=rules.expectations).cases


def quotes(cases):
    return [
        (case.id, name, span)
        for case in cases
        for name, label in labels_of(case).answers.items()
        for span in label.spans
    ]


@pytest.mark.parametrize("name", ["gate", "dev", "contrasts"])
def test_every_labelled_quote_is_evidence_in_its_turn_of_the_redacted_call(name):
    cases = load_dataset(name, task="scorecard", input_model=TASK.input_model, settings=Settings()).cases
    turns = {case.id: turns_of(case) for case in cases}
    wrong = [
        (case, criterion, span.quote)
        for case, criterion, span in quotes(cases)
        if span.quote not in turns[case][span.turn].text
        or find_quote(span.quote, span.turn, turns[case]).turn != span.turn
    ]
    assert wrong == []
    assert [(case.id, *where[1:2]) for case in written(name) for where in quotes([case])] == [
        (case, criterion) for case, criterion, _ in quotes(cases)
    ]


def test_the_gate_shows_what_the_worker_makes_of_a_call_with_its_tenants_words():
    listed = json.loads((FOLDER / TENANTS).read_text(encoding="utf-8"))["tenants"]
    gate = load_gate(load_suite("scorecard"), input_model=ScorecardInputs, settings=Settings())
    changed = 0
    for before, after in zip((*written("gate"), *written("regression")), (*gate.cases, *gate.must_pass), strict=True):
        inputs = ScorecardInputs.model_validate(before.inputs)
        own = TenantSettings(name=inputs.tenant, **listed.get(inputs.tenant, {})).redaction_words()
        assert turns_of(after) == redacted_turns(PatternRedactor(), inputs.turns, own).turns
        assert (after.id, after.slices) == (before.id, before.slices)
        changed += turns_of(after) != inputs.turns
    assert changed > 100
    assert "Brindlewick Energy, my name is [agent]." in turns_of(gate.cases[0])[0].text


def test_a_call_that_production_has_redacted_stays_as_it_is():
    case = written("gate")[0]
    harvested = case.model_copy(update={"slices": {**case.slices, "reason": "override"}})
    assert redacted_cases([harvested], FOLDER) == (harvested,)


def test_the_digest_follows_the_redaction_and_its_patterns():
    files = deciding_files("scorecard")
    assert {"service/calls/redact/transcript.py", "service/core/redaction/own_words.py"} <= set(files)
    assert "service/core/redaction/patterns.yaml" in files


@pytest.mark.parametrize(
    ("quote", "before", "after", "left"),
    [
        ("my name is Lorcan", "Acme, my name is Lorcan. Hi.", "Acme, my name is [agent]. Hi.", "my name is [agent]"),
        ("is that Ada Finch?", "Hello, is that Ada Finch? Yes.", "Hello, is that [name]? Yes.", "is that [name]?"),
        ("Finch, and born", "Ada Finch, and born in 1980", "[name], and born [birthdate]", "[name], and born"),
        ("ends 4418 as well", "It ends 4418 as well.", "It ends [number] as well.", "ends [number] as well"),
        ("not there at all", "It was not there at all.", "[name] was not there at all.", "not there at all"),
        ("nobody said this", "It was not there.", "It was not [address].", "nobody said this"),
    ],
)
def test_a_quote_follows_its_turn(quote, before, after, left):
    assert quote_left(quote, before, after) == left


@pytest.mark.parametrize(
    ("tenant", "says"),
    [
        ({"own_words": [r"\d+"]}, "tenants.lindmoor-bank.own_words.0: .*digit or pattern"),
        ({"agents": [""]}, "agents.0: .*empty"),
        ({"words": []}, "words: Extra"),
    ],
)
def test_a_wrong_list_of_a_tenant_is_named(tmp_path, tenant, says):
    (tmp_path / TENANTS).write_text(json.dumps({"tenants": {"lindmoor-bank": tenant}}), encoding="utf-8")
    with pytest.raises(CaseError, match=says):
        redacted_cases(written("dev"), tmp_path)
