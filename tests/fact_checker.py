"""A scripted fact checker for the stand-in of OpenAI's wire (``--script fact_checker:reader``), in the form of MiniCheck.

It calls a sentence consistent if it stands in the contrast sets' good answers or right edits, in the file ``CHECKER_KNOWN``, or
word for word in the document, however it is written; it errs at the rates ``CHECKER_RECALL`` and ``CHECKER_ALARMS``. ``judges``
grades conversations, too: it objects to the wrong edits of the assistant's sets and to the wrong twins.
"""

import json
import os
import random
import re
from functools import cache
from pathlib import Path

from eval.labels.contrasts.sets import load_contrasts
from eval.labels.contrasts.twins import twins
from service.core.statements.grounding.sentence import split_sentences
from service.kit.settings import Settings

FORMS = (
    ("september", "sep"), ("sept", "sep"), ("october", "oct"), ("november", "nov"), ("n't", " not"), (".00", ""),
    ("e-mail", "email"), (" yet ", " but "), ("business day", "working day"), ("a.m.", "am"), ("p.m.", "pm"),
    ("monday", "mon"), ("friday", "fri"),
)  # fmt: skip
_ASKED = re.compile(r"Document: (.*)\nClaim: (.*)", re.S)
_CONVERSATION = re.compile(r"<conversation>\n(.*)\n</conversation>", re.S)


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
    also = os.environ.get("CHECKER_KNOWN")
    texts += json.loads(Path(also).read_text(encoding="utf-8")) if also else []
    return {plain(sentence) for text in texts for sentence in split_sentences(text)}


def reader(request):
    """Yes or No to the claim."""
    asked = _ASKED.fullmatch(request.last_user_text)
    assert asked is not None, "not the form of a fact checker"
    wrong = plain(asked[2]) not in known() and plain(asked[2]) not in plain(asked[1])
    return "No" if objects(asked[2], wrong=wrong) else "Yes"


def objects(text, *, wrong):
    """Whether the checker, who errs, objects to a text; the same each time."""
    rate = os.environ.get("CHECKER_RECALL" if wrong else "CHECKER_ALARMS", "0")
    return random.Random(text).random() < float(rate)


@cache
def wrong_conversations():
    """The authored wrong edits as whole conversations."""
    sets = load_contrasts(Settings().datasets_dir, "assistant")
    return {edit.text for edit in sets.contrasts if edit.wrong}


def judges(request):
    """The grade of a conversation with a quotation, or a reader's yes or no."""
    asked = _CONVERSATION.search(request.last_user_text)
    if asked is None:
        return reader(request)
    found = [row["wrong"] for row in twins() if row["wrong"] in asked[1]]
    seen = objects(asked[1], wrong=bool(found) or asked[1] in wrong_conversations())
    evidence = found or [asked[1].rpartition("Assistant: ")[2]]
    return json.dumps({"evidence": evidence if seen else [], "reasons": "", "grade": "no" if seen else "yes"})


def cannot_tell(request):
    """Neither yes nor no."""
    return "I cannot tell from what I was given."


def broken(request):
    """An object that is cut off."""
    return '{"answer": "ye'
