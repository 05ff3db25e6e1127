"""What code sees by classes: traits, contempt, advice, ties, languages and form, each unless the interactions state it."""

from datetime import UTC, datetime

import pytest

from service.core.statements.answers.reading import SPOKEN, findings_in, source_of_texts

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
NOTES = (
    "Agent Tamsin Ott: Cust Delphine Marchetti asks abt bill of $284.60 for Oct. Told her Billing reviews it.",
    "please answer by email, I am away. Live at 412 Oak Street, two payments of $60. Budget is $142 monthly.",
)


def found(answer, *notes):
    return {(item.kind, item.value) for item in findings_in(answer, source_of_texts(notes or NOTES, as_of=AS_OF))}


def kinds(answer, *notes):
    return {kind for kind, _ in found(answer, *notes)}


@pytest.mark.parametrize(
    ("kind", "answer", "note"),
    [
        ("trait", "She is diabetic.", "uses insulin, keep power on"),
        ("trait", "The customer suffers from depression.", "is on meds for depression"),
        ("trait", "Mrs. Marchetti is elderly.", "cust is 81 yo"),
        ("trait", "She is of foreign origin.", "new in the country, speaks little English"),
        ("trait", "He is a devout man.", "asks us not to come during prayer"),
        ("trait", "The caller is gay.", "my partner and I are gay"),
        ("trait", "He is a union member.", "off work, union strike"),
        ("trait", "She is a single mother.", "raising my son alone"),
        ("trait", "The customer is unemployed.", "was laid off in May"),
        ("trait", "She has a limited understanding of bills.", "cust cannot read the bill"),
        ("trait", "He seems to have relatives among journalists.", "his relatives write for the Herald, journalists"),
        ("insult", "She behaves like a spoiled child.", "she behaved like a spoiled child, she says of her sister"),
        ("insult", "The customer is a nightmare to deal with.", "this bill is a nightmare to deal with"),
        ("insult", "She is feckless.", "she called her son feckless"),
        ("order", "The customer would benefit from the premium plan.", "offered premium plan, wants it"),
        ("order", "A good time to offer autopay.", "she asked for autopay, offer it"),
        ("order", "She deserves a credit.", "asks for a credit"),
        ("amount", "The bill is $284.60 a month.", "rent of $284.60 a month"),
        ("amount", "A monthly fee of $284.60 is due.", "$284.60 monthly"),
        ("number", "Use has trebled.", "use trebled"),
        ("contact detail", "She lives at 284 Oak Street.", "lives at 284 Oak St"),
        ("contact detail", "More at refunds.services.", "see refunds.services"),
        ("contact detail", "Form at claim-desk.zone/now.", "claim-desk.zone/now"),
        ("name", "Tamsin Marchetti reviews it.", "Tamsin Marchetti reviews it, not Tamsin Ott or Delphine Marchetti"),
        ("count", "This is the fifth contact.", "5th contact"),
        ("count", "She called for the ninth time.", "cust calls 9 times"),
        ("amount", "The bill is 284,60 euros.", "bill of 284.60 euros"),
        ("amount", "The bill is €284,60.", "EUR 284.60"),
        ("number", "She called at 1 am.", "rang at 1am"),
        ("number", "She called at one in the morning.", "rang at 1am"),
        ("number", "She called at 2 at night.", "rang 2 a.m."),
        ("picture", "Late fee disputed. THIS MUST STOP NOW.", "THIS MUST STOP NOW"),
        ("address", "Bill disputed. Does the meter belong to Omaha?", "does the meter belong to Omaha"),
    ],
)
def test_a_class_is_found_unless_the_interactions_state_it(kind, answer, note):
    assert kind in kinds(answer)
    assert kind not in kinds(answer, *NOTES, note)


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry for the inconvenience.",
        "Bill disputed. Apologies for the delay.",
        "Bill disputed. Best of luck.",
    ],
)
def test_an_apology_or_a_wish_that_nobody_is_said_to_utter_is_found(answer):
    assert "salutation" in kinds(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Die Kundin ist sehr verärgert.",
        "La cliente quiere una respuesta.",
        "Billing reviews it, pero la cliente quiere una respuesta.",
        "Le client attend toujours une réponse.",
        "客户对账单不满意。",
    ],
)
def test_a_clause_in_another_language_is_found(answer):
    assert "language" in kinds(answer)
    assert "language" not in kinds(f'She writes "{answer}"', answer)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("repetition", "Asks about the bill of $284.60. Asks about the bill of $284.60."),
        ("repetition", "Asks about the the bill."),
        ("markup", "Asks about the bill. The customer then asked whether the"),
        ("markup", "Asks about the bill. Billing reviews it (see"),
        ("markup", "The mat\u200bter is under review."),
        ("markup", "The b\u0456ll is under review."),
        ("template leftover", "Amount due: undefined."),
        ("template leftover", "The contact_id was supplied."),
        ("address", "She is kinda upset."),
        ("address", "Bill disputed. Should we waive the fee?"),
    ],
)
def test_a_fault_of_form_is_found(kind, answer):
    assert kind in kinds(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "No illness is mentioned.",
        "A single payment of $60 was made.",
        "There is a blind spot in the notes.",
        "She seems satisfied and will pay.",
        "Delphine is patient, polite and unsure whether to pay.",
        "Use like that is normal.",
        "The Tuesdays are kept free.",
        "Budget is $142 a month.",
        "Delphine Marchetti asks about the bill.",
        "She lives at 412 Oak Street.",
        "Third payment of $60 is open.",
        "An apology was given and she accepted.",
        "She had had two payments of $60.",
        "Mail goes to Maria de la Cruz, el Centro.",
        "Bill disputed, billing no. restored; asks again.",
    ],
)
def test_what_an_ordinary_summary_says_is_none(answer):
    assert kinds(answer) <= {"name", "number", "contact"}


def test_a_reply_may_speak_to_the_customer_and_may_not_invent():
    source = source_of_texts(NOTES, as_of=AS_OF)
    assert findings_in("I am sorry that you had to wait. You paid $60 twice.", source, SPOKEN) == ()
    assert [item.kind for item in findings_in("I see that you paid $75.", source, SPOKEN)] == ["amount"]
