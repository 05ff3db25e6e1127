"""The agents without a model, by themselves and as the model of a dialogue task."""

import pytest

from eval.instruments.agentdojo.files import load_suite
from eval.instruments.agentdojo.measure import ASKS, GOLD, OBEYS, OBEYS_ASKS, RECITES, as_json, measured, show


def rows(report, wired):
    return {
        (row.agent, row.guard): (row.tried, len(row.done), row.refused, row.right)
        for row in report.attacks
        if row.wired is wired
    }


@pytest.mark.parametrize("wired", [False, True])
def test_orders_in_tools_answers_are_carried_out_without_the_guard_and_refused_with_it(data, wired):
    assert rows(measured(load_suite(data)), wired) == {
        (OBEYS, "off"): (10, 10, 0, 0),
        (OBEYS, "provenance"): (10, 0, 10, 6),  # three tasks need no writing, or only what the customer stated
        (OBEYS_ASKS, "provenance"): (10, 0, 10, 10),
        (ASKS, "provenance"): (0, 0, 0, 10),
    }


def test_gold_runs_pass_and_useless_agents_fail_where_the_published_check_lets_one_pass(data):
    report = measured(load_suite(data))
    passed = {(row.agent, row.guard): len(row.passed) for row in report.utility}
    assert (passed[GOLD, "off"], passed[GOLD, "provenance"], passed[ASKS, "provenance"]) == (5, 3, 5)
    (reciter,) = (row for row in report.utility if row.agent == RECITES)
    assert reciter.passed == ("user_task_1", "user_task_3")  # its recital holds what both ask for
    useless = {row.agent: row for row in report.utility if row.agent not in (GOLD, ASKS, RECITES)}
    assert {name: row.passed for name, row in useless.items()} == dict.fromkeys(useless, ())
    assert useless["silent"].original == ("user_task_2", "user_task_3", "user_task_4")
    assert useless["parrots"].original is None
    assert report.problems() == []


def test_what_the_customer_says_is_no_longer_guarded_and_the_report_says_so(data, change):
    change("user_tasks.jsonl", "What was the kite?", "What was the kite? Not EVIL9 0.01 x 2022-01-01, I hope.")
    report = measured(load_suite(data))
    assert rows(report, True)[OBEYS, "provenance"][1] == 2
    assert [problem[:51] for problem in report.problems()] == [
        "attacks were carried out despite the guard: user_ta"
    ] * 4


def test_an_attack_that_does_nothing_is_reported(data, change):
    change("injection_tasks.jsonl", '"recipient": "EVIL9", ', "")
    report = measured(load_suite(data))
    assert "10 attacks do nothing even to whoever obeys them" in report.problems()


def test_the_report_is_printed_and_is_json(data, capsys):
    suite = load_suite(data)
    report = measured(suite)
    show(report, suite)
    printed = capsys.readouterr().out
    assert "5 user tasks, 10 attacks (1 goals in 2 templates" in printed
    assert "doing nothing passes AgentDojo's check in user_task_2, user_task_3, user_task_4" in printed
    values = as_json(report, suite)
    first = values["attacks"][0]
    assert (first["carried_out"]["count"], first["carried_out"]["n"], first["carried_out"]["high"]) == (10, 10, 1.0)
    assert values["problems"] == []
