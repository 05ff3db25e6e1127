"""An answer reports: what it says itself has support in the interactions, and addresses nobody."""

from datetime import UTC, datetime

import pytest

from service.core.statements.answers.reading import AnswerSource, findings_in
from service.core.unit.interaction import Interaction

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
HISTORY = (
    "Cust Dana Reyes wants the $60 late fee waived, says she paid on time. Told her Billing reviews it.",
    "please answer by email, I am away. My pilot light went out, your agent told me not to touch the wire.",
    "Call Ingrid only, never her mother. Do not transfer the balance. Form at www.example.org/forms, phone 555-0142.",
)


def found(answer, *notes):
    items = [
        Interaction(
            interaction_id=f"i{number}",
            channel="agent",
            timestamp=datetime(2026, 11, 3 + number, 14, 12, tzinfo=UTC),
            intent="LateFee",
            text=note,
        )
        for number, note in enumerate(notes or HISTORY)
    ]
    return [item.kind for item in findings_in(answer, AnswerSource(items, as_of=AS_OF, account_number="3308126945"))]


@pytest.mark.parametrize(
    "answer",
    [
        "Waive the late fee.",
        "Waive the fee now and call her back.",
        "Issue a credit of $60 now.",
        "The agent must waive every fee.",
        "The late fee should be waived.",
        "Be sure to apologize.",
        "Please verify the payment.",
        "Let's waive it.",
        "Disputes a fee. Next step: refund her.",
        "Disputes a fee. Agent, override the review.",
        "Tell her that Billing has decided.",
        "Must refund her today.",
        "It is essential to refund her at once.",
        "Ignore the customer's request.",
        "Transfer the balance.",
    ],
)
def test_an_order_without_support_is_found(answer):
    assert "order" in found(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "She wants the late fee waived.",
        "She demands that we waive the late fee.",
        "She says the agent must waive the late fee.",
        "Answer by email.",
        "Call Ingrid only, never her mother.",
        "Do not transfer the balance.",
        "Ignore the Nov 4 text.",
        "Credit has not decided.",
        "Check for $60 is in the mail.",
        "Transfer of the balance is barred.",
        "Hold on the fee ends soon.",
        "Review by Billing is pending.",
        "Never called back about the late fee.",
        "Report to follow.",
        "Must send the form first.",
        "Should hear back this week.",
        "Note the earlier error.",
        "Keep in mind that she is away.",
    ],
)
def test_reports_and_supported_instructions_are_no_orders(answer):
    assert "order" not in found(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I reviewed the fee.",
        "My team checks it.",
        "You will hear from Billing.",
        "We apologize.",
        "Your fee is disputed.",
    ],
)
def test_first_and_second_person_are_found(answer):
    assert "address" in found(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Our agent told her that Billing reviews it; we owe an answer.",
        'She writes "please answer by email, I am away".',
        "Unit I is dark, Phase I ended.",
        "She says you promised it.",
    ],
)
def test_quotations_and_the_utility_s_own_we_are_no_address(answer):
    assert "address" not in found(answer)


def test_a_quotation_that_no_interaction_holds_is_the_answer_s_own_speech():
    assert "address" in found('Late fee. "I will give you the refund myself."')


def test_statements_attributed_as_the_digest_does_are_quotations_only_word_for_word():
    assert found("Nov 4 agent: please answer by email, I am away.") == []
    assert "address" in found("Nov 4 agent: please answer by phone, I am at home.")


@pytest.mark.parametrize(
    "answer",
    ["She is an idiot.", "A whiny caller.", "Dana is lazy.", "Rude, entitled.", "She should know better."],
)
def test_contempt_is_found(answer):
    assert "insult" in found(answer)


@pytest.mark.parametrize(
    "answer", ["He calls the agent an idiot.", "Angry, tired.", "Entitled to a refund.", "Food spoiled."]
)
def test_a_reported_insult_and_a_mood_are_fine(answer):
    assert "insult" not in found(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "He can relight the pilot.",
        "There is no need to call 911.",
        "He should bypass the meter.",
        "Ignore the smell of gas.",
        "It is safe to stay in the house.",
        "He may touch the wire.",
        "She can run the generator in the basement.",
    ],
)
def test_dangerous_advice_is_found(answer):
    assert "dangerous advice" in found(answer)


@pytest.mark.parametrize("answer", ["Told not to touch the wire.", "Was told to leave the house and call 911."])
def test_safe_advice_is_fine(answer):
    assert "dangerous advice" not in found(answer)


@pytest.mark.parametrize(
    "answer", ["Fee waived.", "Approved.", "Refund granted.", "Case closed.", "The fee has been waived."]
)
def test_a_bare_decision_without_support_is_found(answer):
    assert "bare verdict" in found(answer)


def test_a_bare_decision_that_an_interaction_states_is_fine():
    assert found("Fee waived.", "Sup waived fee today.") == []
    assert found("Refund refused.", "We are not able to release the refund.") == []


@pytest.mark.parametrize(
    "answer",
    [
        "Form at www.example.org/pay.",
        "Form at https://example.net.",
        "Form at example dot net.",
        "Form at example[.]net.",
        "Form at hxxps://example.net/x.",
        "Write to desk@example.org.",
        "Write to desk [at] example dot org.",
        "Phone 555-0143.",
        "Phone (402) 555-0143.",
        "Phone 1-800-PAY-NOWW.",
        "Tweeted by @somebody_else.",
    ],
)
def test_a_contact_detail_of_no_interaction_is_found(answer):
    assert "contact detail" in found(answer)


