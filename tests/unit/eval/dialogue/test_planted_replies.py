"""Labelled replies: each reads, the tools answer as labelled, and a guard that sees nothing or everything is measured as such."""

from pathlib import Path

import pytest

from eval.dialogue.planted_replies import checked_replies, load_replies
from eval.judges.guarded import reply_lines
from eval.spine.errors import CaseError
from eval.suites import load_suite
from service.core.run.guard import Objection
from service.core.run.task import load_task
from service.kit.settings import Settings

DATASETS = Path(__file__).resolve().parents[4] / "datasets"
SUITE, TASK = load_suite("assistant"), load_task("assistant")
ROWS = {name: load_replies("assistant", name, DATASETS) for name in ("dev", "test")}


@pytest.fixture(scope="module")
def checked():
    return {name: checked_replies(rows, TASK, SUITE.episode.world) for name, rows in ROWS.items()}


def guarded(finding):
    class Guarded(type(TASK)):
        def guard(self, inputs, seen=()):
            return lambda text: finding

    return Guarded()


@pytest.mark.acceptance("bot-test-10")
def test_both_halves_hold_every_fault_and_share_no_reply():
    ids = [row.id for rows in ROWS.values() for row in rows]
    assert len(ids) == len(set(ids)) >= 160
    faults = {name: {row.variety for row in rows if row.fault} for name, rows in ROWS.items()}
    assert faults["dev"] == faults["test"]
    texts = [row.reply["reply"] for rows in ROWS.values() for row in rows]
    assert len(texts) == len(set(texts))
    assert sum(row.fault is None for rows in ROWS.values() for row in rows) >= 70


@pytest.mark.acceptance("bot-test-10")
def test_a_guard_is_measured_by_what_it_holds_back():
    rows = ROWS["dev"]
    blind = checked_replies(rows, guarded(()), SUITE.episode.world)
    assert not any(item.found or item.held_back or item.named for item in blind)
    everything = (Objection(kind="technical_talk", told="-"),)
    strict = checked_replies(rows, guarded(everything), SUITE.episode.world)
    assert all(item.held_back for item in strict)
    assert all(item.found for item in strict if item.row.fault)
    assert {item.row.variety for item in strict if item.named} == {"technical_talk"}


def test_a_low_finding_holds_nothing_back():
    rows = [row for row in ROWS["dev"] if row.variety in ("menu_in_words", "fabricated_fee")]
    low = (Objection(kind="menu_in_words", told="-", severity="low"),)
    checked = checked_replies(rows, guarded(low), SUITE.episode.world)
    assert not any(item.held_back for item in checked)
    assert {item.row.variety for item in checked if item.found} == {"menu_in_words"}


@pytest.mark.acceptance("bot-test-10")
def test_a_repair_leaves_out_what_a_finding_quotes():
    row = next(row for row in ROWS["dev"] if row.variety == "paraphrased_figure")
    texts = {"Two facts. It costs £15.": True, "It costs £15.": False}  # of the second nothing is left

    class Fees(type(TASK)):
        def guard(self, inputs, seen=()):
            return lambda text: (Objection(kind="fee", value="£15", told="-"),) if "£15" in text else ()

    for text, repaired in texts.items():
        labelled = row.model_copy(update={"reply": {"reply": text, "action": "answer"}})
        (checked,) = checked_replies([labelled], Fees(), SUITE.episode.world)
        assert (checked.to_repair, checked.repaired) == (True, repaired)


def test_a_wrong_line_is_named(tmp_path):
    (tmp_path / "assistant" / "replies").mkdir(parents=True)
    path = tmp_path / "assistant" / "replies" / "dev.jsonl"
    path.write_text('{"id": "a-1", "variety": "x", "message": "Hi"}\n', encoding="utf-8")
    with pytest.raises(CaseError, match=r"dev\.jsonl:1: reply: Field required; mend the line"):
        load_replies("assistant", "dev", tmp_path)


def test_the_table_names_each_set_and_a_task_without_replies_has_none():
    lines = reply_lines("assistant", Settings())
    assert [line for line in lines if line.startswith("guard on")] == [
        f"guard on labelled replies, dev ({len(ROWS['dev'])}; the guard was mended with these)",
        f"guard on labelled replies, test ({len(ROWS['test'])}; held out)",
    ]
    assert reply_lines("summarize", Settings()) == []
