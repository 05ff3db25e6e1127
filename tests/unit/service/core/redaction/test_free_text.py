"""Redaction of free text before it is stored: what is replaced, what stays, and that it fails closed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.redaction.free_text import LONGEST_TEXT, RedactionFailed, redacted_text

ACCOUNT = "3308126945"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Delphine Marchetti disputes a bill.", "[name] disputes a bill."),
        ("Agent Owen promised Mrs. Teague's refund.", "Agent [name] promised Mrs. [name]'s refund."),
        ("Tamsin (agent): hello", "[name] (agent): hello"),
        ("Disputes it. Paid by Noreen. Noreen called.", "Disputes it. Paid by [name]. [name] called."),
        (f"Account {ACCOUNT} is closed.", "Account [number] is closed."),
        ("Account 33081 26945 or 330-812-6945 is closed.", "Account [number] or [number] is closed."),
        ("Call back at (415) 555-0142 after 4 PM.", "Call back at ([number] after 4 PM."),
        ("Card 4111 1111 1111 1111 was refused.", "Card [number] was refused."),
        ("SSN 078-05-1120 on file.", "SSN [number] on file."),
        ("Write to d.marchetti+x@example.co.uk today.", "Write to [email] today."),
        ("See https://pay.example.com/u/998877?t=1 now", "See [link] now"),
        ("Moved to 221 Alder Street, Apt 4B yesterday.", "Moved to [address] yesterday."),
        ("Parcels to PO Box 4471 please.", "Parcels to [address] please."),
        ("The PIN is 4471, told on the phone.", "The PIN is [secret], told on the phone."),
        ("read back as four four seven one eight six", "read back as [number]"),
        ("Number ４４７１８６０１９３ in full width", "Number [number] in full width"),
        ("Hidden 447\u200b186\u200b0193 number", "Hidden [number] number"),
        ("null\x00byte", "nullbyte"),
    ],
)
def test_personal_data_is_replaced(text, kept):
    assert redacted_text(text, account_number=ACCOUNT) == kept


@pytest.mark.parametrize(
    "text",
    [
        "Billing: $284.60 disputed on 10/14/2026, usual bill about $140.",
        "Customer called 3 times since Nov 3, 2026 at 9:52 PM.",
        "Usage of 1,900 kWh against 12345.67 kWh; late fee $12345.67.",
        "Two payments of 212.37 on 2026-10-05, refund in 5-7 business days.",
        "Sentiment: frustrated. Next step: call the customer back within 2 days.",
        "Rate plan 2024-2026 stays.",
        "",
    ],
)
def test_amounts_dates_and_counts_stay(text):
    assert redacted_text(text, account_number=ACCOUNT) == text


def test_names_false_keeps_names():
    assert redacted_text("Nova beats Haiku, see 555-123-4567", names=False) == "Nova beats Haiku, see [number]"


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(RedactionFailed, match=f"at most {LONGEST_TEXT}"):
        redacted_text("a" * (LONGEST_TEXT + 1))


def test_an_account_number_that_no_pattern_finds_is_refused():
    scattered = "3 then 3 then 0 then 8 then 1 then 2 then 6 then 9 then 4 then 5"
    with pytest.raises(RedactionFailed, match="account number") as refused:
        redacted_text(scattered, account_number=ACCOUNT)
    assert "3" not in str(refused.value)


@given(
    before=st.text(max_size=30),
    digits=st.text("0123456789", min_size=9, max_size=19),
    separator=st.sampled_from(["", " ", "-", "."]),
    after=st.text(max_size=30),
)
def test_no_long_number_is_left(before, digits, separator, after):
    written = separator.join(digits[i : i + 3] for i in range(0, len(digits) - len(digits) % 3, 3))
    text = f"{before} {written} {after}"
    kept = redacted_text(text)
    # Digits of other scripts count as digits too.
    assert written not in kept or re.fullmatch(r"(?:19|20)\d\d.\d\d?.\d\d?", written)
