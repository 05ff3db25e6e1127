"""Shorthand is written out, and what only looks like it stays."""

import pytest

from service.core.tasks.summarize.shorthand import written_out


@pytest.mark.parametrize(
    ("short", "plain"),
    [
        ("cust recd ltr w/ bal", "customer received letter with balance"),
        ("Cust's acct", "Customer's account"),
        ("NOT auth on acct.", "NOT authorized on account."),
        ("5 bd", "5 business days"),
        ("xfer'd w/in 2 wks", "transferred within 2 weeks"),
        ("Req sent", "request sent"),
    ],
)
def test_abbreviations_are_written_out(short, plain):
    assert written_out(short) == plain


@pytest.mark.parametrize(
    "text", ["10 pm EST", "Mo Farrow called", "a@acct.com", "acct.example", "REQ-40771", "DISC", "#bal", "after FR"]
)
def test_names_addresses_ids_and_capitals_stay(text):
    assert written_out(text) == text
