import json

import pytest

from eval.labels.contrasts.sets import _editing_code, contrasts_digest, has_contrasts, load_contrasts
from eval.spine.errors import CaseError
from service.kit.settings import REPO_ROOT

GOOD = {"case_id": "c-1", "writer": "full", "text": "She was granted a refund of $20 on Nov 3."}
EDIT = {
    "id": "con-1", "case_id": "c-1", "label": "wrong", "kind": "outcome_reversed", "before": "granted", "after": "denied",
}  # fmt: skip


def write(folder, **files):
    path = folder / "summarize" / "contrasts"
    path.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_an_edit_is_applied_to_the_good_answer(tmp_path):
    write(tmp_path, good=[GOOD], gate=[EDIT])
    sets = load_contrasts(tmp_path, "summarize")
    (edit,) = sets.contrasts
    assert edit.text == "She was denied a refund of $20 on Nov 3."
    assert (edit.good, edit.wrong, edit.kept) == (GOOD["text"], True, False)


def test_rows_of_the_kept_file_are_marked_and_their_kinds_come_last(tmp_path):
    kept = EDIT | {"id": "con-2", "kind": "another_kind", "before": "$20", "after": "$90"}
    write(tmp_path, good=[GOOD], gate=[EDIT], kept=[kept])
    sets = load_contrasts(tmp_path, "summarize")
    assert [edit.kept for edit in sets.contrasts] == [False, True]
    assert sets.wrong_kinds == ("outcome_reversed", "another_kind")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"before": "refused"}, "exactly once"),
        ({"before": "a"}, "exactly once"),
        ({"after": "granted"}, "changes nothing"),
        ({"case_id": "c-9"}, "no answer of 'full'"),
        ({"label": "odd"}, "label"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_row_is_named_with_file_and_line(tmp_path, change, words):
    write(tmp_path, good=[GOOD], gate=[EDIT, EDIT | {"id": "con-2"} | change])
    with pytest.raises(CaseError, match=words) as caught:
        load_contrasts(tmp_path, "summarize")
    assert "gate.jsonl:2" in str(caught.value)


def test_ids_are_unique_and_no_hand_answers_twice(tmp_path):
    write(tmp_path, good=[GOOD], gate=[EDIT, EDIT])
    with pytest.raises(CaseError, match="stands twice"):
        load_contrasts(tmp_path, "summarize")
    write(tmp_path, good=[GOOD, GOOD])
    with pytest.raises(CaseError, match="twice"):
        load_contrasts(tmp_path, "summarize")


def test_any_byte_changes_the_digest(tmp_path):
    write(tmp_path, good=[GOOD], gate=[EDIT])
    before = load_contrasts(tmp_path, "summarize").digest
    write(tmp_path, good=[GOOD], gate=[EDIT | {"after": "refused"}])
    assert load_contrasts(tmp_path, "summarize").digest != before


@pytest.mark.parametrize("edits", ["twins.py", "twins.jsonl"])
def test_the_digest_of_conversations_covers_what_edits_them_and_no_other(tmp_path, monkeypatch, edits):
    write(tmp_path, good=[GOOD], gate=[EDIT])
    answers = contrasts_digest(tmp_path, "summarize")
    write(tmp_path, conversations=[EDIT | {"id": "con-2"}])
    conversations = contrasts_digest(tmp_path, "summarize")
    changed = {edits: "changed"}
    monkeypatch.setattr(
        "eval.labels.contrasts.sets._editing_code", lambda name: changed.get(name) or _editing_code(name)
    )
    assert contrasts_digest(tmp_path, "summarize") != conversations
    (tmp_path / "summarize" / "contrasts" / "conversations.jsonl").unlink()
    assert contrasts_digest(tmp_path, "summarize") == answers


def test_a_task_without_sets_says_which_file_to_write(tmp_path):
    assert not has_contrasts(tmp_path, "scorecard")
    with pytest.raises(CaseError, match=r"good\.jsonl"):
        load_contrasts(tmp_path, "scorecard")


def test_the_projects_own_sets_hold_what_they_promise():
    """At least 24 kinds of harm, a quarter of them kept, and for each answered case three wrong edits and two right ones."""
    sets = load_contrasts(REPO_ROOT / "datasets", "summarize")
    kinds = {edit.kind: edit.kept for edit in sets.contrasts if edit.wrong}
    assert len(kinds) >= 24
    assert 4 * sum(kinds.values()) >= len(kinds)
    for case_id in sets.good["full"]:
        labels = [edit.wrong for edit in sets.contrasts if edit.case_id == case_id]
        assert (labels.count(True), labels.count(False)) == (3, 2), case_id
    assert sets.good["full"].keys() == sets.good["terse"].keys()
