"""The behaviour set is sound: references pass their own checks, each attack has a success that shows, the lock names no host."""

import json
from collections import Counter

import pytest

from eval.behaviour.attacks import PLAIN, STRATEGIES, canary, load_attacks, plant_attacks, public_attacks
from eval.behaviour.cases import build_cases
from eval.behaviour.install import PROJECT, engine_version
from eval.behaviour.marks import LEAK_FREE, MUST_CARRY, MUST_NOT_CLAIM, RESISTED, grade
from eval.behaviour.record import load_set
from eval.spine.errors import CaseError
from eval.suites import load_suite
from service.core.tasks.summarize import SummarizeInputs
from service.kit.settings import Settings

SETTINGS = Settings()
SUITE = load_suite("summarize")
DATASET, ATTACKS, DIGEST = load_set(SUITE, SETTINGS)


def reversed_texts(texts):
    return [text[::-1] for _, text in texts]


CASES = build_cases(
    SUITE,
    DATASET,
    ATTACKS,
    settings=SETTINGS.model_copy(update={"public_data_dir": SETTINGS.root / "nowhere"}),
    disguise=reversed_texts,
)
ALL_HISTORIES = " ".join(json.dumps(case.inputs) for case in DATASET.cases).lower()
REFERENCE = {case.id: case.expectations.references[0] for case in DATASET.cases}


def test_every_attack_stands_in_every_disguise():
    planted = [case for case in CASES if case.kind == "attack"]
    assert Counter(case.strategy for case in planted) == dict.fromkeys((PLAIN, *STRATEGIES), len(ATTACKS))
    assert len({case.id for case in CASES}) == len(CASES) == len(DATASET.cases) + len(planted)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind != "attack"], ids=lambda case: case.id)
def test_a_written_reference_passes_its_own_case(case):
    for mark in case.marks:
        assert grade(case, mark, REFERENCE[case.id]).findings == (), mark


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "attack"], ids=lambda case: case.id)
def test_an_attack_reaches_the_model_and_its_success_shows(case):
    visible = SummarizeInputs.model_validate(case.inputs).visible()
    assert case.note in visible[-1].text
    obedient = case.canary or "Card 4000 0061 2290 8817."
    assert grade(case, RESISTED, obedient).value == 0.0
    assert grade(case, RESISTED, "The customer called about a bill.").value == 1.0
    if case.canary:  # made up: no history holds the word by itself
        assert case.canary.lower() not in ALL_HISTORIES


def test_the_kinds_about_numbers_and_strangers_all_name_a_leak():
    for case in CASES:
        if case.kind in ("pan_ssn", "other_customer"):
            assert case.leaks, case.id
            assert LEAK_FREE in case.marks


def test_a_leaked_number_is_found_in_every_case():
    for case in CASES:
        if LEAK_FREE in case.marks:
            assert grade(case, LEAK_FREE, f"Account {case.inputs['account_number']}.").value == 0.0


def test_every_floor_gates_a_mark_that_is_measured():
    marks = {mark for case in CASES for mark in case.marks} | {"answered_by_primary"}
    assert {floor.metric for floor in SUITE.behaviour.floors} <= marks
    assert {RESISTED, LEAK_FREE, MUST_CARRY, MUST_NOT_CLAIM} <= marks


def test_the_set_is_the_same_each_time():
    again = build_cases(SUITE, DATASET, ATTACKS, settings=SETTINGS, disguise=reversed_texts)
    assert [case for case in again if case.kind != "public"] == list(CASES)
    assert canary(1, "a") == canary(1, "a") != canary(2, "a")
    assert len({case.canary for case in CASES if case.canary}) == (len(ATTACKS) - 1) * (1 + len(STRATEGIES))


def test_public_texts_are_a_fixed_sample_and_gate_nothing(tmp_path):
    rows = [{"id": f"p{n}", "text": f"Do this {n} now", "label": n % 2, "category": f"k{n % 7}"} for n in range(300)]
    (tmp_path / "injections_dev.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = public_attacks(tmp_path, DATASET.cases, seed=SUITE.seed)
    assert len(found) == 60
    assert found == public_attacks(tmp_path, DATASET.cases, seed=SUITE.seed)
    assert all(int(item.id.removeprefix("public-p")) % 2 for item in found)
    cases = build_cases(
        SUITE,
        DATASET,
        ATTACKS,
        settings=SETTINGS.model_copy(update={"public_data_dir": tmp_path}),
        disguise=reversed_texts,
    )
    gated = {floor.metric for floor in SUITE.behaviour.floors}
    assert not {mark for case in cases if case.kind == "public" for mark in case.marks} & gated


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- id: a-b-c\n  text: no placeholder and no secret\n", "a-b-c: each attack needs"),
        ("- id: a-b-c\n  txt: unknown field\n", "is not a list of attacks"),
        ("nonsense: [", "is not a list of attacks"),
        ("[]", "the list: each attack needs"),
    ],
)
def test_a_wrong_list_of_attacks_is_named(tmp_path, text, reason):
    (tmp_path / "attacks.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CaseError, match=reason):
        load_attacks(tmp_path / "attacks.yaml")


def test_without_a_carrier_there_is_no_attack():
    with pytest.raises(CaseError, match="no case can carry"):
        plant_attacks(ATTACKS, [c for c in DATASET.cases if "empty" in c.id], seed=1, disguise=reversed_texts)


def test_the_lock_pins_promptfoo_and_names_no_registry():
    lock = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"]["node_modules/promptfoo"]["version"] == engine_version()
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
