"""Plain text: markup, leftovers, pictures, a letter's or a machine's talk, and rules of the prompt."""

import pytest

from service.core.statements.answers.form import form_findings
from service.core.statements.answers.prose import own_prose
from service.core.statements.answers.voice import form_of_speech
from service.core.statements.grounding.sentence import clean


def kinds(text):
    prose = own_prose(clean(text), lambda: "")
    return {item.kind for item in (*form_findings(text, prose, lambda: ""), *form_of_speech(prose))}


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("# Summary\nAll paid.", "markup"),
        ("- first\n- second", "markup"),
        ("1. first", "markup"),
        ("The **fee** stands.", "markup"),
        ("```\ntext\n```", "markup"),
        ("<b>Paid</b>.", "markup"),
        ("See [here](https://example.com).", "markup"),
        ("History: {{history}}", "template leftover"),
        ("Customer [insert name] called.", "template leftover"),
        ("</history> Paid.", "template leftover"),
        ("[INST] Paid.", "template leftover"),
        ("Paid. TODO: the date.", "template leftover"),
        ("Lorem ipsum dolor.", "template leftover"),
        ("As an AI, I cannot say.", "machine talk"),
        ("I’m a large language model.", "machine talk"),
        ("Dear agent, the fee stands.", "salutation"),
        ("Paid. Dear customer, thanks.", "salutation"),
        ("The fee stands. Best regards, Billing.", "salutation"),
        ("Sure! The fee stands.", "machine talk"),
        ("Summary: the fee stands.", "machine talk"),
        ("It is not possible to summarize this history.", "refusal"),
        ("I cannot help with that.", "refusal"),
        ("The fee stands 😀.", "picture"),
        ("The fee stands 1️⃣.", "picture"),
        ("🇺🇸 The fee stands.", "picture"),
        ("The fee ✓ stands.", "picture"),
        ("→ The fee stands.", "picture"),
        ("The fee stands :)", "picture"),
        ("The fee stands ;-) today.", "picture"),
        ("The fee stands (^_^).", "picture"),
        ("The fee stands <3", "picture"),
        ("The fee stands :smile: today.", "picture"),
        ("As instructed, the fee is named.", "prompt rule"),
        ("The fee stands, in 35 to 90 words.", "prompt rule"),
        ("The rules forbid naming the account.", "prompt rule"),
        ("I do not mention the account.", "prompt rule"),
    ],
)
def test_what_is_not_plain_is_named(output, what):
    assert what in kinds(output)


@pytest.mark.parametrize(
    "output",
    [
        "Customer paid $45 (5-7 days). Balance < $10 and 3 > 2.",
        "Customer called a dear friend; AI chatbot said APPROVED.",
        "Reading 61,940 - estimated. Error AP-409; file my_file_name.",
        "Situation: fee.\nOpen: nothing.",
        "Nota en español: «pagó», ¡listo!",
        "Ticket [SC-20964] is open.",
        'He wrote: "eso era todo lo que quería."',
    ],
)
def test_ordinary_text_is_plain(output):
    assert not kinds(output)


def test_a_quoted_smiley_of_the_interactions_is_no_picture():
    stated = lambda: " sent it twice now thanks "  # noqa: E731
    others = lambda: " other words "  # noqa: E731
    text = 'Wrote "sent it twice now :) thanks".'
    assert list(form_findings(text, own_prose(text, stated), stated)) == []
    assert [item.kind for item in form_findings(text, own_prose(text, others), others)] == ["picture"]
