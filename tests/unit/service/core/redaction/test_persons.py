"""What may be stored of inputs: ids become pseudonyms everywhere, texts lose persons, and the rest stays readable."""

import json

import pytest
from desk_task import ACCOUNT, CONVERSATION, NAME, PHONE, DeskInputs, desk_inputs
from hypothesis import given
from hypothesis import strategies as st

from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.core.redaction.persons import (
    Persons,
    is_pseudonym,
    texts_in,
    with_texts,
    without_pseudonyms,
)
from service.kit.telemetry.fields import pseudonym_of


def cleaned(**changes):
    persons = Persons()
    given = DeskInputs.model_validate(desk_inputs(**changes))
    kept = given.model_copy(
        update={
            "account": persons.pseudonym(given.account),
            "conversation_id": persons.pseudonym(given.conversation_id),
        }
    )
    return persons.clean_model(kept), persons


def test_a_person_is_nowhere_and_the_rest_stays():
    clean, persons = cleaned()
    text = json.dumps(clean)
    for planted in (ACCOUNT, ACCOUNT.lower(), NAME, "Okonkwo", CONVERSATION, PHONE, "88123456"):
        assert planted not in text
    assert clean["account"] == pseudonym_of(ACCOUNT)
    assert clean["at"] == "2026-11-20T14:33:02.512345Z"
    assert clean["history"][0]["text"].endswith("and a charge of $45.20 on 2026-11-08.")
    assert pseudonym_of(ACCOUNT) in clean["history"][0]["text"]
    assert clean["order"] == "[number]"
    assert persons.pseudonyms == tuple(sorted([pseudonym_of(ACCOUNT), pseudonym_of(CONVERSATION)]))


def test_kept_inputs_are_inputs_again():
    clean, _ = cleaned(order=12)
    assert DeskInputs.model_validate(clean).order == 12


@given(st.text(min_size=1, max_size=40))
def test_a_pseudonym_outlives_every_later_redaction(value):
    pseudonym = pseudonym_of(value)
    assert is_pseudonym(pseudonym)
    assert redacted_text(f"call {pseudonym} now") == f"call {pseudonym} now"
    assert Persons().clean_text(pseudonym) == pseudonym


def test_an_id_whose_digits_are_left_is_refused():
    persons = Persons()
    persons.pseudonym("77314410")
    with pytest.raises(RedactionFailed, match="digits of a person's id"):
        persons.clean_text("7a7b3c1d4e4f1g0")
    assert persons.clean_text("a charge of $45") == "a charge of $45"


def test_an_id_is_found_wherever_it_hides_and_a_short_one_as_a_word():
    persons = Persons()
    own, short = persons.pseudonym("cust-abcde"), persons.pseudonym("k77x")
    assert persons.clean_text("CUST-\u200babcde, xcust-abcdex") == f"{own}, x{own}x"
    assert persons.clean_text("k77x and K77X, not ak77x") == f"{short} and {short}, not ak77x"
    assert persons.clean_text("\uff43ust-abcde") == own  # a full-width letter


def test_keys_of_a_mapping_are_texts_too():
    assert Persons().clean_json({"0171 5550 1234": 1, "due": [True, None, 2.5]}) == {
        "[number]": 1,
        "due": [True, None, 2.5],
    }


def test_an_id_that_is_no_longer_known_is_found_by_its_pseudonym():
    known = (pseudonym_of(ACCOUNT),)
    assert without_pseudonyms(f"It is {ACCOUNT}, not {ACCOUNT}9.", known) == f"It is {known[0]}, not {ACCOUNT}9."
    assert without_pseudonyms(f"It is {ACCOUNT}.", ()) == f"It is {ACCOUNT}."


@pytest.mark.parametrize(
    "said", ["ab12x", "AB12X", "ref-ab12x", "ref.AB12X", "-AB12X", "AB12X's", "(AB12X)", "AB12X/2", "+ab12x@home"]
)
def test_an_id_that_is_no_longer_known_is_found_in_any_case_and_inside_a_word(said):
    known = (pseudonym_of("AB12X"), pseudonym_of("me@home.example"))
    hidden = without_pseudonyms(f"It is {said}, or ME@home.example.", known)
    assert "ab12x" not in hidden.lower()
    assert "home.example" not in hidden.lower()
    assert "xab12x" in without_pseudonyms("xab12x", known)


def test_texts_are_taken_out_and_put_back_in_order():
    value = {"a": "one", "b": [pseudonym_of("x1234"), " ", "two", 3], "c": None}
    assert texts_in(value) == ["one", "two"]
    assert with_texts(value, ["1", "2"]) == value | {"a": "1", "b": [pseudonym_of("x1234"), " ", "2", 3]}
