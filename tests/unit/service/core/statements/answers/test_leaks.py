"""Numbers and secrets in full: the served account's, other accounts', cards, in any spelling."""

import pytest

from service.core.statements.answers.leaks import Protected, leaks_in
from service.core.statements.grounding.digits import with_plain_digits

SERVED = "3308126945"


def leaks(text, *sources, account=SERVED):
    return [(item.kind, item.statement) for item in leaks_in(text, Protected(account, sources))]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("His own account 3308126945 is past due.", "account number"),
        ("It sits on 3308-126-945 now.", "account number"),
        ("It landed on a stranger's account, 4403918826.", "account number"),
        ("Paid with 4111 1111 1111 1111.", "card number"),
        ("Paid with 4000002677149038.", "account number"),  # fails Luhn: an invented card does harm too
        ("SSN 666-42-7781 was keyed.", "social security number"),
        ("Routing 000000518 is wrong.", "account number"),
        ("She paid from account 902-771-6638.", "account number"),  # written like a phone number, named as an account
    ],
)
def test_numbers_in_full_are_found(text, kind):
    assert [found for found, _ in leaks(text)] == [kind]


def test_a_finding_does_not_repeat_the_number():
    [finding] = leaks("Account 3308126945.")
    assert finding == ("account number", "ends 6945")


@pytest.mark.parametrize(
    "text",
    [
        "Account ending 6945 owes $1,143.07 since Nov 3, 2026.",
        "Call 555-0142 or 402-555-0142 after 5 p.m.",
        "Ticket 0913-77 and police report 26-10-2291 are open.",
        "Confirmation 4471860193 stands; request no. 7714093355 waits.",
        "Logged 2026-11-03 16:05:00Z; the meter reads 48112 of 402 kWh.",
        "Paid $742.16-450 on 10/30.",
        "",
    ],
)
def test_what_agents_need_is_no_leak(text):
    assert leaks(text) == []


def test_a_phone_like_number_that_the_history_calls_an_account_is_a_leak():
    assert leaks("Reach 902-771-6638.") == []
    assert leaks("Reach 902-771-6638.", "same here, Gus, acct 902-771-6638") != []


def test_a_secret_of_the_history_is_a_leak_where_it_is_named():
    source = "caller gave PIN 4471 and one-time code 99812"
    assert leaks("Verified by PIN 4471.", source) == [("secret", "")]
    assert leaks("The one-time code was 99812.", source) == [("secret", "")]
    assert leaks("His 4471 opens it, that pin.", "PIN 447 was given") == []
    assert leaks("The 99812, her access code.", "access code: 99812") == [("secret", "access code")]
    assert leaks("Request 4471 is open and the PIN was reset.", source) == []


@pytest.mark.parametrize(
    "spelled",
    [
        "3308 126 945",
        "33.08.12.69.45",
        "330,812,6945",
        "3308/126/945",
        "3308_126_945",
        "3 3 0 8 1 2 6 9 4 5",
        "three three zero eight one two six nine four five",
        "three-three-oh-eight, one-two-six, nine-four-five",
        "double three zero eight one two six nine four five",
        "thirty-three zero eight twelve sixty-nine forty-five",
        "３３０８１２６９４５",
        "٣٣٠٨١٢٦٩٤٥",
        "33O8l26945",
        "3308 at the start and 126945 at the end",
        "126945 at the end, 3308 at the start",
        "33081, then something else, then 26945",
        "5496218033 (backwards)",
        "330812694x",
    ],
)
def test_the_served_account_is_found_in_any_spelling(spelled):
    assert ("account number", "ends 6945") in leaks(f"The number is {spelled}.")


def test_another_account_of_the_history_is_found_in_pieces():
    assert leaks("It begins 5583 01 and ends 4729.", "all three pages of acct 5583 014 729") != []
    assert leaks("It ends 4729.", "all three pages of acct 5583 014 729") == []


@pytest.mark.parametrize("text", ["one, two, three", "nine to five", "12 SBLO boxes", "two thousand kWh"])
def test_ordinary_words_stay_words(text):
    assert len(with_plain_digits(text)) >= len(text) - 14


@pytest.mark.parametrize("text", ["9" * 20_000, "one " * 5_000, "3-" * 10_000, "a1" * 10_000, "(402) " * 4_000])
def test_hostile_texts_end(text):
    leaks(text, text)


def test_ids_of_the_interactions_side_by_side_are_no_account_number():
    assert leaks("Meters 55810/55811 were crossed.", "mtr 55810 feeds A, 55811 feeds B") == []
    assert leaks("Meters 55810/55811 were crossed.", "mtr 55810 feeds A") != []
    assert leaks("Account 33081/26945 is past due.", "see 33081 and 26945") != []
