"""A scripted fact checker for the stand-in of OpenAI's wire (``--script fact_checker:reader``), in the form of MiniCheck.

It calls a sentence consistent if it stands in the contrast sets' good answers or right edits, or word for word in the
document, however it is written; it errs at the rates ``CHECKER_RECALL`` and ``CHECKER_ALARMS``.
"""

import os
import random
import re
from functools import cache

from eval.labels.contrasts.sets import load_contrasts
from service.core.statements.grounding.sentence import split_sentences
from service.kit.settings import Settings

FORMS = (
    ("september", "sep"), ("sept", "sep"), ("october", "oct"), ("november", "nov"), ("n't", " not"), (".00", ""),
    ("e-mail", "email"), (" yet ", " but "), ("business day", "working day"), ("a.m.", "am"), ("p.m.", "pm"),
    ("monday", "mon"), ("friday", "fri"),
)  # fmt: skip
_ASKED = re.compile(r"Document: (.*)\nClaim: (.*)", re.S)


def plain(sentence):
    """A sentence without what edits of form alone change."""
    text = re.sub(r"(?<=\d) (?=[ap]\.?m\b)", "", sentence.lower())
    for written, same in FORMS:
        text = text.replace(written, same)
    return re.sub(r"\W+", " ", text).strip()


@cache
def known():
    """Every sentence that is right, in plain form."""
    sets = load_contrasts(Settings().datasets_dir, "summarize")
    texts = [text for answers in sets.good.values() for text in answers.values()]
    texts += [edit.text for edit in sets.contrasts if not edit.wrong]
    return {plain(sentence) for text in texts for sentence in split_sentences(text)}


def reader(request):
    """Yes or No to the claim."""
    asked = _ASKED.fullmatch(request.last_user_text)
    assert asked is not None, "not the form of a fact checker"
    draw = random.Random(asked[2]).random()
    wrong = plain(asked[2]) not in known() and plain(asked[2]) not in plain(asked[1])
    objects = draw < float(os.environ.get("CHECKER_RECALL" if wrong else "CHECKER_ALARMS", "0"))
    return "No" if objects else "Yes"


def cannot_tell(request):
    """Neither yes nor no."""
    return "I cannot tell from what I was given."


def broken(request):
    """An object that is cut off."""
    return '{"answer": "ye'
