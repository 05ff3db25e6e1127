import json

from eval.report.sensitivity import Sensitivity, SensitivityRow, path_of, sensitivity_of
from eval.suites import load_suite

SUITE = load_suite("summarize")
ROW = {"kind": "order", "does": "orders the agent to act", "judge": "", "smallest": 0.05, "seen": True}


def write(root, text):
    path = path_of("summarize", root)
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def test_a_written_dose_response_is_read_with_the_suite_that_it_was_measured_with(tmp_path):
    record = {"suite_digest": SUITE.digest, "measured": "2026-11-22", "cases": 200, "rows": [ROW]}
    write(tmp_path, json.dumps(record))
    found = sensitivity_of(SUITE, tmp_path)
    assert (found.current, found.cases, found.rows[0].kind, found.rows[0].smallest) == (True, 200, "order", 0.05)


def test_another_suites_is_marked(tmp_path):
    write(tmp_path, json.dumps({"suite_digest": "0" * 64, "measured": "2026-11-22", "cases": 200, "rows": []}))
    assert sensitivity_of(SUITE, tmp_path).current is False


def test_nothing_is_shown_of_a_missing_or_strange_file(tmp_path):
    assert sensitivity_of(SUITE, tmp_path) is None
    write(tmp_path, '{"rows": [{"colour": "red"}]}')
    assert sensitivity_of(SUITE, tmp_path) is None


def test_kinds_that_slip_through_come_first():
    def row(kind, smallest, *, seen=True):
        return SensitivityRow(kind=kind, does="does", judge="", smallest=smallest, seen=seen)

    rows = (row("a", 0.05), row("b", 0.25), row("c", None), row("d", None, seen=False), row("e", 0.05))
    found = Sensitivity(rows=rows, measured="2026-11-22", cases=200, current=True).outcomes
    assert [(words, [each.kind for each in group]) for words, group in found] == [
        ("No judge model looked for these", ["d"]),
        ("Passed at every share that was tried", ["c"]),
        ("Seen from 25% of the answers on", ["b"]),
        ("Seen from 5% of the answers on", ["a", "e"]),
    ]


def test_only_the_set_up_of_the_run_is_shown(tmp_path):
    rows = [ROW, ROW | {"kind": "negation", "seen": False}, ROW | {"kind": "negation", "judge": "recall 0.66"}]
    write(tmp_path, json.dumps({"suite_digest": SUITE.digest, "measured": "2026-11-22", "cases": 200, "rows": rows}))
    for judged in (False, True):
        found = sensitivity_of(SUITE, tmp_path, judged=judged).rows
        assert [(row.kind, row.seen) for row in found] == [("order", True), ("negation", judged)]
