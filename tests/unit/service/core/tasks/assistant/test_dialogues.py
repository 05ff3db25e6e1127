"""The page of dialogues says, word for word, what the assistant answers, by its words alone and with the meaning, too."""

import re

import pytest
from assistant_chat import CLOSED, OPEN, Chat

from service.core.tasks.assistant.rules import rules, rules_by_meaning
from service.kit.frame.errors import ModelUnusable
from service.kit.settings import REPO_ROOT

PAGE = REPO_ROOT / "docs" / "assistant-dialogues.md"
AT = {"open": OPEN, "closed": CLOSED}
# The lines of a list are indented, so that they stand below the reply that they belong to.
_LINE = re.compile(r"^- \*\*(customer|assistant)\*\*: (.+(?:\n  .+)*)$", re.M)


def dialogues():
    """Yield heading, time, and the lines of each dialogue of the page."""
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, rest = part.partition("\n")
        lines = _LINE.findall(rest)
        when = re.search(r"\((open|closed)\)$", heading)[1]
        assert [by for by, _ in lines] == ["customer", "assistant"] * max(1, len(lines) // 2), heading
        yield pytest.param(AT[when], [text.replace("\n  ", "\n") for _, text in lines], id=heading)


@pytest.mark.parametrize(("at", "lines"), list(dialogues()))
@pytest.mark.parametrize("model", [rules, rules_by_meaning], ids=["rules", "rules-minilm"])
def test_the_page_says_what_is_answered(model, at, lines):
    chat = Chat(at=at, model=model)
    for message, reply in zip(lines[::2], lines[1::2], strict=True):
        try:
            assert chat(message).reply == reply
        except ModelUnusable as err:
            pytest.skip(str(err))