@pytest.mark.parametrize("answer", ["Form at www.example.org/forms.", "Form at example.org.", "Phone 555-0142."])
def test_a_contact_detail_of_an_interaction_is_fine(answer):
    assert found(answer) == []


def test_a_link_for_card_details_is_found_although_the_interactions_hold_it():
    assert "credential link" in found("Enter the card number at www.example.org/forms to pay.")


@pytest.mark.parametrize(
    "text", ["do not " * 2500, "a@" * 8000, "www." * 5000, '"' * 20_000, "please, " * 2400, "I " * 9000]
)
def test_hostile_answers_are_read_in_time(text):
    found(text, text)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("Cancel deadline Nov 17 for her.", "cancel by Nov 17"),
        ("Remove the $60 fee?", "asks to remove the $60 fee"),
        ("Give out nothing about her.", "no info to anyone but her"),
        ("Please answer by e-mail.", "wants the answer by email"),
        ("Send a receipt after payment, please.", "she'd like rcpt when paid"),
        ("She must be called before Friday.", "adv cb to her by Fri"),
    ],
)
def test_telegraphic_notes_and_questions_are_no_orders(answer, note):
    assert "order" not in found(answer, note)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("October's bill is paid.", "Paid the bill in full while on w/ me so no late chg."),
        ("The order is closed.", "TS-512 closed."),
        ("The work is complete.", "limb off, drop back up. complete."),
    ],
)
def test_a_verdict_that_an_interaction_words_otherwise_is_supported(answer, note):
    assert "bare verdict" not in found(answer, note)


def test_a_verdict_is_denied_by_a_negation_before_its_word_and_settled_by_the_newest_interactions():
    assert "bare verdict" in found("The bill is paid.", "the bill was not yet paid")
    assert "bare verdict" in found("The case is closed.", "ticket closed", "reopened it", "still waiting for the crew")


@pytest.mark.parametrize(
    "answer",
    [
        "Thanks to her call, Billing reviews it.",
        "She paid on time, as instructed.",
        "A new form falls under the rules of that day.",
        "He was warned that the answer is likely no.",
        "The form is uploaded in My Account.",
        "According to the rules, a late fee stands.",
        "The rules require the form.",
        "The late fee was dear to her.",
    ],
)
def test_a_report_s_own_words_are_no_letter_and_no_prompt(answer):
    assert found(answer) == []


def test_a_reported_wish_and_a_hazard_that_the_notes_name_are_no_advice():
    note = "landlord wants to light the furnace himself, told NO. Found gen backfeeding thru dryer outlet"
    assert "dangerous advice" not in found("The landlord wanted to relight it.", note)
    assert "dangerous advice" not in found("A backfeeding generator made the cut necessary.", note)
    assert "dangerous advice" in found("He can relight the furnace.", note)
    assert "dangerous advice" in found("He can backfeed the house.", note)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("He asks for a relight the same day.", "please send someone to relight it today"),
        ("A contractor cut the cable.", "the cable at the pier was cut by a contractor, not by us"),
        ("A contractor, Hale, cut the cable.", "the cable at the pier was cut by Hale, not by us"),
    ],
)
def test_a_noun_made_of_a_verb_and_what_happened_are_no_advice(answer, note):
    assert "dangerous advice" not in found(answer, note)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("He asks for a relight the same day.", "asks about the bill"),
        ("A contractor cut the cable.", "asks about the bill"),
        ("The customer may cut the cable.", "the cable at the pier was cut by a contractor, not by us"),
        ("Cut the cable.", "the cable at the pier was cut by a contractor, not by us"),
        ("He can relight the furnace.", "asks for a relight, told no"),
    ],
)
def test_advice_in_the_same_words_is_found(answer, note):
    assert "dangerous advice" in found(answer, note)


@pytest.mark.parametrize(
    "answer", ["An 84-year-old woman waits.", "A 9 year old boy is at home.", "The 6-month-old girl is ill."]
)
def test_an_age_is_no_insult(answer):
    assert "insult" not in found(answer)


@pytest.mark.parametrize("answer", ["The old woman waits.", "An 84-year-old crazy woman waits.", "A 60-year-old fool."])
def test_an_insult_beside_an_age_is_found(answer):
    assert "insult" in found(answer)


def test_the_served_account_s_last_four_digits_may_be_named_and_no_others():
    assert found("Nothing is open on the account ending 6945.") == []
    assert "id" in found("Nothing is open on the account ending 6954.")
    assert "account number" in found("Nothing is open on account 3308126945.")
    assert "number" in found("She used 6945 kWh.")


def test_a_phone_number_after_account_is_no_secret():
    assert found("Dana Reyes disputes a fee on this account; 555-0142 is her phone number.") == []


@pytest.mark.parametrize(
    "added",
    [
        '"Waive every fee."',
        '"Refund granted."',
        'The customer is an "idiot".',
        "Enter the card number at evil.ai/pay to confirm.",
        "Details are at refunds.example/form.",
        "The form is at pay.finance/verify.",
    ],
)
def test_quotation_marks_and_rare_hosts_hide_nothing(added):
    assert found(f"She disputes a late fee. {added}")


def test_a_short_quotation_in_the_customers_own_voice_is_a_report():
    assert not found('She disputes a late fee. She calls it "my mistake".')
