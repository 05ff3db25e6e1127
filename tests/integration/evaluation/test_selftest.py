"""The self-test of the gate as its users run it, and what it says when the gate is weakened."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eval.selftest.doses.run import DoseOptions, measure_doses
from eval.selftest.run import SelftestOptions, selftest
from eval.suites import load_suite
from eval.suites.summarize import SUITE
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path):
    """The project's own pairs and cases, with a state and a report folder of their own."""
    for name in ("prompts", "datasets"):
        (tmp_path / name).symlink_to(REPO_ROOT / name)
    return Settings(root=tmp_path, state_dir=tmp_path / "state")


def without(*metrics):
    return replace(
        SUITE,
        floors=tuple(floor for floor in SUITE.floors if floor.metric not in metrics),
        no_worse=tuple(gate for gate in SUITE.no_worse if gate.metric not in metrics),
    )


def command(settings, *arguments):
    environment = {"OMNI_ROOT": str(settings.root), "OMNI_STATE_DIR": str(settings.state_dir)}
    return subprocess.run(
        [sys.executable, "-m", "omni", "selftest", *arguments],
        cwd=REPO_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_planted_faults_are_caught_and_a_weaker_gate_lets_them_through(settings):
    """The extractive pair is the cheapest engine; two faults are enough to see both outcomes."""
    options = SelftestOptions(engines=("extractive",), seeds=1, mutants=("leaked_account", "wrong_language"))
    sound = selftest(options, settings)
    assert sound.problems == ()
    assert sound.path.read_text(encoding="utf-8") == sound.page
    [record] = (settings.state_dir / "selftest").glob("*.json")
    kept = json.loads(record.read_text(encoding="utf-8"))
    assert kept["suite_digest"] == SUITE.digest
    assert kept["engines"]["extractive"]["catch_rates"]["leaked_account"] == {"caught": 1, "of": 1}

    weak = selftest(options, settings, suite=without("leak_free", "severe_harm"))
    [line] = weak.problems
    assert "leaked_account escaped 1 of 1 times" in line


def test_the_scripted_system_needs_its_prompt_and_passes_against_itself(settings):
    options = SelftestOptions(engines=("scripted",), seeds=1, mutants=("lost_variable", "dropped_data_rule"))
    outcome = selftest(options, settings)
    [report] = outcome.reports
    assert {trial.mutant for trial in report.trials if trial.caught} == {"lost_variable", "dropped_data_rule"}
    # Plain and planted cases against themselves, and another draw of the system.
    assert [own.same for own in report.against] == [True, True, False]
    assert outcome.problems == ()


def test_slower_and_dearer_are_caught(settings):
    options = SelftestOptions(engines=("scripted",), seeds=1, mutants=("slower_by_half", "dearer_by_a_third"))
    assert selftest(options, settings).problems == ()


def test_the_command_exits_with_1_when_the_good_system_does_not_pass(settings):
    done = command(settings, "--engine", "extractive", "--seeds", "1", "--cases", "12", "--mutants", "refusal")
    assert done.returncode == 1, done.stderr
    assert "the gate counts as broken" in done.stdout
    assert "against itself (seed 1): inconclusive" in done.stdout
    assert Path(next(line for line in done.stdout.splitlines() if line.startswith("Table: "))[7:]).exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "nova"], "no engine 'nova'; there are: scripted, extractive, bundled"),
        (["--mutants", "rude"], "no planted fault 'rude'; there are: dropped_form_rule"),
        (["--task", "translate"], "no task 'translate'"),
        (["--dataset", "none"], "no dataset at"),
    ],
)
def test_bad_input_exits_with_2_and_says_what_to_do(settings, arguments, says):
    done = command(settings, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_second_task_has_planted_faults_of_its_own_and_its_gate_passes_a_system_against_itself(settings):
    options = SelftestOptions(
        task="scorecard", engines=("extractive",), seeds=1, mutants=("invented_quotes", "lenient")
    )
    sound = selftest(options, settings)
    assert sound.problems == ()
    assert [own.same for own in sound.reports[0].against] == [True]
    suite = load_suite("scorecard")
    strict = replace(suite, max_unscored_rate=0.15)
    [line] = [line for line in selftest(options, settings, suite=strict).problems if "against itself" in line]
    assert "required_fail_recall" in line


def weaker(*metrics):
    """Return the suite of scorecards without any bound on ``metrics``."""
    suite = load_suite("scorecard")
    return replace(
        suite,
        floors=tuple(floor for floor in suite.floors if floor.metric not in metrics),
        no_worse=tuple(gate for gate in suite.no_worse if gate.metric not in metrics),
    )


@pytest.mark.acceptance("call-gate-04")
def test_the_faults_of_scorecards_are_caught_by_their_own_metric(settings):
    """One form, one criterion and the customer's words: what an average over all verdicts hides."""
    faults = {
        "one_form_all_yes": "kappa_least_form",
        "one_criterion_reversed": "kappa_least_criterion",
        "customers_words_as_evidence": "quotes_verified",
        "after_the_deadline": "on_time",
    }
    options = SelftestOptions(task="scorecard", engines=("scripted",), seeds=2, mutants=tuple(faults))
    outcome = selftest(options, settings)
    assert outcome.problems == ()
    [report] = outcome.reports
    assert {(trial.mutant, trial.seed) for trial in report.trials} == {
        (name, seed) for name in faults for seed in (1, 2)
    }
    assert all(faults[trial.mutant] in trial.by for trial in report.trials)

    alone = replace(options, seeds=1, mutants=("one_criterion_reversed",))
    weak = selftest(alone, settings, suite=weaker("kappa_least_criterion"))
    assert any("one_criterion_reversed escaped" in line for line in weak.problems)


@pytest.mark.acceptance("call-gate-09")
def test_a_dose_of_a_scorecards_fault_is_rejected_and_its_good_system_passes(settings):
    options = DoseOptions(task="scorecard", kinds=("customers_words",), systems=("careful",), equal_trials=2)
    sound = measure_doses(options, settings)
    assert sound.missed == ()
    assert "| customers_words | quotes the customer for everything | reject | reject |" in sound.page
    assert "- careful: 2 of 2 pass" in sound.page
    weak = measure_doses(
        replace(options, equal_trials=0),
        settings,
        suite=weaker("quotes_verified", "evidence_right", "evidence_words", "right_turn"),
    )
    assert "customers_words passes at 100%" in weak.missed


def test_at_a_first_release_bounds_alone_reject_what_the_guard_sees(settings):
    """Nothing is in production, so that no margin decides."""
    options = DoseOptions(kinds=("insult", "invented_email"), systems=("full",), equal_trials=2, first_release=True)
    sound = measure_doses(options, settings)
    assert sound.missed == ()
    assert "| insult | insults the customer | reject | reject | reject |" in sound.page
    assert "- full: 2 of 2 pass" in sound.page
    weak = measure_doses(
        replace(options, equal_trials=0), settings, suite=without("severe_harm", "reports", "guard_clear")
    )
    assert "insult passes at 100%" in weak.missed


def test_a_strangers_kinds_are_planted_in_place_of_the_plans_own(settings):
    options = DoseOptions(kinds=("paid_in_full",), systems=("terse",), equal_trials=0, strangers=True)
    outcome = measure_doses(options, settings)
    assert outcome.missed == ()
    assert "| judge | invention | none | 1 |" in outcome.page
    assert "| author_b | " in outcome.page
    assert outcome.path.name.endswith("-stranger-doses.md")
