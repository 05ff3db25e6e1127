"""Texts that enter the warehouse: patterns, then a finder; a text that cannot be redacted is withheld, and no other for it."""

import pytest

from service.core.redaction import texts as module
from service.core.redaction.entities import EntitySpan
from service.core.redaction.finder import FinderBroken
from service.core.redaction.free_text import RedactionFailed
from service.core.redaction.texts import WITHHELD, PersonalText, TextRedactor
from service.kit.frame.errors import StoreError


class Zofias:
    """Finds every zofia; cannot look at texts that hold ``bad``."""

    by = "zofias-1"

    def __init__(self, bad="\0", error=None):
        self.bad, self.error, self.asked = bad, error or RedactionFailed("text 0: gave up"), []

    def find(self, passages):
        self.asked.append([one.text for one in passages])
        if any(self.bad in one.text for one in passages):
            raise self.error
        return [
            [EntitySpan(start=one.text.index("zofia"), end=one.text.index("zofia") + 5, kind="name")]
            if "zofia" in one.text
            else []
            for one in passages
        ]


def of(*texts, account=""):
    return [PersonalText(text=text, account_number=account) for text in texts]


def test_patterns_come_first_and_equal_texts_are_looked_at_once():
    finder = Zofias()
    found = TextRedactor(finder).redact(of("zofia, d@example.com", "ok", "zofia, d@example.com", " "))
    assert [one.text for one in found] == ["[name], [email]", "ok", "[name], [email]", " "]
    assert finder.asked == [["zofia, [email]", "ok"]]
    assert TextRedactor(finder).by == "zofias-1+patterns"


def test_a_text_that_cannot_be_looked_at_is_withheld_alone():
    texts = [f"zofia {n}" for n in range(9)]
    texts[5] += " oops"
    found = TextRedactor(Zofias("oops")).redact(of(*texts))
    assert [one.text for one in found] == [WITHHELD if n == 5 else f"[name] {n}" for n in range(9)]
    assert [one.withheld for one in found if one.withheld] == ["text 0: gave up"]


def test_a_text_that_the_patterns_cannot_redact_is_withheld_and_quoted_nowhere(monkeypatch):
    own = TextRedactor().redact(of("It is 12 34 x 567 89.", "fine", account="123456789"))
    assert [one.text for one in own] == [WITHHELD, "fine"]
    assert "account number" in own[0].withheld

    def broken(*_, **__):
        raise ZeroDivisionError("Marchetti")

    monkeypatch.setattr(module, "redacted_text", broken)
    (one,) = TextRedactor(Zofias()).redact(of("Marchetti"))
    assert (one.text, one.withheld) == (WITHHELD, "ZeroDivisionError")


@pytest.mark.parametrize("spans", [[], [[EntitySpan(start=0, end=99, kind="name")]]])
def test_finds_that_do_not_fit_withhold_the_text(spans):
    class Wrong(Zofias):
        def find(self, passages):
            return spans

    (one,) = TextRedactor(Wrong()).redact(of("zofia"))
    assert one.text == WITHHELD
    assert "zofia" not in one.withheld


@pytest.mark.parametrize("error", [FinderBroken("not installed"), StoreError("Comprehend is away")])
def test_without_its_finder_nothing_is_redacted_and_the_caller_knows(error):
    with pytest.raises(type(error), match=str(error)):
        TextRedactor(Zofias("zofia", error)).redact(of("zofia", "ok"))
