import pytest

from eval.harvest.candidates import week_bounds, week_of
from eval.harvest.proposal import read_proposals, write_proposals
from eval.harvest.review import count_in_card
from eval.harvest.sources.summarize import drafted_facts
from eval.spine.case_rules import Passage
from eval.spine.errors import HarvestError
from service.core.statements.grounding.text import form_occurs

PASSAGES = (
    Passage(id="i1", text="Customer disputes the $60.00 trip charge of Oct 3. Told to wait."),
    Passage(id="i2", text="Supervisor approved the credit. It posts on the 11/24 bill, she was told."),
    Passage(id="i3", text="The pool heater hums.", visible=False),
)


def test_a_sentence_that_a_passage_supports_becomes_a_fact_with_its_span():
    facts = drafted_facts("She disputes the $60.00 trip charge. The credit posts on the 11/24 bill.", PASSAGES)
    assert [(fact.interaction_id, fact.span) for fact in facts] == [
        ("i1", "Customer disputes the $60.00 trip charge of Oct 3."),
        ("i2", "It posts on the 11/24 bill, she was told."),
    ]
    assert all(form_occurs(fact.accepted[0], fact.statement) for fact in facts)


@pytest.mark.parametrize("edited", ["", "Nothing of the kind was said.", "The pool heater hums loudly."])
def test_an_unsupported_sentence_becomes_no_fact(edited):
    assert drafted_facts(edited, PASSAGES) == ()


def test_a_week_is_seven_days_in_utc():
    since, until = week_bounds("2026-W46")
    assert (since.isoformat(), (until - since).days) == ("2026-11-09T00:00:00+00:00", 7)
    assert week_of(since.date()) == "2026-W46"
    with pytest.raises(HarvestError, match="2026-W46"):
        week_bounds("46")


def test_a_card_without_a_table_stays_as_it_is(tmp_path):
    (tmp_path / "README.md").write_text("# Card\n", encoding="utf-8")
    count_in_card(tmp_path, [])
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# Card\n"


def test_a_row_of_the_card_is_counted_again_not_twice(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("| `gate.jsonl` | 2 cases | `x` | gate |\n\nend\n", encoding="utf-8")
    count_in_card(tmp_path, [])
    once = card.read_text(encoding="utf-8")
    count_in_card(tmp_path, [])
    assert card.read_text(encoding="utf-8") == once
    assert once.count("regression.jsonl") == 1
    assert once.index("gate.jsonl") < once.index("regression.jsonl") < once.index("end")


def test_an_invalid_proposal_line_is_named(tmp_path):
    path = tmp_path / "p.jsonl"
    assert read_proposals(path) == []
    path.write_text('{"decision": "maybe"}\n', encoding="utf-8")
    with pytest.raises(HarvestError, match=r"p\.jsonl:1: decision"):
        read_proposals(path)
    write_proposals(path, [])
    assert read_proposals(path) == []
